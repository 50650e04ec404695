"""Tables of points, `.csv`, `.tsv` and `.txt`: columns x, y and z, and any others, which are kept.

A table says what its numbers are in a comment line above the first row, `# space: ras` (or lps, or voxel). ANTs' tables
(`x,y,z,t,label,comment`, in LPS) say nothing, and a comment line would keep ANTs from reading them: so a table that
came without such a line is written without one, unless its space is changed.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.numbers import is_number, lines
from inforeg.io.point_formats.rows import coordinates, decode, encode, replaced, separator, split, split_lines

_SPACE = re.compile(r"(\s*#\s*space\s*[:=]\s*)(\S*)(.*)", re.IGNORECASE | re.DOTALL)
_SPACES = ("ras", "lps", "voxel")
_BOM = "\ufeff"


@dataclass(frozen=True, eq=False)
class _Table:
    lines: list[str]
    rows: list[int]
    columns: list[int]
    mark: str
    space_line: int | None


def read(data: bytes, name: str) -> Found:
    """Points `(n, 2 or 3)`; columns may stand in any order and be separated by commas, semicolons, tabs or blanks.

    Raises `ReadError` where a row does not hold its 2 or 3 finite numbers, or has more cells than the header names.
    """
    text = decode(data, name)
    all_lines = split_lines(text)
    rows: list[int] = []
    space_line: int | None = None
    for n, line in enumerate(all_lines):
        line = line.lstrip(_BOM) if n == 0 else line
        bare = line.strip()
        if bare.startswith("#"):
            if not rows and space_line is None and _SPACE.fullmatch(line):
                space_line = n
        elif bare:
            rows.append(n)
    space = None if space_line is None else _said(all_lines[space_line].lstrip(_BOM), name)
    if not rows:
        raise ReadError(f"{name} holds no points")
    first = all_lines[rows[0]].lstrip(_BOM).strip("\r\n")
    mark = separator(first)
    header = split(first, mark)
    columns, named = _columns(header, name)
    rows = rows[1:] if named else rows
    numbers = np.empty((len(rows), len(columns)))
    for row, n in enumerate(rows):
        cells = split(all_lines[n].lstrip(_BOM).strip("\r\n"), mark)
        try:
            if any(cell.strip() for cell in cells[len(header) :]):
                raise ValueError
            numbers[row] = coordinates(cells, columns)
        except (ValueError, IndexError):
            wanted = f"{len(header)} cells with numbers in columns {', '.join(str(c + 1) for c in columns)}"
            raise ReadError(
                f"{name}, line {n + 1}: expected {wanted}, got {all_lines[n][:80].strip()!r}"
            ) from None
    others = len(header) - len(columns)
    beyond = f"{others} other column{'s' * (others > 1)}" if others else ""
    return Found(numbers, space, _Table(all_lines, rows, columns, mark, space_line), beyond)


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The table with other coordinates, or a new one: a line that says the space, a header and one line a point."""
    if kept is None:
        header = ",".join("xyz"[: numbers.shape[1]])
        return f"# space: {label}\n{header}\n{lines(numbers, ',')}".encode("ascii")
    table: _Table = kept
    written = list(table.lines)
    for n, values in zip(table.rows, numbers.tolist(), strict=True):
        written[n] = replaced(written[n], table.mark, table.columns, values)
    if label is not None and table.space_line is not None:
        written[table.space_line] = _SPACE.sub(rf"\g<1>{label}\g<3>", written[table.space_line])
    elif label is not None:
        bom = _BOM if written[0].startswith(_BOM) else ""
        end = written[0][len(written[0].rstrip("\r\n")) :] or "\n"
        written[0] = f"{bom}# space: {label}{end}{written[0].removeprefix(_BOM)}"
    return encode("".join(written))


def _said(line: str, name: str) -> str:
    found = _SPACE.fullmatch(line)
    word = found[2].lower() if found else ""
    if word not in _SPACES:
        raise ReadError(
            f"{name}: expected a line '# space: ras' (or lps, or voxel), got {line.strip()[:80]!r}"
        )
    return word


def _columns(cells: list[str], name: str) -> tuple[list[int], bool]:
    """Where x, y and z stand, and whether the first line says so."""
    names = [cell.strip().strip("\"'").strip().lower() for cell in cells]
    for axis in "xyz":
        if names.count(axis) > 1:
            raise ReadError(f"{name}: expected one column {axis}, got {names.count(axis)} of them")
    if "x" in names and "y" in names:
        return [names.index(axis) for axis in "xyz" if axis in names], True
    if not any(is_number(cell) for cell in names):
        raise ReadError(
            f"expected columns x, y and (in 3-D) z in the header of {name}, got {str(names)[:120]}"
        )
    if len(cells) not in (2, 3):
        raise ReadError(
            f"expected 2 or 3 coordinates a line in {name}, got {len(cells)} columns;"
            " a header line with x, y and z says which are the coordinates"
        )
    return list(range(len(cells))), False
