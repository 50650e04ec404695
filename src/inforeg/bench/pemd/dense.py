"""Fields from networks of displacements, before and after they were carried over, beside the pair solver's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

from torch import Tensor

from inforeg.bench.deformable.anatomy import brain_of, tissues
from inforeg.bench.deformable.case import Case
from inforeg.bench.deformable.measure import before, measured
from inforeg.bench.deformable.warps import random_warp, warped
from inforeg.bench.ditr.pairs import TESTED, patient, t1_of
from inforeg.bench.drmime.changes import generator_for
from inforeg.bench.pemd.run import TAUGHT, folder_of
from inforeg.bench.pemd.slices import places, slice_of, slice_of_labels
from inforeg.bench.rows import append_row, paired_p, read_rows
from inforeg.image import Image, Labels, resample_labels
from inforeg.methods import named
from inforeg.methods.method import Method
from inforeg.train.loop import MODEL

# The 95th percentile of displacements, slices of each patient, and steps of the pair solver after a network.
AMPLITUDE_MM, SLICES, STEPS = 10.0, 10, 20
_RESULTS = "dense.jsonl"
# What is asked is one line here: a network by its set and way, with or without steps of the pair solver after it, or
# the pair solver by a metric.
ASKED: dict[str, tuple[str, ...]] = {
    "as published, not adapted": ("within", TAUGHT),
    "not adapted": ("within-inverted", TAUGHT),
    "pemd-16+swd": ("within-inverted", "pemd-16+swd"),
    "windows": ("within-inverted", "windows"),
    "not adapted, 20 steps": ("within-inverted", TAUGHT, "refined"),
    "windows, 20 steps": ("within-inverted", "windows", "refined"),
    "mind_ssc": ("mind_ssc",),
    "mi_local": ("mi_local",),
}


@dataclass(frozen=True)
class DenseRow:
    """One run; errors in mm in the fixed brain, Dice of fluid, grey and white matter."""

    case: str
    asked: str
    seconds: float
    before_mm: float
    mean_mm: float
    before_dice: float
    dice: float
    folds: int


def key(row: DenseRow) -> tuple[str, str]:
    """What makes a run another one."""
    return row.case, row.asked


def rows_of(output: Path) -> list[DenseRow]:
    """What is done."""
    return read_rows(output / _RESULTS, DenseRow, key)


def case(data: Path, name: str, number: int) -> Case:
    """A slice of a patient that no network has learnt from: T1 as it is, and T2 bent by a known warp."""
    t1, t2, whole, classes = _head(data, name)
    place = places(whole, SLICES)[number]
    fixed, still = slice_of(t1, place), slice_of(t2, place)
    brain, labels = whole[..., place], slice_of_labels(classes, place)
    generator = generator_for("pemd-warp", name, str(number))
    warp = random_warp(fixed.grid, fixed.grid.to_world(brain.nonzero().double()), AMPLITUDE_MM, generator)
    moving = warped(still, fixed.grid, warp.inverse_on)
    return Case(
        "pemd",
        number,
        Path(name).name,
        fixed,
        moving,
        brain,
        truth=warp.on(fixed.grid),
        fixed_labels=labels,
        moving_labels=resample_labels(labels, fixed.grid, warp.inverse_on(fixed.grid)),
    )


@lru_cache(maxsize=1)
def _head(data: Path, name: str) -> tuple[Image, Image, Tensor, Labels]:
    """T1, T2, brain and tissues of a patient, which all of its slices share."""
    t1 = t1_of(data, name)
    brain = brain_of(t1)
    return t1, patient(data, name, "T2"), brain, tissues(t1, brain)


def run(data: Path, output: Path, say: Callable[[str], None]) -> list[DenseRow]:
    """Every case, by all that is asked and trained."""
    path = output / _RESULTS
    done = {key(row) for row in rows_of(output)}
    for name in TESTED:
        for number in range(SLICES):
            called = f"{Path(name).name}-{number:02d}"
            asked = [a for a in ASKED if (called, a) not in done and _ready(a, output)]
            if not asked:
                continue
            one = case(data, name, number)
            still = before(one)
            for way in asked:
                method = _method(way, output)
                began = perf_counter()
                result = method(one.fixed, one.moving)
                seconds = perf_counter() - began
                found = measured(one, result.transform, None)
                assert still.error_mm is not None and found.error_mm is not None
                assert still.dice is not None and found.dice is not None
                errors = (still.error_mm, found.error_mm, still.dice, found.dice)
                append_row(path, DenseRow(called, way, seconds, *errors, found.folds))
                say(f"{called}, {way}: {found.error_mm:.2f} mm of {still.error_mm:.2f}, {seconds:.1f} s")
    return rows_of(output)


def markdown(rows: Sequence[DenseRow]) -> str:
    """A line for each way."""
    lines = [
        "Errors in mm in the fixed brain and Dice of fluid, grey and white matter, means over slices; p of a two-sided"
        " paired t-test of the error against that of `mind_ssc`.\n",
        "| way | slices | error | Dice | folds | s | p |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    errors = {way: {row.case: row.mean_mm for row in rows if row.asked == way} for way in ASKED}
    start = {row.case: row for row in rows}.values()
    if start:
        error, overlap = fmean(r.before_mm for r in start), fmean(r.before_dice for r in start)
        lines.append(f"| before | {len(start)} | {error:.2f} | {100 * overlap:.1f} |  |  |  |")
    for way in ASKED:
        own = [row for row in rows if row.asked == way]
        if not own:
            continue
        lines.append(
            f"| {way} | {len(own)} | {fmean(row.mean_mm for row in own):.2f} |"
            f" {100 * fmean(row.dice for row in own):.1f} | {sum(row.folds for row in own)} |"
            f" {median(row.seconds for row in own):.1f} | {paired_p(errors['mind_ssc'], errors[way])} |"
        )
    return "\n".join(lines) + "\n"


def _model(asked: str, output: Path) -> Path:
    name, way = ASKED[asked][:2]
    return folder_of(output, name, 0, way) / MODEL


def _ready(asked: str, output: Path) -> bool:
    return len(ASKED[asked]) == 1 or _model(asked, output).is_file()


def _method(asked: str, output: Path) -> Method:
    if len(ASKED[asked]) == 1:
        return named("svf", "svf", metric=ASKED[asked][0], init="header")
    model, refine = str(_model(asked, output)), STEPS if ASKED[asked][2:] else 0
    return named("network", "svf", model=model, init="header", refine=refine)
