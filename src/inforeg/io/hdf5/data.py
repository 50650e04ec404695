"""Where the values of an HDF5 data set lie - in its header, in one piece, in chunks - and how they are unpacked."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from inforeg.io.hdf5.source import UNDEFINED, Cursor, Source

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
# What a DEFLATE stream can grow to at most, per byte.
_MOST_GROWTH = 1032

# Kinds of layout, and of the index of chunks in layouts of version 4.
_COMPACT, _CONTIGUOUS, _CHUNKED = 0, 1, 2
_SINGLE, _IMPLICIT, _FIXED_ARRAY = 1, 2, 3


@dataclass(frozen=True)
class _Chunk:
    """A stored piece of a data set: where in the set, and where in the file; filters of `mask` are left out."""

    corner: tuple[int, ...]
    address: int
    size: int
    mask: int = 0


def read_filters(cursor: Cursor) -> list[int]:
    """A filter pipeline message: the numbers of the filters, in the order in which they were applied."""
    version = cursor.version(1, 2)
    count = cursor.number(1)
    if version == 1:
        cursor.take(6)
    found = []
    for _ in range(count):
        kind = cursor.number(2)
        name = cursor.number(2) if version == 1 or kind >= 256 else 0
        cursor.take(2)
        values = cursor.number(2)
        cursor.take(name + 4 * values + (4 if version == 1 and values % 2 else 0))
        found.append(kind)
    if not set(found) <= {_DEFLATE, _SHUFFLE, _FLETCHER32} or len(found) != len(set(found)):
        raise cursor.source.unread(f"a data set through the filters {found}")
    return found


def read_layout(
    source: Source, cursor: Cursor, shape: tuple[int, ...], item: int, filters: list[int]
) -> memoryview:
    """The bytes of a data set, last axis fastest, by its layout message; raises `ReadError` where one is missing."""
    version = cursor.version(3, 4, 5)
    kind = cursor.number(1)
    size = prod(shape) * item
    if kind == _COMPACT:
        return cursor.take(cursor.number(2))
    if kind == _CONTIGUOUS:
        if filters:
            raise source.fault("a data set in one piece has filters")
        address, stored = cursor.number(8), cursor.number(8)
        if size == 0:
            return memoryview(b"")
        if address == UNDEFINED or stored < size:
            raise source.fault(f"a data set of {size} bytes was never filled")
        return source.stored(address, size, "data set")
    if kind != _CHUNKED:
        raise source.unread(f"a data set of layout {kind}")
    flags = cursor.number(1) if version > 3 else 0
    rank = cursor.number(1) - 1
    if rank != len(shape) or rank < 1:
        raise source.fault(f"chunks of {rank} axes are in a data set of {len(shape)}")
    if size == 0:
        return memoryview(b"")
    if version == 3:
        address = cursor.number(8)
        chunk = tuple(cursor.number(4) for _ in range(rank + 1))
        if min(chunk) < 1 or chunk[-1] != item:
            raise source.fault(f"its chunks are {chunk}")
        chunks = _tree(source, address, rank)
    else:
        width = cursor.number(1)
        chunk = tuple(cursor.number(width) for _ in range(rank + 1))
        if min(chunk) < 1 or chunk[-1] != item:
            raise source.fault(f"its chunks are {chunk}")
        if flags & 1:
            raise source.unread("a data set whose last chunks are not compressed")
        chunks = _indexed(source, cursor, shape, chunk, bool(filters), bool(flags & 2))
    return _assembled(source, chunks, shape, chunk[:-1], item, filters)


def _tree(source: Source, address: int, rank: int) -> list[_Chunk]:
    """Chunks in a B-tree of version 1."""
    found: list[_Chunk] = []
    nodes: list[tuple[int, int | None]] = [(address, None)]
    while nodes:
        place, expected = nodes.pop()
        if place == UNDEFINED:
            raise source.fault("chunks of a data set were never written")
        node = source.block(place, 24, "index of chunks")
        node.expect(b"TREE")
        kind, level, count = node.number(1), node.number(1), node.number(2)
        if kind != 1 or (expected is not None and level != expected):
            raise source.fault("its index of chunks is not in order")
        node = source.block(place + 24, count * (8 + 8 * (rank + 1) + 8), "index of chunks")
        for _ in range(count):
            size, mask = node.number(4), node.number(4)
            corner = tuple(node.number(8) for _ in range(rank))
            node.take(8)
            child = node.number(8)
            if level:
                nodes.append((child, level - 1))
            else:
                found.append(_Chunk(corner, child, size, mask))
    return found


def _indexed(
    source: Source,
    cursor: Cursor,
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    filtered: bool,
    single_filtered: bool,
) -> list[_Chunk]:
    """Chunks by the indices of version 4 of the layout."""
    kind = cursor.number(1)
    whole = prod(chunk)
    counts = [-(-n // c) for n, c in zip(shape, chunk, strict=False)]
    total = prod(counts)
    corners = product(*(range(0, n, c) for n, c in zip(shape, chunk, strict=False)))
    if kind == _SINGLE:
        size, mask = (cursor.number(8), cursor.number(4)) if single_filtered else (whole, 0)
        if total != 1:
            raise source.fault(f"one chunk of {chunk[:-1]} is all of a data set of {shape}")
        return [_Chunk(next(corners), cursor.number(8), size, mask)]
    if total * whole > _MOST_GROWTH * source.size:
        raise source.fault(f"it promises a data set of {shape}, more than it can hold")
    if kind == _IMPLICIT:
        address = cursor.number(8)
        return [_Chunk(corner, address + n * whole, whole) for n, corner in enumerate(corners)]
    if kind != _FIXED_ARRAY:
        raise source.unread("a data set that can grow")
    cursor.take(1)
    entries = _fixed_array(source, cursor.number(8), total, whole, filtered)
    return [_Chunk(corner, *entry) for corner, entry in zip(corners, entries, strict=True)]


def _fixed_array(
    source: Source, address: int, total: int, whole: int, filtered: bool
) -> list[tuple[int, int, int]]:
    """Address, size and mask of every chunk."""
    head = source.signed(address, 28, b"FAHD", "index of chunks")
    head.version(0)
    client, width, page_bits, count = head.number(1), head.number(1), head.number(1), head.number(8)
    if count != total:
        raise source.unread("a data set that can grow")
    if client != int(filtered) or (width < 13 if filtered else width != 8) or page_bits > 30:
        raise source.fault("its index of chunks is not in order")
    block, page = head.number(8), 1 << page_bits
    prefix = 14
    if total <= page:
        body = source.signed(block, prefix + total * width + 4, b"FADB", "index of chunks")
        body.take(prefix - 4)
        pages = [(body, total)]
    else:
        number = -(-total // page)
        start = source.signed(block, prefix + (number + 7) // 8 + 4, b"FADB", "index of chunks")
        place, pages = block + prefix + start.left - (prefix - 4) + 4, []
        for n in range(number):
            entries = min(page, total - n * page)
            body = source.block(place, entries * width + 4, "index of chunks")
            body.check_sum(entries * width + 4)
            pages.append((body, entries))
            place += entries * width + 4
    found = []
    for body, entries in pages:
        for _ in range(entries):
            place = body.number(8)
            size, mask = (body.number(width - 12), body.number(4)) if filtered else (whole, 0)
            found.append((place, size, mask))
    return found


def _assembled(
    source: Source,
    chunks: list[_Chunk],
    shape: tuple[int, ...],
    chunk: tuple[int, ...],
    item: int,
    filters: list[int],
) -> memoryview:
    """All chunks side by side; each has to be there once."""
    whole = prod(chunk) * item
    expected = prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    corners = {entry.corner for entry in chunks}
    if len(chunks) != expected or len(corners) != expected:
        raise source.fault(f"a data set has {len(corners)} of its {expected} chunks")
    growth = _MOST_GROWTH if _DEFLATE in filters else 1
    held = sum(entry.size for entry in chunks)
    if held > source.size or any(whole > growth * entry.size for entry in chunks):
        raise source.fault(f"a chunk promises {whole} bytes, more than it can hold")
    result: NDArray[np.uint8] = np.empty((*shape, item), np.uint8)
    for entry in chunks:
        if any(at % c or at >= n for at, c, n in zip(entry.corner, chunk, shape, strict=True)):
            raise source.fault(f"a chunk lies at {entry.corner}")
        raw = source.stored(entry.address, entry.size, "chunk")
        applied = [kind for n, kind in enumerate(filters) if not entry.mask >> n & 1]
        data = _unpacked(source, raw, applied, whole, item)
        into = tuple(slice(at, at + c) for at, c in zip(entry.corner, chunk, strict=True))
        part = tuple(slice(0, min(c, n - at)) for at, c, n in zip(entry.corner, chunk, shape, strict=True))
        result[into] = np.frombuffer(data, np.uint8).reshape(*chunk, item)[part]
    return result.reshape(-1).data


def _unpacked(source: Source, raw: memoryview, filters: Iterable[int], whole: int, item: int) -> memoryview:
    """One chunk with its filters undone, the last applied first."""
    data = raw
    applied = list(filters)
    while applied:
        kind = applied.pop()
        if kind == _FLETCHER32:
            if len(data) < 4 or _fletcher32(data[:-4]) != _sums(int.from_bytes(data[-4:], "little")):
                raise source.fault("the check sum of a chunk is wrong")
            data = data[:-4]
        elif kind == _DEFLATE:
            size = whole + 4 * (_FLETCHER32 in applied)
            stream = zlib.decompressobj()
            try:
                inflated = stream.decompress(data, size)
                # The check sum comes behind the last byte.
                rest = b"" if stream.eof else stream.decompress(stream.unconsumed_tail, 1)
            except zlib.error as error:
                raise source.fault(f"a chunk cannot be decompressed ({error})") from None
            if len(inflated) != size or rest or not stream.eof:
                raise source.fault(f"a chunk has other than {size} bytes when it is decompressed")
            data = memoryview(inflated)
        elif len(data) % item == 0:
            data = memoryview(np.frombuffer(data, np.uint8).reshape(item, -1).T.tobytes())
    if len(data) != whole:
        raise source.fault(f"a chunk has {len(data)} bytes, expected {whole}")
    return data


def _fletcher32(data: memoryview) -> tuple[int, int]:
    padded = bytes(data) + bytes(len(data) % 2)
    words = np.frombuffer(padded, ">u2").astype(np.int64)
    total = int(words.sum()) % 65535
    # Each word is counted as often as there are words from it on; sums of products stay below 2**63.
    weights = np.arange(len(words), 0, -1, dtype=np.int64) % 65535
    return total, int(((words * weights) % 65535).sum()) % 65535


def _sums(stored: int) -> tuple[int, int]:
    return (stored & 0xFFFF) % 65535, (stored >> 16) % 65535
