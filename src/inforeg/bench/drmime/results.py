"""The file of results: one line of JSON for each case and method."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inforeg.bench import rows
from inforeg.bench.rows import append_row

__all__ = ["Row", "append_row", "read_rows"]


@dataclass(frozen=True)
class Row:
    """What one contestant made of one case.

    Errors are those of its answer; where it failed (`failure` says how), of doing nothing. `distance` is the mean over
    the landmarks in `unit`. `size` is None where the set's own was taken; `load` is how many processes wanted the
    machine when it began; `matrix` is the answer, fixed to moving points;
    `settings` are those of a method of ours, resolved.
    """

    set: str
    case: str
    method: str
    seed: int
    size: int | None
    transform: str
    naed: float
    rtre_median: float
    rtre_mean: float
    distance: float
    unit: str
    seconds: float
    verdict: str = ""
    status: str = ""
    failure: str = ""
    threads: int = 1
    load: float = 0.0
    when: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    matrix: list[list[float]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str, int, int | None]:
        """What makes it the same run as another: it is not repeated."""
        return self.case, self.method, self.seed, self.size


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; see `rows.read_rows`."""
    return rows.read_rows(path, Row, lambda row: row.key)
