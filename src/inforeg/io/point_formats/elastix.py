"""elastix's lists of points, `.txt` and `.pts`: `point` (mm in LPS) or `index` (voxels), how many, then one a line."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.numbers import count, lines
from inforeg.io.point_formats.rows import BLANKS, coordinates, decode, encode, replaced, split, split_lines

_WORDS = {"point": "lps", "index": "voxel"}


@dataclass(frozen=True, eq=False)
class _List:
    lines: list[str]
    rows: list[int]
    word_line: int


def recognises(data: bytes) -> bool:
    """By its first word."""
    words = data[:200].split(maxsplit=1)
    return bool(words) and words[0].lower() in (b"point", b"index")


def read(data: bytes, name: str) -> Found:
    """Points `(n, 2 or 3)`; raises `ReadError` where there are not as many as promised."""
    if not recognises(data):
        raise ReadError(f"expected elastix's points in {name}, which begin with the word point or index")
    all_lines = split_lines(decode(data, name))
    full = [n for n, line in enumerate(all_lines) if line.strip()]
    if len(full) < 2 or len(all_lines[full[0]].split()) != 1:
        raise ReadError(
            f"{name}: expected the word point or index, then the number of points, each in its own line"
        )
    promised = count(all_lines[full[1]].strip().encode("ascii", "replace"), "points", name)
    rows = full[2:]
    if len(rows) != promised:
        raise ReadError(f"{name} promises {promised} points and holds {len(rows)} lines of them")
    numbers: list[list[float]] = []
    for n in rows:
        cells = split(all_lines[n], BLANKS)
        try:
            numbers.append(coordinates(cells, range(len(cells))))
        except ValueError:
            numbers.append([])
        if len(numbers[-1]) not in (2, 3) or len(numbers[-1]) != len(numbers[0]):
            raise ReadError(
                f"{name}, line {n + 1}: expected 2 or 3 coordinates, got {all_lines[n][:80].strip()!r}"
            )
    space = _WORDS[all_lines[full[0]].strip().lower()]
    return Found(
        np.array(numbers).reshape(len(rows), len(numbers[0]) if numbers else 3),
        space,
        _List(all_lines, rows, full[0]),
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The list with other coordinates, or a new one."""
    word = next((word for word, space in _WORDS.items() if space == label), "")
    if kept is None:
        return f"{word}\n{len(numbers)}\n{lines(numbers)}".encode("ascii")
    written = list(kept.lines)
    for n, values in zip(kept.rows, numbers.tolist(), strict=True):
        written[n] = replaced(written[n], BLANKS, range(len(values)), values)
    if label is not None:
        old = written[kept.word_line]
        written[kept.word_line] = old.replace(old.strip(), word)
    return encode("".join(written))
