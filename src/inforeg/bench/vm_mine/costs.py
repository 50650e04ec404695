"""What training costs by each metric, and a look at the paper's size: seconds and memory of whole processes."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from inforeg.bench.deformable.process import run_measured
from inforeg.bench.vm_mine.networks import KINDS, Network, Schedule, recipe_of
from inforeg.bench.vm_mine.sets import write_table
from inforeg.io import atomic_path
from inforeg.nets import VelocityNet, VelocityNetSettings
from inforeg.nets.canonical import Canonical
from inforeg.nets.files import ModelFile, write_model
from inforeg.train.listing import read_scans
from inforeg.train.loop import read_log
from inforeg.train.prepared import prepare

# The paper's: of 1 mm.
FULL_SIZE = (160, 192, 224)
_STEPS, _SKIPPED = 40, 10


@dataclass(frozen=True)
class Cost:
    """What training by one metric takes: pairs a second, and the most memory of the whole process."""

    kind: str
    pairs_per_s: float
    peak_mb: float
    samples: int | None


def training_costs(
    kinds: Sequence[str],
    data: Path,
    output: Path,
    schedule: Schedule,
    threads: int,
    say: Callable[[str], None] = lambda _line: None,
) -> list[Cost]:
    """Some steps of each row's recipe at equal size, and of those that sample voxels with all voxels too."""
    table = output / "images.csv"
    table.parent.mkdir(parents=True, exist_ok=True)
    write_table(data, table)
    found = []
    with TemporaryDirectory(prefix="inforeg-bench-") as work:
        kept = Path(work) / "prepared"
        first = recipe_of(Network(kinds[0]), table, data, schedule)
        scans = [scan for scan in read_scans(table) if scan.split != "test"]
        prepare(scans, first, kept)
        for kind in kinds:
            given = KINDS[kind].changes.get("metric_settings", {})
            for samples in dict.fromkeys((given.get("samples"), None)):
                settings = {**given, "samples": samples} if "samples" in given else given
                found.append(_cost(kind, samples, settings, table, data, schedule, threads, Path(work)))
                say(f"{kind}: {found[-1].pairs_per_s:.2f} pairs/s, {found[-1].peak_mb:.0f} MB")
    with atomic_path(output / "costs.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps([asdict(cost) for cost in found], indent=1), encoding="utf-8")
    return found


def _cost(
    kind: str,
    samples: int | None,
    settings: dict[str, Any],
    table: Path,
    data: Path,
    schedule: Schedule,
    threads: int,
    work: Path,
) -> Cost:
    recipe = recipe_of(Network(kind), table, data, schedule).replace(
        metric_settings={k: v for k, v in settings.items() if v is not None},
        steps=_STEPS,
        log_every=_SKIPPED,
        validate_every=_STEPS,
        validation_pairs=1,
        head_start=0,
    )
    folder = work / f"{kind}-{samples}"
    folder.mkdir()
    (folder / "prepared").symlink_to(work / "prepared")
    (work / "recipe.toml").write_text(recipe.to_toml(), encoding="utf-8")
    program = str(Path(sys.executable).with_name("inforeg"))
    command = [program, "train", str(work / "recipe.toml"), "-o", str(folder), "-j", str(threads), "-q"]
    taken = run_measured(command, work, threads, 3600.0)
    paces = [(line["step"], line["pairs_per_s"]) for line in read_log(folder) if "pairs_per_s" in line]
    # The first steps are slower, and are taken out of the mean from the beginning that the log has.
    (a, pace_a), (b, pace_b) = paces[0], paces[-1]
    return Cost(kind, (b - a) / (b / pace_b - a / pace_a), taken.peak_mb, samples)


def markdown(costs: Sequence[Cost]) -> str:
    """A line for each metric."""
    lines = ["| metric | voxels looked at | pairs/s | MB |", "| --- | ---: | ---: | ---: |"]
    for cost in costs:
        seen = "all" if cost.samples is None else f"{cost.samples}"
        lines.append(f"| {KINDS[cost.kind].title} | {seen} | {cost.pairs_per_s:.2f} | {cost.peak_mb:.0f} |")
    return "\n".join(lines) + "\n"


def write_full_size(folder: Path) -> dict[str, Path]:
    """Networks of the published size that have learnt nothing, which takes as long to look with as any: by name.

    `full-size` has velocities at the images' resolution, as published, and `full-size-half` at half of it.
    """
    found = {}
    for name, half in (("full-size", False), ("full-size-half", True)):
        net = VelocityNet(VelocityNetSettings(half=half), torch.Generator().manual_seed(0))
        model = ModelFile(net, Canonical(shape=FULL_SIZE, spacing_mm=1.0), {"summary": "has learnt nothing"})
        found[name] = folder / f"{name}.safetensors"
        write_model(model, found[name], overwrite=True)
    return found
