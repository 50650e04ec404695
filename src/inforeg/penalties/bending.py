"""The bending energy: a field without curvature."""

from itertools import combinations_with_replacement

from jaxtyping import Float
from torch import Tensor

from inforeg.penalties.field import Field, checked, mean_square, step_along
from inforeg.space import Grid


def bending(field: Field, grid: Grid) -> Float[Tensor, ""]:
    """The mean squared second derivative of a field in mm, per mm².

    The squares of all `d * d * d` derivatives are added, so mixed ones count twice, and averaged over the volume
    (Rueckert et al., IEEE TMI 1999, without a spline: differences of neighbouring voxels, averaged for each pair of
    axes over the places where they exist). It is zero for every affine field. The grid's axes are taken to be at
    right angles; along an axis of one voxel, and twice along one of two, there is no derivative.

    Raises `UsageError` for a field that does not fit the grid.
    """
    field = checked(field, grid, "bending")
    spacing = grid.spacing_mm.tolist()
    total = field.new_zeros(())
    for i, j in combinations_with_replacement(range(grid.ndim), 2):
        second = step_along(step_along(field, i, spacing[i]), j, spacing[j])
        total = total + mean_square(second) * (1 if i == j else 2)
    return total
