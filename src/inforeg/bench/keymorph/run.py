"""Every case by every contestant; what is done is not repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from statistics import fmean

import torch

from inforeg.bench.keymorph.contestants import CONTESTANTS, USUAL, Outcome, Setting
from inforeg.bench.keymorph.sets import SETS, PoseCase
from inforeg.bench.rows import append_row, read_rows
from inforeg.errors import InforegError
from inforeg.evaluate import dice
from inforeg.image import normalise, resample, resample_labels
from inforeg.transforms import Linear, Transform


@dataclass(frozen=True)
class Row:
    """One run. Errors are mean distances in mm at points of the fixed brain; None where there is nothing to measure.

    `points_mm` is the median distance of the fixed image's keypoints, where the truth takes them, from the moving
    image's; `mse` that of both images, of 0 to 1 each, in the fixed brain; `dice` the mean over all structures.
    """

    set: str
    number: int
    case: str
    angle_deg: float
    fixed: str
    moving: str
    method: str
    seconds: float
    problem: str = ""
    verdict: str = ""
    tre_mm: float | None = None
    before_mm: float | None = None
    mse: float | None = None
    dice: float | None = None
    points_mm: float | None = None
    residual_mm: float | None = None
    off_mm: float | None = None
    coverage: float | None = None


def key(row: Row) -> tuple[str, int, str]:
    """What makes a run another one."""
    return row.set, row.number, row.method


def rows_of(path: Path) -> list[Row]:
    """The runs that are done."""
    return read_rows(path, Row, key)


def run(
    sets: Sequence[str],
    methods: Sequence[str],
    first: int,
    cases: int,
    data: Path,
    output: Path,
    setting: Setting,
    spacing_mm: float,
    say: Callable[[str], None] = lambda _line: None,
) -> None:
    """Run cases `first` to `first + cases - 1` of each set, by the methods named or those the set is about."""
    path = output / "results.jsonl"
    done = {key(row) for row in rows_of(path)}
    for name in sets:
        for number in range(first, first + cases):
            asked = [m for m in (methods or USUAL[name]) if (name, number, m) not in done]
            asked = [m for m in asked if not CONTESTANTS[m].missing()]
            if not asked:
                continue
            case = SETS[name].make(number, data, spacing_mm)
            for method in asked:
                if CONTESTANTS[method].knows and case.truth is None:
                    continue
                row = _run(name, number, case, method, setting)
                append_row(path, row)
                figure = row.problem or " ".join(
                    f"{what} {value:.3g}"
                    for what, value in (("TRE", row.tre_mm), ("Dice", row.dice), ("s", row.seconds))
                    if value is not None
                )
                say(f"{name} {number}: {case.name}, {case.angle_deg:.0f} degrees, {method}: {figure}")


def _run(name: str, number: int, case: PoseCase, method: str, setting: Setting) -> Row:
    fixed, moving = case.contrasts
    begin = (name, number, case.name, case.angle_deg, fixed, moving, method)
    before = None if case.truth is None else _error_mm(case, Linear.identity(3))
    try:
        found = CONTESTANTS[method].run(case, setting)
    except InforegError as error:
        return Row(*begin, nan, str(error)[:200], "failed", before, before)
    points = found.points
    return Row(
        *begin,
        found.seconds,
        verdict=found.verdict,
        tre_mm=None if case.truth is None else _error_mm(case, found.transform),
        before_mm=before,
        mse=_mse(case, found.transform) if fixed == moving and case.truth is not None else None,
        dice=_dice(case, found.transform),
        points_mm=_points_mm(case, found),
        residual_mm=None if points is None else points.residual_mm,
        off_mm=None if points is None or points.off_mm is None else max(points.off_mm),
        coverage=None if points is None else points.coverage,
    )


def _error_mm(case: PoseCase, transform: Transform) -> float:
    assert case.truth is not None
    return float((transform(case.brain_mm) - case.truth(case.brain_mm)).norm(dim=1).mean())


def _points_mm(case: PoseCase, found: Outcome) -> float | None:
    if case.truth is None or found.points is None:
        return None
    apart = case.truth(found.points.fixed_mm) - found.points.moving_mm
    return float(apart.norm(dim=1).median())


def _mse(case: PoseCase, transform: Transform) -> float:
    fixed = normalise(case.fixed)
    warped = resample(normalise(case.moving), fixed.grid, transform)
    inside = fixed.data > 0.02
    return float((fixed.data - warped.data)[inside].square().mean())


def _dice(case: PoseCase, transform: Transform) -> float | None:
    if case.fixed_labels is None or case.moving_labels is None:
        return None
    warped = resample_labels(case.moving_labels, case.fixed_labels.grid, transform)
    both = set(torch.unique(case.fixed_labels.data).tolist()) & set(
        torch.unique(case.moving_labels.data).tolist()
    )
    values = dice(case.fixed_labels, warped, sorted(both - {0})).values()
    return fmean(0.0 if value != value else value for value in values)
