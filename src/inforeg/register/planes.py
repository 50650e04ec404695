"""Slices of an image as they stand on a screen."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from inforeg import report
from inforeg.image import Image, resample
from inforeg.space import Grid
from inforeg.transforms import Transform

PLANES = {2: {"picture": (0, 1)}, 3: {"axial": (0, 1), "coronal": (0, 2), "sagittal": (1, 2)}}


@dataclass(frozen=True)
class Plane:
    """A slice as it stands on the screen: its grid, one voxel thick, and the axes that run across and down."""

    name: str
    grid: Grid
    axes: tuple[int, int]

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Of rows and of columns."""
        across, down = self.axes
        return float(self.grid.spacing_mm[down]), float(self.grid.spacing_mm[across])

    def picture(self, image: Image, transform: Transform | None, outside: float) -> NDArray[np.float32]:
        """An image of one channel in this slice, (row, column)."""
        across, down = (self.grid.shape[axis] for axis in self.axes)
        values = resample(image, self.grid, transform, outside=outside).data.reshape(across, down)
        picture: NDArray[np.float32] = values.T.numpy()
        return picture

    def places(self, points_mm: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n two"], Float[Tensor, " n"]]:
        """Where points are in it, across and down from 0 to 1, and how far they are from it, in mm."""
        voxel = self.grid.to_voxel(points_mm)
        across, down = self.axes
        sizes = torch.tensor([self.grid.shape[across], self.grid.shape[down]], dtype=voxel.dtype)
        off = [axis for axis in range(self.grid.ndim) if axis not in self.axes]
        apart = voxel[:, off] * self.grid.spacing_mm[off].to(voxel)
        return (voxel[:, [across, down]] + 0.5) / sizes, apart.norm(dim=1)


def planes_of(grid: Grid, centre_mm: Float[Tensor, " d"]) -> list[Plane]:
    """The planes of a grid through the voxel nearest to a point: three in 3-D, in 2-D the picture itself."""
    grid = _screen(grid)
    at = grid.to_voxel(centre_mm)
    nearest = [min(n - 1, max(0, round(float(v)))) for n, v in zip(grid.shape, at, strict=True)]
    planes = []
    for name, axes in PLANES[grid.ndim].items():
        first = torch.zeros(grid.ndim, dtype=torch.float64)
        shape = list(grid.shape)
        for axis in range(grid.ndim):
            if axis not in axes:
                first[axis], shape[axis] = nearest[axis], 1
        matrix = grid.voxel_to_world.clone()
        matrix[:-1, -1] = grid.to_world(first)
        planes.append(Plane(name, Grid(tuple(shape), matrix), axes))
    return planes


def _screen(grid: Grid) -> Grid:
    """The same voxels in the order of a screen: axes that run nearest to left, posterior (, inferior)."""
    order, runs_against = report.ras_order(grid.voxel_to_world.numpy())
    matrix = grid.voxel_to_world.clone()
    d = grid.ndim
    for axis, (source, against) in enumerate(zip(order, runs_against, strict=True)):
        column = grid.voxel_to_world[:d, source]
        matrix[:d, axis] = column if against else -column
        if not against:
            matrix[:d, d] += (grid.shape[source] - 1) * column
    return Grid(tuple(grid.shape[source] for source in order), matrix)
