"""The grid that a network sees: of fixed size in mm, along the world's axes, centred on the object."""

from typing import Annotated

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image, Labels, normalise, resample, resample_labels, to_scalar
from inforeg.image.sample import PointMap
from inforeg.settings import Settings
from inforeg.space import Grid

Shape = Annotated[tuple[Annotated[int, Field(ge=8)], ...], Field(min_length=2, max_length=3)]


class Canonical(Settings):
    """How many voxels a network sees along each axis of the world (RAS+), and how large they are."""

    shape: Shape = (48, 64, 48)
    """Voxels to the right, to the front and upwards (in 2-D, along the image's two axes)."""
    spacing_mm: Annotated[float, Field(gt=0)] = 3.0
    """Their size."""

    def around(self, centre_mm: Float[Tensor, " d"], coarser: int = 1) -> Grid:
        """The grid about a point of the world; of voxels `coarser` times larger over the same field of view."""
        grid = Grid.from_spacing([n // coarser for n in self.shape], self.spacing_mm * coarser)
        matrix = grid.voxel_to_world.clone()
        matrix[:-1, -1] += centre_mm.to(matrix)
        return Grid(grid.shape, matrix)

    def about_middle_mm(self, voxels: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Voxel places as points in mm along the axes about the middle of the field of view, float64."""
        middle = (torch.tensor(self.shape, dtype=torch.float64, device=voxels.device) - 1) / 2
        return (voxels.double() - middle) * self.spacing_mm

    def voxels_about_middle(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """The voxel places of points in mm along the axes about the middle of the field of view."""
        middle = (torch.tensor(self.shape, dtype=points_mm.dtype, device=points_mm.device) - 1) / 2
        return points_mm / self.spacing_mm + middle

    def holds(self, radius_mm: float) -> bool:
        """Whether an object of that radius has room in it."""
        return 2 * radius_mm <= 1.1 * min(self.shape) * self.spacing_mm

    def finer_for(self, grid: Grid) -> int:
        """By how much smaller voxels come up to those of a grid."""
        return max(1, round(self.spacing_mm / float(grid.spacing_mm.min())))


def seen_on(image: Image, canonical: Canonical, grid: Grid, to_image: PointMap | None = None) -> Image:
    """An image as a network sees it: on its grid, one channel, 0 to 1 between the half-percent quantiles.

    It is read on a finer grid where the image has smaller voxels, and averaged, so that nothing aliases. `to_image`
    takes points of the grid's world to the image's.
    """
    finer = canonical.finer_for(image.grid)
    fine = _finer(grid, finer)
    return normalise(Image(_pooled(resample(to_scalar(image), fine, to_image).data, finer), grid, image.name))


def labels_on(
    labels: Labels, canonical: Canonical, grid: Grid, to_labels: PointMap | None = None
) -> tuple[Int[Tensor, " 1 *fine"], int]:
    """A label map on a finer grid over the same field of view, and how much finer it is."""
    finer = canonical.finer_for(labels.grid)
    return resample_labels(labels, _finer(grid, finer), to_labels).data[0], finer


def _finer(grid: Grid, factor: int) -> Grid:
    if factor == 1:
        return grid
    matrix = grid.voxel_to_world.clone()
    d = grid.ndim
    matrix[:d, :d] /= factor
    matrix[:d, d] = grid.to_world(torch.full((d,), 0.5 / factor - 0.5, dtype=torch.float64))
    return Grid(tuple(n * factor for n in grid.shape), matrix)


def _pooled(data: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return data
    return (functional.avg_pool2d if data.ndim == 4 else functional.avg_pool3d)(data, factor)
