"""Every case by every contestant; what is done is not repeated."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path

from inforeg.bench.ditr.cases import SETS, FreCase
from inforeg.bench.ditr.contestants import CONTESTANTS, USUAL, Setting
from inforeg.bench.rows import append_row, read_rows
from inforeg.errors import InforegError
from inforeg.transforms import Linear, Transform


@dataclass(frozen=True)
class Row:
    """One run. Errors are mean distances at the landmarks in mm (FRE); None where there is no transform."""

    set: str
    number: int
    case: str
    method: str
    seconds: float
    before_mm: float
    fre_mm: float | None
    verdict: str = ""
    problem: str = ""


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
            case = SETS[name].make(number, data)
            for method in asked:
                row = _run(name, number, case, method, setting)
                append_row(path, row)
                told = row.problem or f"FRE {row.fre_mm:.3g} mm, {row.seconds:.3g} s"
                say(f"{name} {number}: {case.name}, {method}: {told}")


def _run(name: str, number: int, case: FreCase, method: str, setting: Setting) -> Row:
    before = _fre(case, Linear.identity(case.fixed.grid.ndim))
    try:
        found = CONTESTANTS[method].run(name, case, setting)
    except InforegError as error:
        return Row(name, number, case.name, method, nan, before, None, "failed", str(error)[:200])
    fre = _fre(case, found.transform)
    return Row(name, number, case.name, method, found.seconds, before, fre, found.verdict)


def _fre(case: FreCase, transform: Transform) -> float:
    apart = transform(case.landmarks_mm) - case.truth(case.landmarks_mm)
    return float(apart.norm(dim=1).mean())
