"""Error against time: how far off a method is at each moment of its run, over some cases of a set."""

import csv
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from pathlib import Path
from statistics import median

from inforeg.bench.drmime.case import Case
from inforeg.bench.drmime.contestants import FAITHFUL, OURS
from inforeg.evaluate import naed
from inforeg.io import atomic_path
from inforeg.transforms import Transform

# Moments at which a path is measured, closer together at its beginning.
MOST_MOMENTS = 120
# An error counts as reached from this far above it on.
REACHED = 1.05
_HEAD = ("set", "case", "method", "seconds", "naed")


@dataclass(frozen=True)
class Curve:
    """A method on a case: its NAED from each of some moments (seconds) on; before the first, that of the start."""

    set: str
    case: str
    method: str
    seconds: list[float]
    naed: list[float]

    def at(self, seconds: float) -> float:
        """The error at that time; that of the first moment before it."""
        return self.naed[max(bisect_right(self.seconds, seconds) - 1, 0)]

    def reaches(self, error: float) -> float | None:
        """The first moment from which on the error stays at most so large; None where it never does."""
        if self.naed[-1] > error:
            return None
        last = max((n for n, value in enumerate(self.naed) if value > error), default=-1)
        return self.seconds[last + 1]


def curve_of(case: Case, method: str, path: Sequence[Transform], seconds: float) -> Curve:
    """The curve of a run that kept its steps: they are taken to have come evenly over its seconds."""
    steps = len(path)
    chosen = sorted({round(exp(log(steps) * n / (MOST_MOMENTS - 1))) for n in range(MOST_MOMENTS)})
    points = case.fixed_points_mm, case.moving_points_mm, case.frame
    errors = [float(naed(path[n - 1], *points).mean()) for n in chosen]
    return Curve(case.set, case.name, method, [seconds * n / steps for n in chosen], errors)


def middle(curves: Sequence[Curve], moments: int = 100) -> tuple[list[float], list[float]]:
    """The median error over cases at moments from the first to the median end, which lie evenly on a log scale."""
    first = median(curve.seconds[0] for curve in curves)
    end = median(curve.seconds[-1] for curve in curves)
    if end <= first:
        return [end], [median(curve.naed[-1] for curve in curves)]
    times = [first * (end / first) ** (n / (moments - 1)) for n in range(moments)]
    errors = [median(curve.at(time) for curve in curves) for time in times]
    # At the end stands what the runs ended with, also those that took longer.
    errors[-1] = median(curve.naed[-1] for curve in curves)
    return times, errors


def comparison(curves: Sequence[Curve]) -> str:
    """How long our method takes to the published form's final error, in a sentence; nothing without both."""
    ours = {curve.case: curve for curve in curves if curve.method == OURS}
    theirs = {curve.case: curve for curve in curves if curve.method == FAITHFUL}
    common = [case for case in theirs if case in ours]
    if not common:
        return ""
    shares, whole = [], []
    for case in common:
        error = REACHED * theirs[case].naed[-1]
        reached, needed = ours[case].reaches(error), theirs[case].reaches(error)
        assert needed is not None
        whole.append(float("inf") if reached is None else reached / theirs[case].seconds[-1])
        shares.append(float("inf") if reached is None else reached / needed)
    got = sum(share < float("inf") for share in shares)
    return (
        f"{OURS} comes to within 5 % of {FAITHFUL}'s final error in {got} of {len(common)} cases, in"
        f" {median(shares):.3f} of the time that {FAITHFUL} takes to it and {median(whole):.3f} of its whole run"
        " (medians)."
    )


def read_curves(path: Path) -> list[Curve]:
    """The curves of a table in CSV; none where there is no file."""
    if not path.exists():
        return []
    found: dict[tuple[str, str, str], tuple[list[float], list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            seconds, errors = found.setdefault((row["set"], row["case"], row["method"]), ([], []))
            seconds.append(float(row["seconds"]))
            errors.append(float(row["naed"]))
    return [Curve(*key, *values) for key, values in found.items()]


def write_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Write curves as a table in CSV, in the place of what is there."""
    with (
        atomic_path(path, overwrite=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(_HEAD)
        for curve in curves:
            for seconds, error in zip(curve.seconds, curve.naed, strict=True):
                writer.writerow((curve.set, curve.case, curve.method, f"{seconds:.4f}", f"{error:.6g}"))
