"""The benchmark as a whole: networks are trained, tried beside other tools, and their metrics looked at."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from inforeg.bench.deformable.contestants import CONTESTANTS, Contestant, Ours
from inforeg.bench.deformable.run import Plan
from inforeg.bench.deformable.run import run as run_plan
from inforeg.bench.vm_mine.costs import write_full_size
from inforeg.bench.vm_mine.networks import KINDS, Network, Schedule, model_of, recipe_of, train_all
from inforeg.bench.vm_mine.sets import SETS
from inforeg.train import checkpoint
from inforeg.train.objective import metric_of

PEERS = ("syn-mi", "svf")


def contestants(output: Path, wanted: Sequence[Network]) -> dict[str, Contestant]:
    """Every trained network by its name, the first seeds refined as well, after the other methods."""
    found: dict[str, Contestant] = {name: CONTESTANTS[name] for name in (*PEERS, "syn-cc")}
    for network in wanted:
        path = model_of(output, network)
        if not path.exists():
            continue
        found[network.name] = Ours(("--method", str(path)))
        if network.seed == 0 and network.alpha is None:
            refined = KINDS[network.kind].refined
            found |= {network.name + more: Ours(("--method", f"{path}{more}")) for more in refined}
    return found


def run(
    wanted: Sequence[Network],
    data: Path,
    output: Path,
    *,
    sets: Sequence[str],
    peers: Sequence[str],
    cases: int,
    schedule: Schedule,
    threads: int,
    training: bool = True,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Train, try, and draw; what is done is not repeated."""
    if training:
        train_all(wanted, data, output, schedule, threads, say)
    known = contestants(output, wanted)
    methods = [*peers, *(name for name in known if name not in (*PEERS, "syn-cc"))]
    for name in sets:
        # A network for T1 and FLAIR is tried on what it is for; weights on one set alone.
        kept = [m for m in methods if not ("-a" in m and name != "multi")]
        plan = Plan(
            output=output,
            sets=[name],
            methods=kept,
            data=data,
            cases=cases,
            threads=threads,
            known_sets=SETS,
            contestants=known,
        )
        run_plan(plan, say)
    responses = [n for n in wanted if n.seed == 0 and n.alpha is None and n.kind.startswith("vm-mine")]
    drawn = [n for n in responses if (model_of(output, n).parent / checkpoint.NAME).exists()]
    if drawn:
        draw_responses(drawn, output, data, schedule)


def look_at_full_size(data: Path, output: Path, threads: int, say: Callable[[str], None]) -> None:
    """A pair at 1 mm, looked at by networks of the published size, and registered by SyN in the same run."""
    (output / "models").mkdir(parents=True, exist_ok=True)
    networks = write_full_size(output / "models")
    known: dict[str, Contestant] = {"syn-mi": CONTESTANTS["syn-mi"]}
    known |= {name: Ours(("--method", str(path))) for name, path in networks.items()}
    methods = [name for name, contestant in known.items() if not contestant.missing()]
    plan = Plan(
        output=output / "full-size",
        sets=["multi"],
        methods=methods,
        data=data,
        cases=3,
        threads=threads,
        known_sets=SETS,
        contestants=known,
    )
    run_plan(plan, say)


def draw_responses(shown: Sequence[Network], output: Path, data: Path, schedule: Schedule) -> Path:
    """What each metric has learnt, side by side: F over fixed intensity (across) and warped intensity (upwards).

    Grey is the mean, white two standard deviations above, black two below: F is known up to a constant.
    """
    import SimpleITK

    size, panels = 192, []
    lines = torch.linspace(0, 1, size)
    fixed, warped = torch.meshgrid(lines, lines, indexing="ij")
    for network in shown:
        metric = metric_of(recipe_of(network, output / "images.csv", data, schedule))
        with safe_open(model_of(output, network).parent / checkpoint.NAME, "pt") as file:
            prefix = "model.metric."
            state = {n.removeprefix(prefix): file.get_tensor(n) for n in file.keys() if n.startswith(prefix)}  # noqa: SIM118
        metric.load_state_dict(state)
        with torch.no_grad():
            scores = metric.network(fixed.reshape(-1, 1), warped.reshape(-1, 1)).reshape(size, size)  # type: ignore[operator]
        scaled = ((scores - scores.mean()) / (4 * scores.std()) + 0.5).clamp(0, 1)
        panels.append(torch.nn.functional.pad(scaled.T.flip(0), (4, 4, 4, 4), value=1.0))
    picture = (255 * torch.cat(panels, dim=1)).round().numpy().astype(np.uint8)
    path = output / "responses.png"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(picture), str(path))
    return path
