"""The file of results: one line of JSON for each case, spacing and method."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inforeg.errors import ReadError


@dataclass(frozen=True)
class Row:
    """What one contestant made of one case: `Measures`, those of doing nothing, and what the process took.

    Where it failed (`failure` says how) the errors are those of doing nothing. `seconds` are those of the whole
    process, `call_seconds` those of the tool's own call, `cpu_seconds` those of all processors together; `load` is how
    many processes wanted the machine when it began.
    """

    set: str
    case: str
    group: str
    method: str
    seed: int
    spacing_mm: float
    before_mm: float | None
    before_dice: float | None
    error_mm: float | None
    median_mm: float | None
    p95_mm: float | None
    dice: float | None
    folds: int
    share_folded: float
    smallest_jacobian: float
    sd_log_jacobian: float
    inverse_mean_mm: float | None
    inverse_max_mm: float | None
    seconds: float
    call_seconds: float
    cpu_seconds: float
    peak_mb: float
    threads: int
    load: float = 0.0
    when: str = ""
    verdict: str = ""
    failure: str = ""
    timed_out: bool = False
    version: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, float]:
        """What makes it the same run as another: it is not repeated."""
        return self.case, self.method, self.seed, self.spacing_mm

    @property
    def done(self) -> bool:
        """Whether it need not be tried again: it has an answer, or took longer than it was given."""
        return not self.failure or self.timed_out


def read_rows(path: Path) -> list[Row]:
    """The rows of a file, of repeated runs the latest; none where there is no file.

    A line that was cut off, by a run that was killed, is left out. Raises `ReadError` for one with other fields.
    """
    rows: dict[tuple[str, str, int, float], Row] = {}
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = Row(**json.loads(line))
        except ValueError:
            continue
        except TypeError:
            raise ReadError(
                f"expected a result of this version in line {number} of {path}, found other fields; move the file away"
            ) from None
        rows[row.key] = row
    return list(rows.values())


def append_row(path: Path, row: Row) -> None:
    """Write a row at the end of the file, which is made where it is not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut_off = path.exists() and path.read_bytes()[-1:] not in (b"", b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut_off else "") + json.dumps(asdict(row), ensure_ascii=False) + "\n")
