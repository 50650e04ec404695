"""VTK's XML files of polygons and unstructured grids, `.vtp` and `.vtu`: text, base64 or raw, with zlib or without.

The block of points is replaced and the offsets of blocks behind it follow; all else stays. 3D Slicer says the frame in
an array called SPACE in the field data; other tools say nothing. Files of several pieces, and data packed with LZ4 or
LZMA, are refused.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.point_formats import Found, packed
from inforeg.io.point_formats.numbers import cast, count, finite, lines, parse_all, promised
from inforeg.io.point_formats.xml_places import Element, elements, spliced

_TYPES = {"Float32": "f4", "Float64": "f8"}
_RAW = re.compile(rb"<AppendedData\b[^>]{0,200}?\bencoding\s*+=\s*+[\"']raw[\"'][^>]{0,200}?>\s*+_")
_LETTERS = tuple(b"%d" % letter for letter in b"LPSRA\0")
_OFFSET = re.compile(rb"\boffset(\s*=\s*)([\"'])\d+[\"']")
_RANGE = re.compile(rb"\s+Range(?:Min|Max)\s*=\s*(?:\"[^\"]*\"|'[^']*')")


@dataclass(frozen=True, eq=False)
class _File:
    data: bytes
    root: Element
    points: Element
    place: tuple[int, int]
    dtype: np.dtype[Any]
    count_dtype: np.dtype[Any]
    form: str  # ascii, base64 or raw
    is_zipped: bool
    block_bytes: int


def read(data: bytes, name: str) -> Found:
    """Points `(n, 3)`; raises `ReadError` for what is named above, and for damaged files."""
    raw = _RAW.search(data)
    head = data if raw is None else data[: raw.end()] + b"</AppendedData></VTKFile>"
    root = elements(head, name, silent=("DataArray", "AppendedData"))
    kind = root.attributes.get("type", "")
    pieces = root.below(kind, "Piece")
    if root.name != "VTKFile" or kind not in ("PolyData", "UnstructuredGrid") or len(pieces) != 1:
        raise ReadError(f"expected a VTK file of one piece of PolyData or UnstructuredGrid in {name}")
    arrays = pieces[0].below("Points", "DataArray")
    if len(arrays) != 1 or arrays[0].attributes.get("type") not in _TYPES:
        raise ReadError(f"{name}: expected one array of points of type Float32 or Float64")
    values = 3 * count(pieces[0].attributes.get("NumberOfPoints", "").encode(), "points", name)
    if arrays[0].attributes.get("NumberOfComponents") != "3":
        raise ReadError(f"{name}: expected three coordinates a point")
    found, numbers = _decoded(data, root, arrays[0], values, name)
    spaces = [a for a in root.below(kind, "FieldData", "Array") if a.attributes.get("Name") == "SPACE"]
    space = _space(data, root, spaces[0], name) if spaces else None
    marks = " ".join(a.attributes.get("Normals", "") for a in pieces[0].below("PointData"))
    return Found(numbers.reshape(-1, 3), space, found, "cells and data", "normals" if marks.strip() else "")


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The file with its points elsewhere, in the type and form they had."""
    file: _File = kept
    if label is not None:
        raise WriteError(
            "the space of a VTK XML file is not changed here; write it as .vtk, or leave space as it came"
        )
    values = cast(numbers, file.dtype)
    if file.form == "ascii":
        text = b"\n" + lines(values.astype(file.dtype.newbyteorder("="))).encode("ascii")
    else:
        text = _packed(values.tobytes(), file)
    tag = file.data[slice(*file.points.tag)]
    changes = [(file.place, text), (file.points.tag, _RANGE.sub(b"", tag))]
    # VTK's notes of how long the vectors were.
    notes = [child for child in file.points.children if "L2_NORM" in child.attributes.get("name", "")]
    changes += [((note.tag[0], note.end), b"") for note in notes]
    if file.points.attributes.get("format") == "appended":
        shift = len(text) - (file.place[1] - file.place[0])
        own = int(file.points.attributes["offset"])
        for array in _appended(file.root):
            if (offset := int(array.attributes["offset"])) > own:
                old = file.data[slice(*array.tag)]
                changes.append((array.tag, _OFFSET.sub(rb"offset\g<1>\g<2>%d\g<2>" % (offset + shift), old)))
    return spliced(file.data, changes)


def _packing(root: Element, name: str) -> tuple[np.dtype[Any], bool]:
    """The type of the counts before a block (its byte order is the file's), and whether blocks are zipped."""
    order = {"LittleEndian": "<", "BigEndian": ">"}.get(root.attributes.get("byte_order", ""))
    kind = {"UInt32": "u4", "UInt64": "u8"}.get(root.attributes.get("header_type", "UInt32"))
    packer = root.attributes.get("compressor", "")
    if order is None or kind is None or packer not in ("", "vtkZLibDataCompressor"):
        raise ReadError(
            f"{name}: expected data in a known byte order, packed with zlib or not; got {packer[:40]!r}"
        )
    return np.dtype(order + kind), bool(packer)


def _place(data: bytes, root: Element, array: Element, name: str) -> tuple[str, int, int]:
    """The form of an array's data (ascii, base64 or raw), where they begin, and where they end at the latest."""
    form = array.attributes.get("format", "")
    if form == "appended":
        return _section(data, root, array, name)
    if form not in ("ascii", "binary"):
        raise ReadError(f"{name}: expected data as ascii, binary or appended, got {form[:40]!r}")
    return "base64" if form == "binary" else form, *_inline(data, array)


