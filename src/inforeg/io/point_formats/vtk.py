"""Legacy VTK files, `.vtk`, of version 1 to 5: polygons, unstructured and structured grids, ASCII or binary.

Only the block of points is read; cells, data and all else go from file to file as they are, so their versions do not
matter. 3D Slicer says the frame in the comment line (`SPACE=LPS`); other tools say nothing.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found, space_comment
from inforeg.io.point_formats import numbers as text_numbers

_KINDS = (b"POLYDATA", b"UNSTRUCTURED_GRID", b"STRUCTURED_GRID")
# Binary values are big-endian.
_TYPES = {
    b"float": ">f4",
    b"double": ">f8",
    b"char": ">i1",
    b"unsigned_char": ">u1",
    b"short": ">i2",
    b"unsigned_short": ">u2",
    b"int": ">i4",
    b"unsigned_int": ">u4",
    b"long": ">i8",
    b"unsigned_long": ">u8",
    b"vtkidtype": ">i8",
    b"vtktypeint64": ">i8",
    b"vtktypeuint64": ">u8",
}
# Attributes that turn with the surface, which is not done here.
_TURNING = (b"NORMALS", b"VECTORS", b"TENSORS", b"TENSORS6")
# It ends with an empty line.
_METADATA = re.compile(rb"\s*METADATA\b.*?\n[ \t]*\r?\n", re.DOTALL)


@dataclass(frozen=True, eq=False)
class _Mesh:
    start: bytes  # the line with the version
    comment: bytes
    head: bytes  # from behind the comment up to the points
    dtype: np.dtype[Any]
    is_binary: bool
    tail: bytes


def read(data: bytes, name: str) -> Found:
    """Points `(n, 3)`; raises `ReadError` for images and fields, which have no points, and for damaged files."""
    reader = _Reader(data, name)
    start = reader.line()
    if not start.lower().startswith(b"# vtk datafile version"):
        raise ReadError(
            f"expected a legacy VTK file, and {name} does not begin with '# vtk DataFile Version'"
        )
    comment = reader.line()
    place = reader.place
    mode = reader.line().strip().upper()
    if mode not in (b"ASCII", b"BINARY"):
        raise ReadError(f"{name}: expected ASCII or BINARY in its third line, got {mode[:40]!r}")
    reader.is_binary = mode == b"BINARY"
    head_end, count, dtype = reader.to_points()
    numbers = text_numbers.finite(reader.values(3 * count, dtype, "points"), name).reshape(-1, 3)
    tail = data[reader.place :]
    mesh = _Mesh(start, comment, data[place:head_end], dtype, reader.is_binary, tail)
    turning = [word.decode().lower() for word in _TURNING if b"\n" + word + b" " in tail]
    beyond = "cells and data" if tail.strip() else ""
    return Found(numbers, space_comment.said(comment, name), mesh, beyond, " and ".join(turning))


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The mesh with its points elsewhere, in the type they had (integers become double); or new points as vertices."""
    if kept is None:
        count = len(numbers)
        vertices = "".join(f"1 {n}\n" for n in range(count))
        return (
            f"# vtk DataFile Version 3.0\ninforeg SPACE={(label or '').upper()}\nASCII\nDATASET POLYDATA\n"
            f"POINTS {count} double\n{text_numbers.lines(numbers)}VERTICES {count} {2 * count}\n{vertices}"
        ).encode("ascii")
    mesh: _Mesh = kept
    end = b"\r\n" if mesh.comment.endswith(b"\r\n") else b"\n"
    comment = mesh.comment
    if label is not None:
        comment = space_comment.saying(comment.rstrip(b"\r\n"), label) + end
    dtype = mesh.dtype if mesh.dtype.kind == "f" else np.dtype(">f8")
    values = text_numbers.cast(numbers, dtype)
    kind = b"float" if dtype.itemsize == 4 else b"double"
    points = b"POINTS %d %s" % (len(numbers), kind) + end
    if mesh.is_binary:
        points += values.tobytes() + b"\n"
    else:
        points += text_numbers.lines(values.astype(dtype.newbyteorder("="))).encode("ascii")
    return mesh.start + comment + mesh.head + points + _without_ranges(mesh.tail)


