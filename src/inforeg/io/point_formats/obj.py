"""Wavefront OBJ meshes, `.obj`: the lines of vertices (`v x y z`) are replaced, all others stay.

3D Slicer says the frame in a comment (`SPACE=LPS`); other tools say nothing.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found, space_comment
from inforeg.io.point_formats.numbers import parse_all


class _Mesh(NamedTuple):
    lines: list[bytes]
    vertices: list[int]


def read(data: bytes, name: str) -> Found:
    """Vertices `(n, 3)`; raises `ReadError` where one has not three coordinates, or there is none."""
    lines = data.split(b"\n")
    vertices = [n for n, line in enumerate(lines) if line.split(None, 1)[:1] == [b"v"]]
    if not vertices or b"\0" in data:
        raise ReadError(f"expected an OBJ mesh with vertices in {name}, and it holds none; is it renamed?")
    words: list[bytes] = []
    for n in vertices:
        cells = lines[n].split()
        if len(cells) < 4:
            raise ReadError(f"{name}, line {n + 1}: expected three coordinates, got {lines[n][:60]!r}")
        words += cells[1:4]
    comments = b"\n".join(line for line in lines if line.startswith(b"#"))
    others = any(line.strip() and not line.startswith((b"#", b"v ")) for line in lines)
    return Found(
        parse_all(words, name).reshape(-1, 3),
        space_comment.said(comments, name),
        _Mesh(lines, vertices),
        "faces" if others else "",
        "normals" if any(line.startswith(b"vn") for line in lines) else "",
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The mesh with its vertices elsewhere, or new vertices without faces; every digit is kept."""
    texts = [" ".join(map(repr, row)).encode("ascii") for row in numbers.tolist()]
    if kept is None:
        return b"# SPACE=%s\n" % (label or "").upper().encode() + b"".join(b"v %s\n" % text for text in texts)
    written = list(kept.lines)
    for n, text in zip(kept.vertices, texts, strict=True):
        line = written[n]
        # What follows the coordinates may be a weight or a colour.
        rest = line.split()[4:]
        written[n] = b" ".join((b"v", text, *rest)) + (b"\r" if line.endswith(b"\r") else b"")
    if label is not None:
        said = [n for n, line in enumerate(written) if line.startswith(b"#") and b"SPACE" in line]
        for n in said:
            written[n] = space_comment.saying(written[n], label)
        if not said:
            written.insert(0, b"# SPACE=%s" % label.upper().encode())
    return b"\n".join(written)
