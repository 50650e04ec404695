"""ITK's and ANTs' binary files (`.mat`, as `0GenericAffine.mat`): matrices in the form of Matlab 4.

Two for each transform: one named by its class, with its parameters, and one named `fixed`.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.streams import open_plain
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.itk_parts import Part, parts_of, transform_of
from inforeg.transforms import Composite, Linear, Transform
from inforeg.transforms.linear import compose

# The second digit (from the right) of a matrix's type says what its numbers are, the fourth their byte order.
_NUMBERS = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}
_ORDERS = {0: "<", 1: ">"}
_HEAD_BYTES = 20
_LONGEST_NAME = 256


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is one of these: the name of a class is in its first bytes."""
    return len(head) > _HEAD_BYTES and _order(head) is not None and b"Transform_" in head[:_LONGEST_NAME]


def read(path: Path, _context: Context) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm, with its centre folded in.

    Raises `ReadError` for a damaged file, and for a composite: ITK writes such a file without what it is made of.
    """
    with open_plain(path) as file:
        matrices = _matrices(file.read(), path)
    parts = []
    for (name, parameters), (fixed_name, fixed) in zip(matrices[::2], matrices[1::2], strict=False):
        if fixed_name != "fixed":
            raise ReadError(
                f"{path}: expected a matrix named fixed behind {name[:60]}, got {fixed_name[:60]!r}"
            )
        parts.append(Part(name, fixed, parameters))
    if len(matrices) % 2:
        raise ReadError(f"{path} is cut short: {matrices[-1][0][:60]} has no fixed parameters")
    if parts and parts[0].is_composite:
        raise ReadError(f"{path} is a composite without its parts, which .mat cannot hold; save it as .h5")
    return transform_of(parts, path)


def write(transform: Transform, path: Path, context: Context) -> None:
    """One linear transform as ANTs has it, about the context's centre; a chain of them becomes one.

    Raises `WriteError` for anything else.
    """
    merged = compose(transform.parts) if isinstance(transform, Composite) else transform
    if not isinstance(merged, Linear):
        raise WriteError(f"{path.suffix} holds one matrix and no warp; write .h5, which holds both")
    part = parts_of(merged, path, context)[0]
    with path.open("wb") as file:
        for name, values in ((part.name, part.parameters), ("fixed", part.fixed)):
            file.write(struct.pack("<5i", 0, len(values), 1, 0, len(name) + 1) + name.encode("ascii") + b"\0")
            file.write(np.ascontiguousarray(values, "<f8").tobytes())


def _order(head: bytes) -> str | None:
    """The byte order of a matrix that begins so, or None if it is no matrix of plain numbers."""
    for order in _ORDERS.values():
        kind = struct.unpack_from(f"{order}i", head)[0]
        if (
            _ORDERS.get(kind // 1000) == order
            and (kind // 10) % 10 in _NUMBERS
            and kind % 10 == kind // 100 % 10 == 0
        ):
            return order
    return None


def _matrices(data: bytes, path: Path) -> list[tuple[str, NDArray[Any]]]:
    found = []
    at = 0
    while at < len(data):
        order = _order(data[at:]) if len(data) - at >= _HEAD_BYTES else None
        if order is None:
            raise ReadError(
                f"expected a matrix of Matlab 4 at byte {at} of {path}; is it cut short, or of Matlab 5?"
            )
        kind, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", data, at)
        at += _HEAD_BYTES
        dtype = np.dtype(order + _NUMBERS[kind // 10 % 10])
        if rows < 0 or columns < 0 or imaginary or not 1 <= length <= _LONGEST_NAME:
            raise ReadError(
                f"{path} is damaged: its matrix has {rows} x {columns} numbers and a name of {length}"
            )
        end = at + length + rows * columns * dtype.itemsize
        if end > len(data):
            raise ReadError(
                f"{path} is cut short: it promises {rows} x {columns} numbers, up to byte {end}, and has {len(data)}"
            )
        name = data[at : at + length].split(b"\0", 1)[0].decode("latin-1")
        values = np.frombuffer(data, dtype, rows * columns, at + length)
        found.append((name, values if dtype.kind == "f" else values.astype(np.float64)))
        at = end
    return found