class _Reader:
    """Goes through a file from the front."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        self.place = 0
        self.is_binary = False

    def line(self) -> bytes:
        """The next line, with its end."""
        if self.place >= len(self.data):
            raise ReadError(f"{self.name} is cut short: it ends before its points")
        end = self.data.find(b"\n", self.place) + 1 or len(self.data)
        found = self.data[self.place : end]
        self.place = end
        return found

    def to_points(self) -> tuple[int, int, np.dtype[Any]]:
        """Where the line with POINTS begins, how many there are, and of what type."""
        while True:
            before = self.place
            words = self.line().split()
            key = words[0].upper() if words else b""
            if key == b"POINTS" and len(words) == 3:
                return before, text_numbers.count(words[1], "points", self.name), self.type(words[2])
            if key == b"DATASET" and len(words) == 2:
                if words[1].upper() not in _KINDS:
                    known = ", ".join(kind.decode() for kind in _KINDS)
                    raise ReadError(
                        f"{self.name}: expected a data set with points ({known}), got {words[1][:40]!r}"
                    )
            elif key == b"FIELD" and len(words) == 3:
                for _ in range(text_numbers.count(words[2], "fields", self.name)):
                    self.skip_array()
            elif key == b"METADATA":
                while self.line().strip():
                    pass
            elif key not in (b"", b"DIMENSIONS"):
                raise ReadError(f"{self.name}: expected POINTS, got {b' '.join(words)[:60]!r}")

    def skip_array(self) -> None:
        words: list[bytes] = []
        while not words:
            words = self.line().split()
            if words == [b"METADATA"]:
                while self.line().strip():
                    pass
                words = []
        if len(words) != 4:
            raise ReadError(
                f"{self.name}: expected the name, size and type of a field, got {b' '.join(words)[:60]!r}"
            )
        count = text_numbers.count(words[1], "components", self.name)
        count *= text_numbers.count(words[2], "values", self.name)
        if words[3].lower() == b"string" and not self.is_binary:
            text_numbers.promised(count, len(self.data) - self.place, f"{count} lines of text", self.name)
            for _ in range(count):
                self.line()
            return
        self.block(count, self.type(words[3]), "fields")

    def type(self, word: bytes) -> np.dtype[Any]:
        if word.lower() not in _TYPES:
            raise ReadError(
                f"{self.name}: expected values of a type such as float or double, got {word[:40]!r}"
            )
        return np.dtype(_TYPES[word.lower()])

    def block(self, count: int, dtype: np.dtype[Any], what: str) -> bytes | list[bytes]:
        """The next `count` values, as bytes or words; the place is then behind them."""
        left = len(self.data) - self.place
        # A number in text has at least one letter and one blank.
        needed = count * dtype.itemsize if self.is_binary else max(0, 2 * count - 1)
        text_numbers.promised(needed, left, f"{count} values of {what}", self.name)
        if self.is_binary:
            found = self.data[self.place : self.place + needed]
            self.place += needed
            # VTK ends a block with a line end.
            self.place += self.data[self.place : self.place + 1] == b"\n"
            return found
        if count == 0:
            return []
        words = self.data[self.place :].split(None, count)
        if len(words) < count:
            raise ReadError(
                f"{self.name} is cut short: it promises {count} values of {what} and holds {len(words)}"
            )
        self.place = len(self.data) - (len(words[count]) if len(words) > count else 0)
        return words[:count]

    def values(self, count: int, dtype: np.dtype[Any], what: str) -> NDArray[Any]:
        block = self.block(count, dtype, what)
        if isinstance(block, bytes):
            return np.frombuffer(block, dtype)
        return text_numbers.parse_all(block, self.name)


def _without_ranges(tail: bytes) -> bytes:
    """What follows the points, without VTK's note of how long their vectors were."""
    note = _METADATA.match(tail)
    return tail if note is None else tail[note.end() :]
