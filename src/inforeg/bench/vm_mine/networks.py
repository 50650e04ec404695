"""The networks of the benchmark: what is trained, for how long, and which of it is done."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inforeg.bench.vm_mine.sets import REFERENCE, write_table
from inforeg.train.loop import MODEL, read_log, train
from inforeg.train.machine import Machine
from inforeg.train.recipes import VelocityRecipe

# How many voxels a step looks at, where a metric can do with some of them.
_SAMPLES = 32_768


@dataclass(frozen=True)
class Kind:
    """A row of the table: what is told apart from the other rows, and how many seeds it is trained with."""

    title: str
    changes: dict[str, Any]
    seeds: int = 1
    sweep: bool = False
    times: int = 1
    """How many times as long as the others it learns."""
    refined: tuple[str, ...] = ("+svf",)
    """How the first seed is refined: by 20 steps, or by 40, of which some are at full resolution."""


# A row is one line here. Weights are the best of those tried on the heads to validate on.
KINDS: dict[str, Kind] = {
    "vm-cc": Kind("VM-CC (LNCC)", {"metric": "lncc", "alpha": 1.0}),
    "vm-mine-global": Kind(
        "VM-MINE global",
        {"metric": "mine", "alpha": 2.0, "metric_settings": {"samples": _SAMPLES}},
        seeds=3,
    ),
    "vm-mine-local": Kind(
        "VM-MINE local",
        {"metric": "mine_local", "alpha": 5.0, "metric_settings": {"samples": _SAMPLES}},
        seeds=3,
        sweep=True,
    ),
    "vm-mine-exact": Kind(
        "VM-MINE exact marginal",
        {
            "metric": "mine",
            "alpha": 2.0,
            "metric_settings": {"marginal": "table", "hidden_layers": 2, "samples": _SAMPLES},
        },
    ),
    # The best on the heads to validate on: it ships as t1-flair.
    "vm-nmi": Kind("VM-NMI", {"metric": "nmi", "alpha": 5.0}, refined=("+svf", "+svf40")),
    # Any two contrasts of a brain, from labels alone.
    "brain": Kind(
        "brain (labels; T1, T2, FLAIR, PD)",
        {
            "fixed": ("T1", "T2", "FLAIR", "PD"),
            "moving": ("T1", "T2", "FLAIR", "PD"),
            "metric": "mse",
            "alpha": 0.0,
            "label_weight": 100.0,
            "jitter": 0.15,
            "warp_mm": 3.0,
            "rate": 1e-3,
            "warm_up": 200,
        },
        times=3,
    ),
}


@dataclass(frozen=True)
class Network:
    """One network to train: its row, its seed, and its weight where that is not the row's own."""

    kind: str
    seed: int = 0
    alpha: float | None = None

    @property
    def name(self) -> str:
        """What it is called in tables and folders."""
        weight = "" if self.alpha is None else f"-a{self.alpha:g}"
        return f"{self.kind}{weight}-s{self.seed}"


@dataclass(frozen=True)
class Schedule:
    """How long networks learn, and on what grid; the benchmark's own, for two cores, unless said otherwise."""

    steps: int = 2000
    shape: tuple[int, ...] = (48, 64, 48)
    spacing_mm: float = 3.3
    more: dict[str, Any] = field(default_factory=dict)


def networks(kinds: Sequence[str], seeds: int | None, alphas: Sequence[float]) -> list[Network]:
    """All that is to be trained, the first seed of every row first, then weights, then more seeds."""
    first = [Network(kind) for kind in kinds]
    swept = [Network(kind, alpha=a) for kind in kinds if KINDS[kind].sweep for a in alphas]
    more = [
        Network(kind, seed)
        for seed in range(1, max((KINDS[k].seeds for k in kinds), default=1))
        for kind in kinds
        if seed < (KINDS[kind].seeds if seeds is None else min(seeds, KINDS[kind].seeds))
    ]
    own = {kind: KINDS[kind].changes["alpha"] for kind in kinds}
    return [*first, *(n for n in swept if n.alpha != own[n.kind]), *more]


def recipe_of(network: Network, table: Path, data: Path, schedule: Schedule) -> VelocityRecipe:
    """What a network of the benchmark is trained by."""
    changes = dict(KINDS[network.kind].changes)
    if network.alpha is not None:
        changes["alpha"] = network.alpha
    values = {
        "images": str(table),
        "reference": str(data.resolve() / REFERENCE),
        "numbering": "neuromorphometrics",
        "fixed": ("T1",),
        "moving": ("FLAIR",),
        "shape": schedule.shape,
        "spacing_mm": schedule.spacing_mm,
        "net": {"half": True},
        "rate": 2e-3,
        "head_start": 400,
        "steps": KINDS[network.kind].times * schedule.steps,
        "validate_every": min(500, schedule.steps),
        "seed": network.seed,
        "licence": "of the images: CC BY-NC 3.0",
        "notes": "OASIS T1 and manual label maps of MICCAI 2012 (Neuromorphometrics); other contrasts made up from the"
        " labels",
    }
    return VelocityRecipe(**{**values, **changes, **schedule.more})


def train_all(
    wanted: Sequence[Network],
    data: Path,
    output: Path,
    schedule: Schedule,
    threads: int,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Train what is not done yet, in `output/models`; what was begun and stopped goes on from its checkpoint."""
    table = output / "images.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    write_table(data, table)
    for number, network in enumerate(wanted, start=1):
        folder, recipe = output / "models" / network.name, recipe_of(network, table, data, schedule)
        if done(folder, recipe.steps):
            continue
        say(f"training {network.name} [{len(wanted) - number} left]")
        # All see the same images on the same grid, which takes minutes to prepare once.
        prepared = output / "prepared"
        if prepared.exists() and not (folder / "prepared").exists():
            shutil.copytree(prepared, folder / "prepared")
        found = train(
            recipe, folder, resume=(folder / MODEL).exists(), machine=Machine("auto", threads=threads)
        )
        if not prepared.exists():
            shutil.copytree(folder / "prepared", prepared)
        shutil.rmtree(folder / "prepared")
        say(
            f"{network.name}: Dice on heads to validate on {found.best.best or 0:.4f} at step {found.best.best_step}"
        )


def done(folder: Path, steps: int) -> bool:
    """Whether a run in a folder has come to its end."""
    if not (folder / MODEL).exists() or not (folder / "log.jsonl").exists():
        return False
    log = read_log(folder)
    return bool(log) and "validation" in log[-1] and log[-1]["step"] >= steps


def model_of(output: Path, network: Network) -> Path:
    """Where a network's model is."""
    return output / "models" / network.name / MODEL
