"""What a header has to say about values that are about to be written, and the values as a file wants them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import WriteError
from inforeg.io.compressed import gzip_pieces

Order: TypeAlias = Literal["<", ">"]
"""Little-endian or big-endian."""


@dataclass(frozen=True, eq=False)
class Outline:
    """Volumes of `channels` values of one type on one grid, `step` apart in `step_unit` (0 and "": not said)."""

    shape: tuple[int, ...]
    voxel_to_world: NDArray[np.float64]
    dtype: np.dtype[Any]
    channels: int = 1
    volumes: int = 1
    step: float = 0.0
    step_unit: str = ""

    @classmethod
    def of(cls, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> "Outline":
        """That of one volume or slice, `(channels, i, j[, k])`."""
        return cls(values.shape[1:], voxel_to_world, values.dtype, values.shape[0])

    def in_space(self) -> "Outline":
        """The same with three axes: a slice becomes a volume of one voxel across, in the world's x-y plane."""
        if len(self.shape) == 3:
            return self
        matrix = np.eye(4)
        matrix[np.ix_((0, 1, 3), (0, 1, 3))] = self.voxel_to_world
        return replace(self, shape=(*self.shape, 1), voxel_to_world=matrix)

    def check_type(self, name: str, holds: Iterable[str], channels: bool) -> None:
        """Raise `WriteError` for a type of values, or a number of channels, that a format does not hold."""
        held = list(holds)
        if self.dtype.name not in held:
            raise WriteError(
                f"{name} holds {', '.join(held)}, not {self.dtype.name}; name another type, or write .nii.gz"
            )
        if self.channels != 1 and not channels:
            raise WriteError(f"{name} holds one channel, got {self.channels}; write .nrrd or .mha")


def write_pieces(
    path: Path,
    head: bytes,
    volumes: Iterable[NDArray[Any]],
    *,
    order: Order = "<",
    tail: bytes = b"",
    packed: str = "",
) -> None:
    """Write a header, volumes `(channels, i, j[, k])` one by one, and what comes behind them.

    `packed` is "all" for a file that is gzip as a whole, "values" where only what follows the header is. The same
    content gives the same bytes.
    """
    body: Iterable[Any] = _then((fortran_bytes(values, order) for values in volumes), tail)
    with path.open("wb") as file:
        if packed == "all":
            body = gzip_pieces(_first(head, body))
        else:
            file.write(head)
            body = gzip_pieces(body) if packed == "values" else body
        for piece in body:
            file.write(piece)


def fortran_bytes(values: NDArray[Any], order: Order = "<") -> Any:
    """Values `(channels, i, j[, k])` as files want them: channels fastest, then the first axis."""
    result = np.empty(values.shape[::-1], values.dtype.newbyteorder(order))
    # A plane at a time stays in the processor's cache.
    if values.ndim == 4:
        for j in range(values.shape[2]):
            result[:, j] = values[:, :, j].T
    else:
        result[...] = values.T
    return result.reshape(-1).view(np.uint8).data


def _first(head: Any, rest: Iterable[Any]) -> Iterator[Any]:
    yield head
    yield from rest


def _then(first: Iterable[Any], tail: bytes) -> Iterator[Any]:
    yield from first
    if tail:
        yield tail
