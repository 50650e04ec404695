"""A bounded HDF5 reader for the files that ITK, ANTs, SimpleITK, h5py and nitransforms write.

The HDF5 library crashes or hangs on damaged files; here everything a file says about itself is checked against its own
size first (see `hdf5.source`). Superblocks 0 to 3; groups of both kinds; attributes; data sets in one piece, in the
header or in chunks, with deflate, shuffle and check sums; integers, floats and text. By the HDF Group's "HDF5 File
Format Specification", version 3.0.
"""

from collections.abc import Iterator
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inforeg.io.hdf5.data import read_filters, read_layout
from inforeg.io.hdf5.dense import dense_attributes, dense_links
from inforeg.io.hdf5.source import UNDEFINED, Cursor, Source
from inforeg.io.hdf5.types import Heap, decode, read_shape, read_type

SIGNATURE = b"\x89HDF\r\n\x1a\n"

Value: TypeAlias = NDArray[Any] | list[str]

# Messages of object headers, by their number in the specification.
_DATASPACE, _LINK_INFO, _DATATYPE, _LINK, _EXTERNAL, _LAYOUT = 1, 2, 3, 6, 7, 8
_FILTERS, _ATTRIBUTE, _CONTINUATION, _SYMBOL_TABLE, _ATTRIBUTE_INFO = 11, 12, 16, 17, 21


def read_hdf5(data: bytes, name: str) -> "Node":
    """The root group of an HDF5 file; every fault is a `ReadError` that begins with `name`."""
    source = Source(data, name)
    cursor = source.block(0, min(len(data), 96), "superblock")
    cursor.expect(SIGNATURE)
    version = cursor.version(0, 1, 2, 3)
    if version < 2:
        cursor.take(4)
        sizes = cursor.number(1), cursor.number(1)
        cursor.take(9 if version == 0 else 13)
        base, _, end, _, _, root = (cursor.number(8) for _ in range(6))
    else:
        source.signed(0, 48, SIGNATURE, "superblock")
        sizes = cursor.number(1), cursor.number(1)
        cursor.take(1)
        base, _, end, root = (cursor.number(8) for _ in range(4))
    if sizes != (8, 8) or base:
        raise source.unread(f"addresses of {sizes[0]} bytes that count from byte {base}")
    if end > len(data):
        raise source.fault(f"it is cut short: it promises {end} bytes and holds {len(data)}")
    return Node(source, Heap(source), root, "")


