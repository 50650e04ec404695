"""Lines of cells: cut at their separator, changed in some cells, and put together again as they were."""

import re
from collections.abc import Sequence

from inforeg.errors import ReadError
from inforeg.io.point_formats.numbers import parse

_LINE_END = re.compile(r"(\r\n|\n|\r)")
_BLANKS = re.compile(r"(\s+)")

BLANKS = " "
"""The separator of cells that stand apart by any number of blanks."""


def decode(data: bytes, name: str) -> str:
    """The text of a file: UTF-8, and bytes that are not UTF-8 kept as they are."""
    if b"\0" in data:
        raise ReadError(f"expected a table of points in {name}, and it is not text; is it renamed?")
    return data.decode("utf-8", errors="surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` was given."""
    return text.encode("utf-8", errors="surrogateescape")


def split_lines(text: str) -> list[str]:
    """Lines with their ends; only line feeds and returns end a line."""
    pieces = _LINE_END.split(text)
    lines = [text + end for text, end in zip(pieces[::2], [*pieces[1::2], ""], strict=True)]
    return lines if lines[-1] else lines[:-1]


def separator(line: str) -> str:
    """What stands between the cells of a line: a comma, a semicolon or a tab, else blanks."""
    return next((mark for mark in ",;\t" if mark in line), BLANKS)


def split(line: str, mark: str) -> list[str]:
    """The cells of a line with the blanks about them, so that `mark.join` gives the line again.

    A separator between quotes does not count. Cells between blanks (`BLANKS`) come without what stands between them;
    `replaced` puts it back.
    """
    if mark == BLANKS:
        return line.split()
    cells = line.split(mark)
    if '"' not in line:
        return cells
    joined: list[str] = []
    held: list[str] = []
    quotes = 0
    for cell in cells:
        held.append(cell)
        quotes += cell.count('"')
        if quotes % 2 == 0:
            joined.append(mark.join(held))
            held, quotes = [], 0
    if held:
        joined.append(mark.join(held))
    return joined


def coordinates(cells: Sequence[str], columns: Sequence[int]) -> list[float]:
    """The numbers in some cells; raises `ValueError` or `IndexError` where they are none or not there."""
    return [parse(cells[column].strip().strip('"')) for column in columns]


def replaced(line: str, mark: str, columns: Sequence[int], values: Sequence[float]) -> str:
    """The line with other numbers in some cells; blanks, quotes and all other cells stay."""
    body = line.rstrip("\r\n")
    end = line[len(body) :]
    if mark == BLANKS:
        pieces = _BLANKS.split(body)
        first = 0 if pieces[0] else 2
        for column, value in zip(columns, values, strict=True):
            pieces[first + 2 * column] = repr(value)
        return "".join(pieces) + end
    cells = split(body, mark)
    for column, value in zip(columns, values, strict=True):
        old = cells[column]
        cells[column] = old.replace(old.strip().strip('"'), repr(value), 1)
    return mark.join(cells) + end
