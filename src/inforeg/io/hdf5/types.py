"""What the values in an HDF5 file are: their types, how many there are, and their bytes as numbers and text."""

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.io.hdf5.source import UNDEFINED, Cursor, Source

# Classes of types, by their number in the specification.
_INTEGER, _FLOAT, _STRING, _ENUM, _VARIABLE = 0, 1, 3, 8, 9

# IEEE floats by size: bits of precision, exponent's place and size, mantissa's place and size, bias.
_IEEE = {2: (16, 10, 5, 0, 10, 15), 4: (32, 23, 8, 0, 23, 127), 8: (64, 52, 11, 0, 52, 1023)}

_POINTER_BYTES = 16
_MOST_AXES = 16


@dataclass(frozen=True)
class Type:
    """Numbers of a numpy type, or text: of `size` bytes each, or of any length in a heap."""

    size: int
    dtype: np.dtype[Any] | None = None
    variable: bool = False
    padding: bytes = b"\0"


def read_type(cursor: Cursor, nested: bool = False) -> Type:
    """A datatype message; raises `ReadError` for types other than integers, IEEE floats, enumerations and text."""
    head = cursor.number(1)
    kind, version = head & 15, head >> 4
    bits = cursor.number(3)
    size = cursor.number(4)
    if not 1 <= version <= 5:
        raise cursor.source.unread(f"version {version} of types")
    if kind == _INTEGER:
        place, precision = cursor.number(2), cursor.number(2)
        if size not in (1, 2, 4, 8) or place or precision != 8 * size:
            raise cursor.source.unread(f"an integer of {precision} bits in {size} bytes")
        sign = "i" if bits & 8 else "u"
        return Type(size, np.dtype(f"{'>' if bits & 1 else '<'}{sign}{size}"))
    if kind == _FLOAT:
        place, precision = cursor.number(2), cursor.number(2)
        layout = (precision, *(cursor.number(1) for _ in range(4)), cursor.number(4))
        if place or bits & 64 or layout != _IEEE.get(size):
            raise cursor.source.unread(f"a float of {size} bytes that is not IEEE's")
        return Type(size, np.dtype(f"{'>' if bits & 1 else '<'}f{size}"))
    if kind == _STRING and size > 0:
        return Type(size, padding=b" " if bits & 15 == 2 else b"\0")
    if kind == _ENUM and not nested:
        # What its numbers are called comes behind the type of the numbers, and is not needed.
        return read_type(cursor, nested=True)
    if kind == _VARIABLE and bits & 15 == 1 and size == _POINTER_BYTES:
        return Type(size, variable=True)
    raise cursor.source.unread(f"a type of class {kind} and {size} bytes")


def read_shape(cursor: Cursor) -> tuple[int, ...] | None:
    """A dataspace message: the size of each axis, `()` for one value, None for no value at all."""
    version = cursor.version(1, 2)
    rank, flags = cursor.number(1), cursor.number(1)
    if rank > _MOST_AXES or flags & 2:
        raise cursor.source.unread(f"a data set of {rank} axes")
    null = cursor.number(1 if version == 2 else 5) == 2 and version == 2
    shape = tuple(cursor.number(8) for _ in range(rank))
    return None if null else shape


class Heap:
    """The global heap, where text of any length lies; each collection of it is taken apart once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._collections: dict[int, dict[int, memoryview]] = {}
        self._texts: dict[tuple[int, int, int], str] = {}

    def text(self, pointer: Cursor) -> str:
        """The text that a pointer of 16 bytes points to."""
        length, address, index = pointer.number(4), pointer.number(8), pointer.number(4)
        if length == 0 or address in (0, UNDEFINED):
            return ""
        key = (address, index, length)
        if key not in self._texts:
            data = self._collection(address).get(index)
            if data is None or len(data) < length:
                raise self._source.fault(f"text {index} of {length} bytes is not in its heap")
            self._texts[key] = _decoded(self._source, bytes(data[:length]).split(b"\0", 1)[0])
        return self._texts[key]

    def _collection(self, address: int) -> dict[int, memoryview]:
        if address not in self._collections:
            head = self._source.block(address, 16, "heap of texts")
            head.expect(b"GCOL")
            head.version(1)
            head.take(3)
            size = head.number(8)
            if size < 16:
                raise self._source.fault(f"its heap of texts has {size} bytes")
            body = self._source.block(address + 16, size - 16, "heap of texts")
            found = {}
            while body.left >= 16:
                index = body.number(2)
                body.take(6)
                length = body.number(8)
                if index == 0:
                    break
                found[index] = body.take(length)
                body.take(min(-length % 8, body.left))
            self._collections[address] = found
        return self._collections[address]


def decode(
    source: Source, heap: Heap, kind: Type, shape: tuple[int, ...], data: memoryview
) -> NDArray[Any] | list[str]:
    """Bytes as an array of numbers of that shape, or as a list of texts."""
    count = prod(shape)
    if len(data) < count * kind.size:
        raise source.fault(f"{count} values of {kind.size} bytes do not fit into {len(data)} bytes")
    if count == 0:
        return np.empty(0, kind.dtype) if kind.dtype is not None else []
    if kind.dtype is not None:
        return np.frombuffer(data, kind.dtype, count=count).reshape(shape)
    pieces = [data[n * kind.size : (n + 1) * kind.size] for n in range(count)]
    if kind.variable:
        return [heap.text(Cursor(source, piece, "pointer to a text")) for piece in pieces]
    return [_decoded(source, bytes(piece).split(b"\0", 1)[0].rstrip(kind.padding)) for piece in pieces]


def _decoded(source: Source, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise source.fault(f"expected text, got {data[:20]!r}") from None