class Node:
    """A group, with other nodes by their names, or a data set; both have attributes.

    Nothing is read before it is asked for. What HDF5 allows and is not read here is a `ReadError` only then.
    """

    def __init__(self, source: Source, heap: Heap, address: int, path: str) -> None:
        self._source, self._heap = source, heap
        self.path = path
        self._messages = list(_messages(source, address))

    def __contains__(self, name: str) -> bool:
        return name in self._links

    def __iter__(self) -> Iterator[str]:
        return iter(self._links)

    def __getitem__(self, name: str) -> "Node":
        if name not in self._links:
            raise self._source.fault(f"it has no {self.path}/{name}")
        return Node(self._source, self._heap, self._links[name], f"{self.path}/{name}")

    def numbers(self) -> NDArray[Any]:
        """The values of a data set of numbers; raises `ReadError` for anything else, and when asked twice."""
        values = self.values()
        if isinstance(values, list):
            raise self._source.fault(f"expected numbers in {self.path}, got text")
        return values

    def text(self) -> str:
        """The one text in a data set; raises `ReadError` for anything else."""
        values = self.values()
        if not isinstance(values, list) or len(values) != 1:
            raise self._source.fault(f"expected one text in {self.path}")
        return values[0]

    def values(self) -> Value:
        """Numbers in the shape of the data set, or its texts in one list."""
        if self._of(_EXTERNAL):
            raise self._source.unread("a data set whose values lie in another file")
        kind = read_type(self._message(_DATATYPE))
        shape = read_shape(self._message(_DATASPACE))
        if shape is None:
            return np.empty(0) if kind.dtype is not None else []
        filters = [one for cursor in self._of(_FILTERS) for one in read_filters(cursor)]
        data = read_layout(self._source, self._message(_LAYOUT), shape, kind.size, filters)
        return decode(self._source, self._heap, kind, shape, data)

    @cached_property
    def attributes(self) -> dict[str, Value]:
        """The attributes by their names."""
        found = self._of(_ATTRIBUTE)
        for info in self._of(_ATTRIBUTE_INFO):
            info.version(0)
            info.take(2 if info.number(1) & 1 else 0)
            heap, names = info.number(8), info.number(8)
            if heap != UNDEFINED:
                found += dense_attributes(self._source, heap, names)
        return dict(_attribute(cursor, self._heap) for cursor in found)

    @cached_property
    def _links(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for cursor in self._of(_SYMBOL_TABLE):
            found.update(_symbols(self._source, cursor.number(8), cursor.number(8)))
        links = self._of(_LINK)
        for info in self._of(_LINK_INFO):
            info.version(0)
            info.take(8 if info.number(1) & 1 else 0)
            heap, names = info.number(8), info.number(8)
            if heap != UNDEFINED:
                links += dense_links(self._source, heap, names)
        for cursor in links:
            found.update(_link(cursor))
        return found

    def _of(self, kind: int) -> list[Cursor]:
        return [
            Cursor(self._source, data, f"header of {self.path or 'the root'}")
            for number, data in self._messages
            if number == kind
        ]

    def _message(self, kind: int) -> Cursor:
        found = self._of(kind)
        if not found:
            raise self._source.fault(f"{self.path or 'its root'} is no data set")
        return found[0]


def _messages(source: Source, address: int) -> Iterator[tuple[int, memoryview]]:
    """The messages of an object's header, of either version."""
    what = "object header"
    start = source.block(address, 16, what)
    if bytes(start.take(4)) == b"OHDR":
        start.version(2)
        flags = start.number(1)
        width = 1 << (flags & 3)
        before = 6 + 16 * (flags >> 5 & 1) + 4 * (flags >> 4 & 1)
        size = source.block(address + before, width, what).number(width)
        total = before + width + size + 4
        block = source.signed(address, total, b"OHDR", what)
        block.take(before + width - 4)
        ordered = flags >> 2 & 1
    else:
        start = source.block(address, 16, what)
        start.version(1)
        start.take(1)
        remaining = start.number(2)
        start.take(4)
        block = source.block(address + 16, start.number(4), what)
        ordered = None
    blocks = [block]
    while blocks:
        block = blocks.pop(0)
        while block.left >= (8 if ordered is None else 4 + 2 * ordered):
            if ordered is None:
                if remaining == 0:
                    return
                remaining -= 1
                kind, size, flags = block.number(2), block.number(2), block.number(1)
                block.take(3)
            else:
                kind, size, flags = block.number(1), block.number(2), block.number(1)
                block.take(2 * ordered)
            data = block.take(size)
            if kind == _CONTINUATION:
                more = Cursor(source, data, what)
                place, length = more.number(8), more.number(8)
                blocks.append(
                    source.block(place, length, what)
                    if ordered is None
                    else source.signed(place, length, b"OCHK", what)
                )
            elif flags & 2 and kind in (_DATATYPE, _DATASPACE, _FILTERS, _ATTRIBUTE):
                raise source.unread("a type that is shared between data sets")
            else:
                yield kind, data


def _symbols(source: Source, tree: int, heap: int) -> Iterator[tuple[str, int]]:
    """Names and places of what is in a group of the old kind."""
    what = "list of names"
    head = source.block(heap, 32, what)
    head.expect(b"HEAP")
    head.version(0)
    head.take(3)
    size = head.number(8)
    head.take(8)
    names = source.block(head.number(8), size, what).take(size)
    nodes: list[tuple[int, int | None]] = [(tree, None)]
    while nodes:
        place, expected = nodes.pop()
        node = source.block(place, 24, what)
        node.expect(b"TREE")
        kind, level, count = node.number(1), node.number(1), node.number(2)
        if kind != 0 or (expected is not None and level != expected):
            raise source.fault(f"its {what} is not in order")
        node = source.block(place + 24, 16 * count, what)
        for _ in range(count):
            node.take(8)
            child = node.number(8)
            if level:
                nodes.append((child, level - 1))
            else:
                yield from _symbol_node(source, child, names)


def _symbol_node(source: Source, place: int, names: memoryview) -> Iterator[tuple[str, int]]:
    what = "list of names"
    node = source.block(place, 8, what)
    node.expect(b"SNOD")
    node.version(1)
    node.take(1)
    count = node.number(2)
    node = source.block(place + 8, 40 * count, what)
    for _ in range(count):
        start, address, kind = node.number(8), node.number(8), node.number(4)
        node.take(20)
        if kind == 2:  # a link to a name, which is not followed
            continue
        if start >= len(names):
            raise source.fault(f"its {what} is not in order")
        rest = names[start : start + 1024]
        yield Cursor(source, rest, what).text(len(rest)), address


def _link(cursor: Cursor) -> Iterator[tuple[str, int]]:
    cursor.version(1)
    flags = cursor.number(1)
    kind = cursor.number(1) if flags & 8 else 0
    cursor.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
    name = cursor.text(cursor.number(1 << (flags & 3)))
    if kind == 0:  # others lead to names and to other files, and are not followed
        yield name, cursor.number(8)


def _attribute(cursor: Cursor, heap: Heap) -> tuple[str, Value]:
    version = cursor.version(1, 2, 3)
    if cursor.number(1) and version > 1:
        raise cursor.source.unread("a type that is shared between attributes")
    sizes = [cursor.number(2) for _ in range(3)]
    cursor.take(1 if version == 3 else 0)
    parts = []
    for size in sizes:
        parts.append(Cursor(cursor.source, cursor.take(size), cursor.what))
        cursor.take(-size % 8 if version == 1 else 0)
    name, kind, shape = parts[0].text(sizes[0]), read_type(parts[1]), read_shape(parts[2])
    if shape is None:
        return name, np.empty(0) if kind.dtype is not None else []
    size = prod(shape) * kind.size
    return name, decode(cursor.source, heap, kind, shape, cursor.take(size))
