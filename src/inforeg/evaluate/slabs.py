"""A grid some rows at a time, so that the memory a measure needs on the way does not grow with the grid."""

from collections.abc import Iterator
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.space import Grid

# Voxels that are looked at in one go.
SLAB_VOXELS = 1 << 18


def slabs(grid: Grid) -> Iterator[range]:
    """Ranges of rows (places on the first axis) that make up the grid, each of about `SLAB_VOXELS` or of one row."""
    rows = max(1, SLAB_VOXELS // prod(grid.shape[1:]))
    for start in range(0, grid.shape[0], rows):
        yield range(start, min(start + rows, grid.shape[0]))


def voxel_index(grid: Grid, rows: range) -> Float[Tensor, "*shape d"]:
    """Voxel indices of some rows, `(rows, *grid.shape[1:], d)`, float64."""
    axes = [torch.arange(n, dtype=torch.float64) for n in grid.shape]
    axes[0] = torch.arange(rows.start, rows.stop, dtype=torch.float64)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
