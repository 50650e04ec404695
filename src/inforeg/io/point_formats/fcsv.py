"""Fiducials of 3D Slicer, `.fcsv`: a table whose head says the frame and the columns."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.rows import coordinates, decode, encode, replaced, split, split_lines

_SYSTEM = re.compile(r"(#\s*CoordinateSystem\s*=\s*)(\S*)(.*)", re.IGNORECASE | re.DOTALL)
_COLUMNS = re.compile(r"#\s*columns\s*=\s*(.*)", re.IGNORECASE | re.DOTALL)
# Slicer wrote numbers up to version 4.10, and names since.
_SPACES = {"0": "ras", "ras": "ras", "1": "lps", "lps": "lps", "2": "voxel", "ijk": "voxel"}
_NAMES = {"ras": "RAS", "lps": "LPS", "voxel": "IJK"}
_NEW_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"


@dataclass(frozen=True, eq=False)
class _Fiducials:
    lines: list[str]
    rows: list[int]
    columns: list[int]
    system_line: int | None


def read(data: bytes, name: str) -> Found:
    """Points `(n, 3)`; raises `ReadError` for a row without three finite coordinates or an unknown frame."""
    all_lines = split_lines(decode(data, name))
    rows: list[int] = []
    columns = [1, 2, 3]
    system_line: int | None = None
    space: str | None = None
    for n, line in enumerate(all_lines):
        if not line.startswith("#"):
            rows += [n] if line.strip() else []
            continue
        if found := _SYSTEM.match(line):
            system_line, space = n, _SPACES.get(found[2].lower())
            if space is None:
                raise ReadError(f"{name}: expected CoordinateSystem LPS or RAS, got {found[2][:40]!r}")
        elif found := _COLUMNS.match(line):
            names = [cell.strip().lower() for cell in found[1].split(",")]
            if any(names.count(axis) != 1 for axis in "xyz"):
                raise ReadError(f"{name}: expected columns x, y and z, got {str(names)[:120]}")
            columns = [names.index(axis) for axis in "xyz"]
    numbers = np.empty((len(rows), 3))
    for row, n in enumerate(rows):
        try:
            numbers[row] = coordinates(split(all_lines[n].strip("\r\n"), ","), columns)
        except (ValueError, IndexError):
            raise ReadError(
                f"{name}, line {n + 1}: expected three coordinates, got {all_lines[n][:80].strip()!r}"
            ) from None
    return Found(
        numbers, space, _Fiducials(all_lines, rows, columns, system_line), "labels and flags of fiducials"
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The fiducials with other coordinates, or new ones called F-1, F-2 and so on."""
    name = _NAMES.get(label or "", "")
    if kept is None:
        rows = (
            f"{n},{','.join(map(repr, row))},0,0,0,1,1,1,0,F-{n},,"
            for n, row in enumerate(numbers.tolist(), start=1)
        )
        head = (
            "# Markups fiducial file version = 4.11",
            f"# CoordinateSystem = {name}",
            f"# columns = {_NEW_COLUMNS}",
        )
        return ("\n".join((*head, *rows)) + "\n").encode("ascii")
    written = list(kept.lines)
    for n, values in zip(kept.rows, numbers.tolist(), strict=True):
        written[n] = replaced(written[n], ",", kept.columns, values)
    if label is not None and kept.system_line is not None:
        written[kept.system_line] = _SYSTEM.sub(rf"\g<1>{name}\g<3>", written[kept.system_line])
    elif label is not None:
        written.insert(0, f"# CoordinateSystem = {name}\n")
    return encode("".join(written))
