"""How far two displacement fields are from being each other's inverse."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.sample import sample
from inforeg.penalties.field import Field, checked, mean_square
from inforeg.space import Grid


def inverse_consistency(
    displacement: Field, inverse: Field, grid: Grid, inverse_grid: Grid | None = None
) -> Float[Tensor, ""]:
    """The mean squared distance, in mm², by which points miss their start: there by one field, back by the other.

    `displacement` moves the voxel centres `x` of `grid` to `x + u(x)`; `inverse`, on `inverse_grid` (none: the same),
    moves them on by what it has there, linear between its voxel centres. The other way round is a second call. The
    gradient goes through both fields, and through where the second is read. Unlike a `Displacement`, the inverse
    holds its edge's vector beyond its faces: else points would come home by leaving. Computed in float32.

    Raises `UsageError` for fields that do not fit their grids, or not each other.
    """
    displacement = checked(displacement, grid, "inverse_consistency")
    inverse_grid = grid if inverse_grid is None else inverse_grid
    inverse = checked(inverse, inverse_grid, "inverse_consistency")
    if displacement.shape[:2] != inverse.shape[:2]:
        raise UsageError(
            f"expected fields of one batch and dimension, got {tuple(displacement.shape)} and {tuple(inverse.shape)}"
        )
    there = displacement.flatten(2).to(torch.float32)
    points = grid.points_mm().to(there)
    back, _ = sample(Image(inverse, inverse_grid), points + there.transpose(1, 2))
    return mean_square(there + back)
