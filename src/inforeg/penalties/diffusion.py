"""The diffusion penalty: a field that changes slowly."""

from jaxtyping import Float
from torch import Tensor

from inforeg.penalties.field import Field, checked, mean_square, step_along
from inforeg.space import Grid


def diffusion(field: Field, grid: Grid) -> Float[Tensor, ""]:
    """The mean squared gradient of a field in mm, a number without a unit.

    The squares of all `d * d` derivatives are added and averaged over the volume; that of a linear field is the
    squared norm of its matrix, and that of a translation is zero. Derivatives are differences of neighbouring voxels
    over their distance, averaged for each axis over the pairs there are; the grid's axes are taken to be at right
    angles. An axis of one voxel has no derivative. VoxelMorph has the mean over the derivatives, in voxels.

    Raises `UsageError` for a field that does not fit the grid.
    """
    field = checked(field, grid, "diffusion")
    total = field.new_zeros(())
    for axis, spacing in enumerate(grid.spacing_mm.tolist()):
        total = total + mean_square(step_along(field, axis, spacing))
    return total
