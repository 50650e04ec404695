"""PLY meshes, `.ply`, in text or binary: the coordinates of vertices are replaced, all else stays byte for byte.

3D Slicer says the frame in a comment (`SPACE=LPS`); other tools say nothing.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found, space_comment
from inforeg.io.point_formats.numbers import cast, count, finite, lines, parse_all, promised

_TYPES = {
    **dict.fromkeys((b"char", b"int8"), "i1"),
    **dict.fromkeys((b"uchar", b"uint8"), "u1"),
    **dict.fromkeys((b"short", b"int16"), "i2"),
    **dict.fromkeys((b"ushort", b"uint16"), "u2"),
    **dict.fromkeys((b"int", b"int32"), "i4"),
    **dict.fromkeys((b"uint", b"uint32"), "u4"),
    **dict.fromkeys((b"float", b"float32"), "f4"),
    **dict.fromkeys((b"double", b"float64"), "f8"),
}
_ORDERS = {b"ascii": "", b"binary_little_endian": "<", b"binary_big_endian": ">"}
_MOST_HEADER_LINES = 10_000


@dataclass(frozen=True, eq=False)
class _Mesh:
    head: bytes
    order: str
    dtype: np.dtype[Any]
    vertices: NDArray[Any] | list[list[bytes]]
    tail: bytes


def read(data: bytes, name: str) -> Found:
    """Vertices `(n, 3)`; raises `ReadError` where they are not the first element, or not of numbers x, y and z."""
    end = data.find(b"end_header")
    end = data.find(b"\n", end) + 1 if end >= 0 else 0
    head = data[:end].splitlines()
    if not head or head[0].strip() != b"ply" or len(head) > _MOST_HEADER_LINES:
        raise ReadError(f"expected a PLY file with its header in {name}")
    words = [line.split() for line in head[1:] if line.strip()]
    form = next((w[1] for w in words if w[0] == b"format" and len(w) == 3), b"")
    if form not in _ORDERS:
        raise ReadError(
            f"{name}: expected a format of {', '.join(f.decode() for f in _ORDERS)}, got {form[:40]!r}"
        )
    starts = [n for n, w in enumerate(words) if w[0] == b"element"]
    if not starts or words[starts[0]][1:2] != [b"vertex"] or len(words[starts[0]]) != 3:
        raise ReadError(f"{name}: expected vertices as the first element of its header")
    vertices = count(words[starts[0]][2], "vertices", name)
    listed = words[starts[0] + 1 : starts[1] if len(starts) > 1 else None]
    properties = [w for w in listed if w[0] == b"property"]
    if any(len(w) != 3 or w[1] not in _TYPES for w in properties):
        raise ReadError(f"{name}: expected vertices of plain numbers, got a list or an unknown type")
    names = [w[2].decode("latin-1") for w in properties]
    if any(names.count(axis) != 1 for axis in "xyz") or len(set(names)) != len(names):
        raise ReadError(f"{name}: expected vertices with x, y and z, got {', '.join(names)[:80]!r}")
    order = _ORDERS[form]
    dtype = np.dtype([(key, order + _TYPES[w[1]]) for key, w in zip(names, properties, strict=True)])
    if order:
        promised(vertices * dtype.itemsize, len(data) - end, f"{vertices} vertices", name)
        rows: Any = np.frombuffer(data, dtype, vertices, end)
        tail = data[end + rows.nbytes :]
        numbers = np.stack([finite(rows[axis], name) for axis in "xyz"], axis=1)
    else:
        promised(2 * vertices * len(names), len(data) - end, f"{vertices} vertices", name)
        body = data[end:].split(b"\n", vertices)
        rows = [line.split() for line in body[:vertices]]
        if len(rows) < vertices or any(len(row) != len(names) for row in rows):
            raise ReadError(f"{name}: expected {vertices} lines of {len(names)} numbers, one for each vertex")
        tail = body[vertices] if len(body) > vertices else b""
        columns = [names.index(axis) for axis in "xyz"]
        numbers = parse_all([row[c] for row in rows for c in columns], name).reshape(-1, 3)
    comments = b"\n".join(line for line in head if line.startswith((b"comment", b"obj_info")))
    kept = _Mesh(data[:end], order, dtype, rows, tail)
    return Found(
        numbers,
        space_comment.said(comments, name),
        kept,
        "faces and other columns" if tail.strip() or len(names) > 3 else "",
        "normals" if "nx" in names else "",
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The mesh with its vertices elsewhere, in the type they had; or new vertices without faces, in float64."""
    if kept is None:
        axes = "".join(f"property double {axis}\n" for axis in "xyz")
        space = (label or "").upper()
        new = (
            f"ply\nformat ascii 1.0\ncomment SPACE={space}\nelement vertex {len(numbers)}\n{axes}end_header\n"
        )
        return (new + lines(numbers)).encode("ascii")
    mesh: _Mesh = kept
    head = mesh.head if label is None else _saying(mesh.head, label)
    names = mesh.dtype.names or ()
    columns = {axis: cast(numbers[:, n], mesh.dtype[axis]) for n, axis in enumerate("xyz")}
    if mesh.order:
        moved = np.array(mesh.vertices)
        for axis, values in columns.items():
            moved[axis] = values
        return head + moved.tobytes() + mesh.tail
    texts = {names.index(axis): values.astype(np.str_).tolist() for axis, values in columns.items()}
    rows = []
    for n, row in enumerate(mesh.vertices):
        rows.append(b" ".join(texts[c][n].encode() if c in texts else cell for c, cell in enumerate(row)))
    return head + b"".join(row + b"\n" for row in rows) + mesh.tail


def _saying(head: bytes, label: str) -> bytes:
    lines_ = head.splitlines(keepends=True)
    for n, line in enumerate(lines_):
        if line.startswith((b"comment", b"obj_info")) and b"SPACE" in line:
            lines_[n] = space_comment.saying(line, label)
            return b"".join(lines_)
    end = lines_[0][len(lines_[0].rstrip()) :]
    lines_.insert(2, b"comment SPACE=" + label.upper().encode("ascii") + end)
    return b"".join(lines_)
