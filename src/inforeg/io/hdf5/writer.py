"""A small HDF5 writer: groups, attributes, arrays of numbers and strings, and nothing else.

ITK writes the time and the kernel's version into its `.h5` files, and bytes of memory that were never set;
here the same content gives the same bytes. It also spares importing a library for 3 kB. What it writes is the
plainest form of the format's version 2 (superblock 2, object headers 2, links inside the header, contiguous
data), by the HDF Group's "HDF5 File Format Specification", version 3.0.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

Tree: TypeAlias = Mapping[str, Union[str, NDArray[Any], "Group", "Tree"]]

_UNDEFINED = b"\xff" * 8
_SUPERBLOCK_BYTES = 48

# Messages of object headers, by their number in the specification.
_DATASPACE, _LINK_INFO, _DATATYPE, _FILL_VALUE, _LINK, _LAYOUT, _GROUP_INFO, _ATTRIBUTE = (
    1,
    2,
    3,
    5,
    6,
    8,
    10,
    12,
)

# A string of any length, null-terminated, made of unsigned bytes.
_STRING = struct.pack("<B3sIB3sIHH", 0x19, b"\x01\x00\x00", 16, 0x10, b"\x00\x00\x00", 1, 0, 8)


@dataclass(frozen=True, eq=False)
class Group:
    """A group that has attributes: single strings, or arrays."""

    tree: Tree
    attributes: Mapping[str, str | NDArray[Any]] = field(default_factory=dict)


def hdf5_pieces(tree: Tree | Group) -> list[bytes | memoryview]:
    """A whole HDF5 file, piece after piece: dicts become groups, arrays and strings data sets.

    Arrays are of floats, integers or byte strings (`S`), little-endian, in their own shape. A string becomes an array
    of one, as ITK has it. Arrays are not copied where they lie in memory as they will in the file.
    """
    body = _Body()
    root = _group(body, tree, _Strings(_texts(tree), body))
    superblock = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBBQ", 2, 8, 8, 0, 0) + _UNDEFINED
    superblock += struct.pack("<QQ", body.size, root)
    return [superblock + struct.pack("<I", lookup3(superblock)), *body.pieces]


def hdf5_bytes(tree: Tree | Group) -> bytes:
    """The pieces of `hdf5_pieces` as one."""
    return b"".join(hdf5_pieces(tree))


class _Body:
    """What comes behind the superblock, and where in the file each piece of it lies."""

    def __init__(self) -> None:
        self.pieces: list[bytes | memoryview] = []
        self.size = _SUPERBLOCK_BYTES

    def append(self, block: bytes | memoryview) -> int:
        place = self.size
        self.pieces += [block, bytes(-len(block) % 8)]
        self.size += len(block) + -len(block) % 8
        return place


class _Strings:
    """All strings of the file, in one global heap; data sets and attributes point into it."""

    def __init__(self, texts: list[str], body: _Body) -> None:
        self._index = {text: n for n, text in enumerate(dict.fromkeys(texts), start=1)}
        self._heap = body.append(self._collection())

    def _collection(self) -> bytes:
        objects = b""
        for text, number in self._index.items():
            data = text.encode("ascii") + b"\0"
            objects += struct.pack("<HHIQ", number, 1, 0, len(data)) + data + bytes(-len(data) % 8)
        size = max(4096, 16 + len(objects) + 16)
        free = size - 16 - len(objects)
        head = b"GCOL" + struct.pack("<B3xQ", 1, size)
        return head + objects + struct.pack("<HHIQ", 0, 0, 0, free) + bytes(free - 16)

    def pointer(self, text: str) -> bytes:
        return struct.pack("<IQI", len(text) + 1, self._heap, self._index[text])


def _texts(tree: Tree | Group) -> list[str]:
    found: list[str] = []
    if isinstance(tree, Group):
        found += [value for value in tree.attributes.values() if isinstance(value, str)]
        tree = tree.tree
    for value in tree.values():
        if isinstance(value, str):
            found.append(value)
        elif not isinstance(value, np.ndarray):
            found += _texts(value)
    return found


def _group(body: _Body, tree: Tree | Group, strings: _Strings) -> int:
    """Append a group and all it holds; returns where its header lies."""
    attributes = tree.attributes if isinstance(tree, Group) else {}
    links = []
    for name, value in (tree.tree if isinstance(tree, Group) else tree).items():
        if isinstance(value, str | np.ndarray):
            datatype, shape, data = _encoded(value, strings, (1,))
            place = _data_set(body, datatype, shape, data)
        else:
            place = _group(body, value, strings)
        links.append(struct.pack("<BBB", 1, 0, len(name)) + name.encode("ascii") + struct.pack("<Q", place))
    info = struct.pack("<BB", 0, 0) + _UNDEFINED + _UNDEFINED
    messages = [(_LINK_INFO, info), (_GROUP_INFO, b"\0\0"), *((_LINK, link) for link in links)]
    messages += [(_ATTRIBUTE, _attribute(name, *_encoded(v, strings, ()))) for name, v in attributes.items()]
    return body.append(_header(messages))


def _encoded(
    value: str | NDArray[Any], strings: _Strings, text_shape: tuple[int, ...]
) -> tuple[bytes, tuple[int, ...], bytes | memoryview]:
    """The type, shape and bytes of a string or an array."""
    if isinstance(value, str):
        return _STRING, text_shape, strings.pointer(value)
    array = np.asarray(value, value.dtype.newbyteorder("<"), order="C")
    size = array.dtype.itemsize
    if array.dtype.kind == "f":
        layout = {4: (32, 23, 8, 0, 23, 127), 8: (64, 52, 11, 0, 52, 1023)}[size]
        bits = bytes((0x20, 8 * size - 1, 0))
        datatype = struct.pack("<B3sIHHBBBBI", 0x11, bits, size, 0, *layout)
    elif array.dtype.kind in "iu":
        sign = b"\x08" if array.dtype.kind == "i" else b"\0"
        datatype = struct.pack("<B3sIHH", 0x10, sign + b"\0\0", size, 0, 8 * size)
    else:
        datatype = struct.pack("<B3sI", 0x13, b"\x01\0\0", size)
    data = (
        array.tobytes()
        if array.dtype.kind == "S" or not array.size
        else array.reshape(-1).view(np.uint8).data
    )
    return datatype, value.shape, data


def _dataspace(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f"<BBB5x{len(shape)}Q", 1, len(shape), 0, *shape)


def _data_set(body: _Body, datatype: bytes, shape: tuple[int, ...], data: bytes | memoryview) -> int:
    place = struct.pack("<Q", body.append(data)) if prod(shape) else _UNDEFINED
    return body.append(
        _header(
            [
                (_DATASPACE, _dataspace(shape)),
                (_DATATYPE, datatype),
                (_FILL_VALUE, b"\x03\x0a"),
                (_LAYOUT, struct.pack("<BB", 3, 1) + place + struct.pack("<Q", len(data))),
            ]
        )
    )


def _attribute(name: str, datatype: bytes, shape: tuple[int, ...], data: bytes | memoryview) -> bytes:
    text, space = name.encode("ascii") + b"\0", _dataspace(shape)
    head = struct.pack("<BBHHHB", 3, 0, len(text), len(datatype), len(space), 0)
    return head + text + datatype + space + bytes(data)


def _header(messages: list[tuple[int, bytes]]) -> bytes:
    packed = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in messages)
    header = b"OHDR" + struct.pack("<BBI", 2, 2, len(packed)) + packed
    return header + struct.pack("<I", lookup3(header))


def lookup3(data: bytes) -> int:
    """The check sum of HDF5's metadata: Bob Jenkins' lookup3 (2006), little-endian, with seed 0."""
    a = b = c = (0xDEADBEEF + len(data)) & 0xFFFFFFFF
    if not data:
        return c
    blocks = max(0, (len(data) - 1) // 12)
    for n in range(blocks):
        x, y, z = struct.unpack_from("<III", data, 12 * n)
        a, b, c = _mix((a + x) & 0xFFFFFFFF, (b + y) & 0xFFFFFFFF, (c + z) & 0xFFFFFFFF)
    x, y, z = struct.unpack("<III", data[12 * blocks :].ljust(12, b"\0"))
    return _last((a + x) & 0xFFFFFFFF, (b + y) & 0xFFFFFFFF, (c + z) & 0xFFFFFFFF)


def _rotated(x: int, by: int) -> int:
    return ((x << by) | (x >> (32 - by))) & 0xFFFFFFFF


def _mix(a: int, b: int, c: int) -> tuple[int, int, int]:
    for by in (4, 6, 8, 16, 19, 4):
        a = ((a - c) & 0xFFFFFFFF) ^ _rotated(c, by)
        c = (c + b) & 0xFFFFFFFF
        a, b, c = b, c, a
    return a, b, c


def _last(a: int, b: int, c: int) -> int:
    for by in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - _rotated(b, by)) & 0xFFFFFFFF
        a, b, c = b, c, a
    # After seven turns the names have moved by one.
    return b
