"""What penalties ask of a field before they look at it, and how it changes from voxel to voxel."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.space import Grid

Field = Float[Tensor, "_ d ..."]


def checked(field: Field, grid: Grid, name: str) -> Field:
    """The field in float32 or better; raises `UsageError` unless it has a vector for each voxel of the grid."""
    expected = (grid.ndim, *grid.shape)
    if tuple(field.shape[1:]) != expected:
        raise UsageError(
            f"{name} expected a field (batch, {', '.join(map(str, expected))}) for its grid, got {tuple(field.shape)}"
        )
    return field.to(torch.promote_types(field.dtype, torch.float32))


def step_along(field: Field, axis: int, spacing_mm: float) -> Field:
    """The change per mm from each voxel to the next along a spatial axis: one fewer than there are voxels."""
    return field.diff(dim=axis + 2) / spacing_mm


def mean_square(vectors: Field) -> Float[Tensor, ""]:
    """The mean over batch and voxels of the vectors' squared length; zero where there are none."""
    if vectors.numel() == 0:
        return vectors.sum()
    return vectors.square().sum(dim=1).mean()
