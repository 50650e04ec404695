"""The file of results: one line of JSON for each case and method."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from inforeg.errors import ReadError


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
    """The rows of a file, of repeated runs the latest; none where there is no file.

    A line that was cut off, by a run that was killed, is left out. Raises `ReadError` for one with other fields.
    """
    rows: dict[tuple[str, str, int, int | None], Row] = {}
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
