"""Transforms of every kind to be written and read: each made for one grid, and far from any symmetry."""

import torch
from torch import Tensor

from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform, Velocity, group

# A field moves points by about a voxel.
_FIELD_MM = 2.0


def sample(kind: str, grid: Grid, seed: int) -> Transform:
    """A random transform that moves points of the field of view by millimetres.

    Its kind is one of `promises.KINDS`, or "velocity32", "velocity64", or "flow": a matrix after a velocity field in
    float32, as deformable registration finds it.
    """
    generator = torch.Generator().manual_seed(seed)
    if kind in ("linear", "projective"):
        return linear(grid, generator, kind)
    if kind == "linears":
        return Composite((linear(grid, generator), linear(grid, generator)))
    if kind.startswith("displacement"):
        return field(grid, generator, torch.float32 if kind.endswith("32") else torch.float64)
    if kind == "bspline":
        return spline(grid, generator)
    if kind.startswith("velocity"):
        return velocity(grid, generator, torch.float32 if kind.endswith("32") else torch.float64)
    if kind == "flow":
        return Composite((linear(grid, generator), velocity(grid, generator, torch.float32)))
    # The last part is applied first: there a field is asked at the centres of its own voxels.
    parts: list[Transform] = [linear(grid, generator), field(grid, generator, torch.float64)]
    if kind == "long chain":
        parts = [spline(grid, generator), *parts, linear(grid, generator)]
    return Composite(tuple(parts))


def linear(grid: Grid, generator: torch.Generator, kind: str = "linear") -> Linear:
    """An affine or projective transform about a point near the middle of the grid."""
    which = group("affine" if kind == "linear" else kind, grid.ndim)
    parameters = 0.2 * (torch.rand(which.size, generator=generator, dtype=torch.float64) * 2 - 1)
    radius_mm = float(grid.extent_mm.max()) / 2
    return which.exp(parameters, grid.centre_mm + 3.0, radius_mm)


def field(grid: Grid, generator: torch.Generator, dtype: torch.dtype) -> Displacement:
    """A displacement of its own for every voxel of the grid."""
    vectors = _FIELD_MM * torch.randn(grid.ndim, *grid.shape, generator=generator, dtype=torch.float64)
    return Displacement(vectors.to(dtype), grid)


def velocity(grid: Grid, generator: torch.Generator, dtype: torch.dtype) -> Velocity:
    """A velocity of its own for every voxel of the grid; on the way some leave it."""
    return Velocity(field(grid, generator, dtype).vectors, grid)


def spline(grid: Grid, generator: torch.Generator) -> BSpline:
    """A free-form deformation whose control grid lies as the grid does, and reaches a little beyond it."""
    d = grid.ndim
    shape = torch.tensor(grid.shape, dtype=torch.float64)
    cells = torch.arange(3, 3 + d, dtype=torch.float64)
    # Control points from one before the field of view to one behind it, and a cubic's neighbours around.
    steps = (shape + 1) / cells
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = torch.diag(steps)
    matrix[:d, d] = -1.0 - steps
    control = Grid(tuple(int(n) + 3 for n in cells), grid.voxel_to_world @ matrix)
    coefficients = _FIELD_MM * torch.randn(d, *control.shape, generator=generator, dtype=torch.float64)
    return BSpline(coefficients, control)


def points_near(grid: Grid, count: int, seed: int) -> Tensor:
    """Random world points `(count, d)` in the grid's field of view and around it."""
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, grid.ndim, generator=generator, dtype=torch.float64) * 1.6 - 0.3
    return grid.to_world(share * torch.tensor(grid.shape, dtype=torch.float64) - 0.5)
