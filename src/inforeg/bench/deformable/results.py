"""The file of results: one line of JSON for each case, spacing and method."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inforeg.bench import rows
from inforeg.bench.rows import append_row

__all__ = ["Row", "append_row", "read_rows"]


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
    """The rows of a file; see `rows.read_rows`."""
    return rows.read_rows(path, Row, lambda row: row.key)
