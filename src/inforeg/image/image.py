"""Intensities, or integer labels, on a grid."""

from dataclasses import dataclass

import torch
from torch import Tensor

from inforeg.errors import ReadError
from inforeg.space import Grid


def _check(data: Tensor, grid: Grid) -> None:
    if tuple(data.shape[2:]) != grid.shape or data.ndim != grid.ndim + 2:
        raise ReadError(
            f"expected data of shape (batch, channels, {', '.join(map(str, grid.shape))}), got {tuple(data.shape)}"
        )


@dataclass(frozen=True, eq=False)
class Image:
    """Intensities `(batch, channels, *grid.shape)`, float32, on one grid; RGB is three channels.

    `dtype` is the numpy name of the type the file held, so that what is written can be of the same kind.
    Raises `ReadError` where data and grid do not fit.
    """

    data: Tensor
    grid: Grid
    name: str = ""
    dtype: str = "float32"

    def __post_init__(self) -> None:
        _check(self.data, self.grid)
        if self.data.dtype != torch.float32:
            object.__setattr__(self, "data", self.data.to(torch.float32))

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.data.shape[1])

    def to(self, device: torch.device | str) -> "Image":
        """The same image with its intensities on another device; the grid stays where it is."""
        return Image(self.data.to(device), self.grid, self.name, self.dtype)


@dataclass(frozen=True, eq=False)
class Labels:
    """Integer labels `(batch, 1, *grid.shape)`, int64 with their true ids, on one grid.

    `dtype` is the numpy name of the type the file held. Raises `ReadError` where data and grid do not fit.
    """

    data: Tensor
    grid: Grid
    name: str = ""
    dtype: str = "int32"

    def __post_init__(self) -> None:
        _check(self.data, self.grid)
        if self.data.dtype != torch.int64:
            object.__setattr__(self, "data", self.data.to(torch.int64))
