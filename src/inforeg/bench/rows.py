"""Files of results: one line of JSON for each run, appended as it ends and read back to go on from."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from inforeg.errors import ReadError

RowT = TypeVar("RowT")


def read_rows(path: Path, kind: Callable[..., RowT], key: Callable[[RowT], tuple[Any, ...]]) -> list[RowT]:
    """The rows of a file, of runs with the same `key` the latest; none where there is no file.

    A line that was cut off, by a run that was killed, is left out. Raises `ReadError` for one with other fields.
    """
    rows: dict[tuple[Any, ...], RowT] = {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = kind(**json.loads(line))
        except ValueError:
            continue
        except TypeError:
            raise ReadError(
                f"expected a result of this version in line {number} of {path}, found other fields; move the file away"
            ) from None
        rows[key(row)] = row
    return list(rows.values())


def paired_p(one: Mapping[Any, float], other: Mapping[Any, float]) -> str:
    """p of a two-sided paired t-test over the cases that both have, as a table says it; empty where it says nothing."""
    from scipy.stats import ttest_rel

    pairs = [(value, other[case]) for case, value in one.items() if case in other]
    # Without any spread between the differences there is no t.
    if len(pairs) < 3 or len({round(a - b, 12) for a, b in pairs}) == 1:
        return ""
    p = float(ttest_rel(*zip(*pairs, strict=True)).pvalue)
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def append_row(path: Path, row: Any) -> None:
    """Write a row, a dataclass, at the end of the file, which is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_off = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_off else "") + json.dumps(asdict(row), ensure_ascii=False) + "\n")
