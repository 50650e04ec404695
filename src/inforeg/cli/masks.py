"""Masks that say where a command looks."""

from pathlib import Path
from typing import TYPE_CHECKING

from inforeg.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from inforeg.space import Grid


def voxels_inside(mask: Path, grid: "Grid", reference: Path) -> "Tensor":
    """Which voxels of the reference's grid lie in a mask (above 0.5), `(*grid.shape)`, wherever its own grid is."""
    from inforeg.image.sample import covers
    from inforeg.io import read_image

    region = read_image(mask)
    if region.grid.ndim != grid.ndim:
        raise UsageError(
            f"expected a mask of as many axes as {reference} ({grid.ndim}-D), {mask} is {region.grid.ndim}-D"
        )
    where = covers(region, grid).reshape(grid.shape)
    if not bool(where.any()):
        raise UsageError(f"{mask} covers no voxel of {reference}")
    return where
