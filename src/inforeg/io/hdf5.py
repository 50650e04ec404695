"""A small HDF5 writer: groups, lists of numbers and strings, and nothing else.

ITK writes the time and the kernel's version into its `.h5` files, and bytes of memory that were never set;
here the same content gives the same bytes. It also spares importing a library for 3 kB. What it writes is the
plainest form of the format's version 2 (superblock 2, object headers 2, links inside the header, contiguous
data), by the HDF Group's "HDF5 File Format Specification", version 3.0.
"""

import struct
from collections.abc import Mapping
from typing import TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

Tree: TypeAlias = Mapping[str, Union[str, NDArray[np.float64], "Tree"]]

_UNDEFINED = b"\xff" * 8
_SUPERBLOCK_BYTES = 48

# Messages of object headers, by their number in the specification.
_DATASPACE, _LINK_INFO, _DATATYPE, _FILL_VALUE, _LINK, _LAYOUT, _GROUP_INFO = 1, 2, 3, 5, 6, 8, 10

_FLOAT64 = struct.pack("<B3sIHHBBBBI", 0x11, b"\x20\x3f\x00", 8, 0, 64, 52, 11, 0, 52, 1023)
# A string of any length, null-terminated, made of unsigned bytes.
_STRING = struct.pack("<B3sIB3sIHH", 0x19, b"\x01\x00\x00", 16, 0x10, b"\x00\x00\x00", 1, 0, 8)


def hdf5_bytes(tree: Tree) -> bytes:
    """A whole HDF5 file that holds `tree`: dicts become groups, strings and float64 arrays data sets."""
    body = bytearray(_SUPERBLOCK_BYTES)
    strings = _Strings(_texts(tree))
    heap = len(body)
    body += strings.collection()
    root = _group(body, tree, strings, heap)
    superblock = b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBBQ", 2, 8, 8, 0, 0) + _UNDEFINED
    superblock += struct.pack("<QQ", len(body), root)
    body[:_SUPERBLOCK_BYTES] = superblock + struct.pack("<I", lookup3(superblock))
    return bytes(body)


class _Strings:
    """All strings of the file, in one global heap; data sets point into it."""

    def __init__(self, texts: list[str]) -> None:
        self.index = {text: n for n, text in enumerate(dict.fromkeys(texts), start=1)}

    def collection(self) -> bytes:
        objects = b""
        for text, number in self.index.items():
            data = text.encode("ascii") + b"\0"
            objects += struct.pack("<HHIQ", number, 1, 0, len(data)) + _padded(data)
        size = max(4096, 16 + len(objects) + 16)
        free = size - 16 - len(objects)
        head = b"GCOL" + struct.pack("<B3xQ", 1, size)
        return head + objects + struct.pack("<HHIQ", 0, 0, 0, free) + bytes(free - 16)

    def pointer(self, text: str, heap: int) -> bytes:
        return struct.pack("<IQI", len(text) + 1, heap, self.index[text])


def _texts(tree: Tree) -> list[str]:
    found: list[str] = []
    for value in tree.values():
        if isinstance(value, str):
            found.append(value)
        elif not isinstance(value, np.ndarray):
            found += _texts(value)
    return found


def _group(body: bytearray, tree: Tree, strings: _Strings, heap: int) -> int:
    """Append a group and all it holds; returns where its header lies."""
    links = []
    for name, value in tree.items():
        if isinstance(value, str):
            place = _data_set(body, _STRING, 1, strings.pointer(value, heap))
        elif isinstance(value, np.ndarray):
            place = _data_set(body, _FLOAT64, value.size, np.ascontiguousarray(value, "<f8").tobytes())
        else:
            place = _group(body, value, strings, heap)
        links.append(struct.pack("<BBB", 1, 0, len(name)) + name.encode("ascii") + struct.pack("<Q", place))
    info = struct.pack("<BB", 0, 0) + _UNDEFINED + _UNDEFINED
    messages = [(_LINK_INFO, info), (_GROUP_INFO, b"\0\0"), *((_LINK, link) for link in links)]
    return _append(body, _header(messages))


def _data_set(body: bytearray, datatype: bytes, count: int, data: bytes) -> int:
    place = _append(body, data)
    return _append(
        body,
        _header(
            [
                (_DATASPACE, struct.pack("<BBB5xQ", 1, 1, 0, count)),
                (_DATATYPE, datatype),
                (_FILL_VALUE, b"\x03\x0a"),
                (_LAYOUT, struct.pack("<BBQQ", 3, 1, place, len(data))),
            ]
        ),
    )


def _header(messages: list[tuple[int, bytes]]) -> bytes:
    packed = b"".join(struct.pack("<BHB", kind, len(data), 0) + data for kind, data in messages)
    header = b"OHDR" + struct.pack("<BBI", 2, 2, len(packed)) + packed
    return header + struct.pack("<I", lookup3(header))


def _append(body: bytearray, block: bytes) -> int:
    place = len(body)
    body += _padded(block)
    return place


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


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
