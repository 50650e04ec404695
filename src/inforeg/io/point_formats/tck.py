"""MRtrix's streamlines, `.tck`: points in RAS+ mm; the header and where streamlines end stay as they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.numbers import cast, count

_TYPES = {b"float32le": "<f4", b"float32be": ">f4", b"float64le": "<f8", b"float64be": ">f8"}
_MOST_HEADER = 1 << 20


@dataclass(frozen=True, eq=False)
class _Streamlines:
    head: bytes
    rows: NDArray[Any]  # NaN between streamlines
    is_point: NDArray[np.bool_]
    tail: bytes


def read(data: bytes, name: str) -> Found:
    """All points of all streamlines, `(n, 3)`; raises `ReadError` where the mark at the end is missing."""
    fields, head_end = _fields(data, name)
    word = fields.get(b"datatype", b"float32le").lower()
    if word not in _TYPES:
        raise ReadError(f"{name}: expected points of type Float32 or Float64, LE or BE, got {word[:40]!r}")
    dtype = np.dtype(_TYPES[word])
    where = fields.get(b"file", b"").split()
    if len(where) != 2 or where[0] != b".":
        raise ReadError(
            f"{name}: expected its points in the same file ('file: . <offset>'), got {str(where)[:80]}"
        )
    offset = count(where[1], "bytes before the points", name)
    if offset < head_end:
        raise ReadError(f"{name}: its header of {head_end} bytes says that the points begin at byte {offset}")
    triples = max(0, len(data) - offset) // (3 * dtype.itemsize)
    rows = np.frombuffer(data, dtype, 3 * triples, offset if triples else 0).reshape(-1, 3)
    ends = np.flatnonzero(np.isinf(rows).all(axis=1))
    if len(ends) == 0:
        raise ReadError(f"{name} is cut short: it does not end with the mark of three infinite numbers")
    end = int(ends[0])
    rows = rows[:end]
    is_point = ~np.isnan(rows).all(axis=1)
    numbers = rows[is_point].astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ReadError(f"{name}: a coordinate is NaN or infinite")
    kept = _Streamlines(data[:offset], rows, is_point, data[offset + rows.nbytes :])
    return Found(numbers, "ras", kept, "streamlines (which points belong together)")


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The streamlines with their points elsewhere, in the type they had."""
    rows = np.array(kept.rows)
    rows[kept.is_point] = cast(numbers, rows.dtype)
    return bytes(kept.head) + rows.tobytes() + bytes(kept.tail)


def _fields(data: bytes, name: str) -> tuple[dict[bytes, bytes], int]:
    """The keys of the header (of a key that stands twice, the first), and where the header ends."""
    if not data.startswith(b"mrtrix tracks"):
        raise ReadError(f"expected MRtrix streamlines, and {name} does not begin with 'mrtrix tracks'")
    fields: dict[bytes, bytes] = {}
    place = 0
    for line in data[:_MOST_HEADER].splitlines(keepends=True):
        place += len(line)
        if line.strip() == b"END":
            return fields, place
        key, _, value = line.partition(b":")
        fields.setdefault(key.strip().lower(), value.strip())
    raise ReadError(f"{name}: its header does not come to an END")
