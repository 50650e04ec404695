"""STL surfaces, `.stl`, in text or binary: each triangle has three points of its own, and a normal.

The points are replaced and the normals follow them; colours and names stay. 3D Slicer says the frame in the header
(`SPACE=LPS`); other tools say nothing.
"""

import re
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found, space_comment
from inforeg.io.point_formats.numbers import cast, finite, parse_all

_HEADER_BYTES = 80
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("points", "<f4", (3, 3)), ("colour", "<u2")])
_LINE = re.compile(
    rb"([ \t]*(?:facet[ \t]+normal|vertex)[ \t]+)(\S++)[ \t]++(\S++)[ \t]++(\S++)(\s*)", re.IGNORECASE
)


class _Binary(NamedTuple):
    header: bytes
    triangles: NDArray[Any]


class _Text(NamedTuple):
    lines: list[bytes]
    places: list[int]  # of a normal and three points, triangle after triangle


def read(data: bytes, name: str) -> Found:
    """The corners of all triangles, `(3 n, 3)`; raises `ReadError` where one is not whole."""
    head = _HEADER_BYTES + 4
    triangles = int.from_bytes(data[_HEADER_BYTES:head], "little")
    if len(data) == head + triangles * _TRIANGLE.itemsize and len(data) >= head:
        found = np.frombuffer(data, _TRIANGLE, triangles, head)
        header = data[:_HEADER_BYTES]
        numbers = finite(found["points"], name).reshape(-1, 3)
        return Found(numbers, space_comment.said(header, name), _Binary(header, found), "triangles")
    if not data.lstrip()[:5].lower() == b"solid":
        raise ReadError(
            f"expected an STL file in {name}: text that begins with solid, or {triangles} triangles"
            f" ({head + triangles * _TRIANGLE.itemsize} bytes), and it has {len(data)} bytes"
        )
    lines = data.splitlines(keepends=True)
    found_lines = [(n, match) for n, line in enumerate(lines) if (match := _LINE.fullmatch(line))]
    kinds = b"".join(b"v" if b"vertex" in match[1].lower() else b"n" for _, match in found_lines)
    if kinds != b"nvvv" * (len(kinds) // 4) or data.lower().count(b"endfacet") * 4 != len(kinds):
        raise ReadError(
            f"{name}: expected a normal and three points in each facet; it is damaged or cut short"
        )
    words = [match[n] for _, match in found_lines for n in (2, 3, 4)]
    numbers = parse_all(words, name).reshape(-1, 4, 3)[:, 1:].reshape(-1, 3)
    comment = b" ".join(line for line in lines if line.lstrip()[:5].lower() == b"solid")
    return Found(
        numbers, space_comment.said(comment, name), _Text(lines, [n for n, _ in found_lines]), "triangles"
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The surface with its points elsewhere, in float32."""
    points = cast(numbers, np.dtype("<f4")).reshape(-1, 3, 3)
    normals = _normals(points)
    if isinstance(kept, _Binary):
        moved = np.array(kept.triangles)
        moved["points"], moved["normal"] = points, normals
        header = kept.header
        if label is not None:
            header = space_comment.saying(header.rstrip(b"\0 "), label)[:_HEADER_BYTES].ljust(
                _HEADER_BYTES, b"\0"
            )
            header = header if label.upper().encode() in header else b"SPACE=%s" % label.upper().encode()
            header = header.ljust(_HEADER_BYTES, b"\0")
        return header + len(moved).to_bytes(4, "little") + moved.tobytes()
    lines = list(kept.lines)
    rows = np.concatenate((normals[:, None], points), axis=1).reshape(-1, 3).astype(np.str_).tolist()
    for n, row in zip(kept.places, rows, strict=True):
        match = _LINE.fullmatch(lines[n])
        if match:
            lines[n] = match[1] + " ".join(row).encode("ascii") + match[5]
    if label is not None:
        first = lines[0].rstrip()
        lines[0] = space_comment.saying(first, label) + lines[0][len(first) :]
    return b"".join(lines)


def _normals(points: NDArray[Any]) -> NDArray[Any]:
    """Unit normals by the right-hand rule; zero for a triangle without area."""
    corners = points.astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    result: NDArray[Any] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0).astype(
        "<f4"
    )
    return result