def _decoded(
    data: bytes, root: Element, points: Element, values: int, name: str
) -> tuple[_File, NDArray[np.float64]]:
    counts, is_zipped = _packing(root, name)
    dtype = np.dtype(counts.byteorder + _TYPES[points.attributes["type"]])
    form, begin, end = _place(data, root, points, name)
    if form == "ascii":
        promised(max(0, 2 * values - 1), end - begin, f"{values} numbers", name)
        words = data[begin:end].split()
        if len(words) != values:
            raise ReadError(f"{name}: expected {values} numbers, got {len(words)}")
        return _File(data, root, points, (begin, end), dtype, counts, form, False, 0), parse_all(words, name)
    content, end, block = _block(data, begin, end, form, counts, is_zipped, values * dtype.itemsize, name)
    file = _File(data, root, points, (begin, end), dtype, counts, form, is_zipped, block)
    return file, finite(np.frombuffer(content, dtype), name)


def _inline(data: bytes, array: Element) -> tuple[int, int]:
    """Where the data of an array stand within it: between, before or behind its children."""
    starts = [array.content[0], *(child.end for child in array.children)]
    ends = [*(child.tag[0] for child in array.children), array.content[1]]
    begin, end = max(zip(starts, ends, strict=True), key=lambda gap: len(data[slice(*gap)].strip()))
    piece = data[begin:end]
    return begin + len(piece) - len(piece.lstrip()), begin + len(piece.rstrip())


def _block(
    data: bytes,
    begin: int,
    limit: int,
    form: str,
    counts: np.dtype[Any],
    is_zipped: bool,
    size: int,
    name: str,
) -> tuple[bytes, int, int]:
    """The bytes of a block of `size` bytes, where it ends in the file, and the pieces it was cut into."""

    def take(place: int, wanted: int) -> tuple[bytes, int]:
        length = wanted if form == "raw" else -(-wanted // 3) * 4
        promised(length, limit - place, f"{wanted} bytes of points", name)
        piece = data[place : place + length]
        content = piece if form == "raw" else packed.from_base64(piece, name)
        if len(content) != wanted:
            raise ReadError(f"{name}: expected {wanted} bytes of packed data, got {len(content)}")
        return content, place + length

    def ints(content: bytes) -> list[int]:
        return [int(n) for n in np.frombuffer(content, counts)]

    one = counts.itemsize
    if not is_zipped:
        # The size and the data are one run of base64.
        content, end = take(begin, one + size)
        if ints(content[:one]) != [size]:
            raise ReadError(f"{name}: expected {size} bytes of points, its data begin with another size")
        return content[one : one + size], end, 0
    start, _ = take(begin, 3 * one)
    pieces, block, last = ints(start[: 3 * one])
    whole = pieces - (last > 0)
    if min(size, pieces, block) < 1 or whole * block + last != size:
        raise ReadError(
            f"{name}: expected {size} bytes of points, its data promise {pieces} blocks of {block}"
        )
    head, place = take(begin, (3 + pieces) * one)
    lengths = ints(head[3 * one : (3 + pieces) * one])
    body, end = take(place, sum(lengths))
    place = 0
    parts: list[bytes] = []
    for n, length in enumerate(lengths):
        wanted = last if last and n == pieces - 1 else block
        parts.append(packed.unzip(body[place : place + length], wanted, name))
        place += length
    return b"".join(parts), end, block


def _packed(content: bytes, file: _File) -> bytes:
    def form(piece: bytes) -> bytes:
        return piece if file.form == "raw" else packed.to_base64(piece)

    if not file.is_zipped:
        return form(np.array([len(content)], file.count_dtype).tobytes() + content)
    size = file.block_bytes
    parts = [packed.zipped(content[n : n + size]) for n in range(0, len(content), size)]
    head = [len(parts), size, len(content) % size, *map(len, parts)]
    return form(np.array(head, file.count_dtype).tobytes()) + form(b"".join(parts))


def _appended(root: Element) -> list[Element]:
    """All arrays whose data lie in the appended section."""
    found, rest = [], [root]
    while rest:
        element = rest.pop()
        rest += element.children
        if element.attributes.get("format") == "appended":
            found.append(element)
    return found


def _section(data: bytes, root: Element, points: Element, name: str) -> tuple[str, int, int]:
    """The form of the appended data, where the points begin in the file, and where the section ends."""
    sections = root.below("AppendedData")
    if len(sections) != 1 or sections[0].attributes.get("encoding") not in ("base64", "raw"):
        raise ReadError(f"{name}: expected one section of appended data, base64 or raw")
    for array in _appended(root):
        count(array.attributes.get("offset", "").encode(), "bytes to skip", name)
    begin, end = sections[0].content
    form = sections[0].attributes["encoding"]
    end = len(data) if form == "raw" else end
    mark = data.find(b"_", begin, end)
    if mark < 0 or data[begin:mark].strip():
        raise ReadError(f"{name}: expected appended data that begin with an underscore")
    return form, min(mark + 1 + int(points.attributes["offset"]), end), end


def _space(data: bytes, root: Element, array: Element, name: str) -> str | None:
    """What Slicer's array called SPACE says: three letters and a zero, as numbers or as bytes."""
    if array.attributes.get("format") == "ascii":
        words = data[slice(*_inline(data, array))].split()
        text = bytes(int(word) for word in words[:4] if word in _LETTERS)
    else:
        count_dtype, is_zipped = _packing(root, name)
        form, begin, end = _place(data, root, array, name)
        text = _block(data, begin, end, form, count_dtype, is_zipped, 4, name)[0]
    said = text.rstrip(b"\0").decode("latin-1").lower()
    if said not in ("lps", "ras"):
        raise ReadError(f"{name}: expected SPACE to be LPS or RAS, got {said!r}")
    return said
