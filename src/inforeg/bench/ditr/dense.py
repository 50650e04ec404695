"""The learnt metric in the deformable solver, beside its other metrics, on warps that are known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from time import perf_counter

from inforeg.bench.deformable.measure import before, measured
from inforeg.bench.deformable.sets import Source, known, known_pairs
from inforeg.bench.ditr.pairs import CONTRASTS, TESTED
from inforeg.bench.rows import append_row, paired_p, read_rows
from inforeg.methods import named

METRICS = ("ditr", "mi_local", "mi", "mind_ssc", "mine")
_SPACING_MM = 1.0


@dataclass(frozen=True)
class DenseRow:
    """One run; errors in mm in the fixed brain."""

    number: int
    group: str
    metric: str
    seconds: float
    before_mm: float
    mean_mm: float
    median_mm: float
    folds: int


def key(row: DenseRow) -> tuple[int, str]:
    """What makes a run another one."""
    return row.number, row.metric


def cases() -> list[int]:
    """The numbers of the known warps, T1 to T2 or FLAIR, of the patients that no metric has learnt from."""
    return [
        n
        for n, pair in enumerate(known_pairs())
        if pair.patient in TESTED and pair.fixed == "T1" and pair.moving in CONTRASTS
    ]


def run(
    data: Path, output: Path, metric: Path, count: int, seed: int, say: Callable[[str], None]
) -> list[DenseRow]:
    """The first cases by every metric of the pair solver, from the headers, at 1 mm."""
    path = output / "dense.jsonl"
    done = {key(row) for row in read_rows(path, DenseRow, key)}
    source = Source(data, seed, _SPACING_MM, output)
    for number in cases()[:count]:
        asked = [name for name in METRICS if (number, name) not in done]
        if not asked:
            continue
        case = known(number, source)
        still = before(case).error_mm
        for name in asked:
            by = str(metric) if name == "ditr" else name
            method = named("svf", "svf", metric=by, init="header", seed=seed)
            began = perf_counter()
            result = method(case.fixed, case.moving)
            seconds = perf_counter() - began
            found = measured(case, result.transform, None)
            assert still is not None and found.error_mm is not None and found.median_mm is not None
            row = DenseRow(
                number, case.group, name, seconds, still, found.error_mm, found.median_mm, found.folds
            )
            append_row(path, row)
            say(f"warp {number} ({case.group}), {name}: {row.mean_mm:.2f} mm of {still:.2f}, {seconds:.0f} s")
    return read_rows(path, DenseRow, key)


def markdown(rows: Sequence[DenseRow]) -> str:
    """A line for each metric."""
    lines = [
        "Errors in mm in the fixed brain, means over cases; p of a two-sided paired t-test of the mean error against"
        " that of `ditr`.\n",
        "| metric | cases | mean error | median error | folds | s | p |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    errors = {name: {row.number: row.mean_mm for row in rows if row.metric == name} for name in METRICS}
    start = {row.number: row.before_mm for row in rows}
    lines.append(f"| none | {len(start)} | {fmean(start.values()):.2f} |  |  |  |  |")
    for name in METRICS:
        own = [row for row in rows if row.metric == name]
        if not own:
            continue
        lines.append(
            f"| {name} | {len(own)} | {fmean(row.mean_mm for row in own):.2f} |"
            f" {fmean(row.median_mm for row in own):.2f} | {sum(row.folds for row in own)} |"
            f" {median(row.seconds for row in own):.0f} | {paired_p(errors['ditr'], errors[name])} |"
        )
    return "\n".join(lines) + "\n"
