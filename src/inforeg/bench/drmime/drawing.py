"""Drawing an image on a lattice of its own, once, from a source that is finer or lies otherwise."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from inforeg.bench.drmime.changes import Amounts, random_transform
from inforeg.errors import UsageError
from inforeg.image import Image, resample
from inforeg.image.filters import downsample, smooth
from inforeg.image.intensity import find_foreground
from inforeg.space import Grid
from inforeg.transforms import Linear


@dataclass(frozen=True, eq=False)
class Placement:
    """Where both images of a case look, and the transform from fixed to moving points."""

    fixed: Grid
    moving: Grid
    truth: Linear


def in_pixels(image: Image, step: float) -> Image:
    """The same picture in a world of its own, in which `step` of its pixels are one millimetre long.

    It lies about the origin and is turned as it was. Drawn with a spacing of 1 mm, a pixel is a millimetre, as it is to
    tools that know of no spacing.
    """
    grid = image.grid
    d = grid.ndim
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = grid.voxel_to_world[:d, :d] / grid.spacing_mm / step
    matrix[:d, d] = -matrix[:d, :d] @ ((torch.tensor(grid.shape, dtype=torch.float64) - 1) / 2)
    return Image(image.data, Grid(grid.shape, matrix), image.name, image.dtype)


def ready(source: Image, spacing_mm: float) -> Image:
    """The source without what a lattice of that spacing could not hold, thinned to a lattice that is finer still.

    A Gaussian and another are one Gaussian: it is that of a whole step to the lattice, `0.5 sqrt(step^2 - 1)` voxels.
    """
    steps = [spacing_mm / float(s) for s in source.grid.spacing_mm]
    thinned = downsample(source, [max(1, int(step / 1.25)) for step in steps])
    left = [spacing_mm / float(s) for s in thinned.grid.spacing_mm]
    return smooth(thinned, [0.5 * sqrt(max(step**2 - 1, 0.0)) * spacing_mm / step for step in left])


def view(
    source: Grid, extent_mm: Tensor, spacing_mm: float, generator: torch.Generator, centre_mm: Tensor
) -> Grid:
    """A lattice of that size and spacing about a point, turned as the source is, part of a voxel aside at random."""
    d = source.ndim
    shape = tuple(max(1, round(float(e) / spacing_mm)) for e in extent_mm)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = source.voxel_to_world[:d, :d] / source.spacing_mm * spacing_mm
    aside = torch.rand(d, generator=generator, dtype=torch.float64) - 0.5
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2 + aside
    matrix[:d, d] = centre_mm - matrix[:d, :d] @ middle
    return Grid(shape, matrix)


def placed(
    source: Grid,
    kind: str,
    amounts: Amounts,
    generator: torch.Generator,
    *,
    extent_mm: Tensor,
    margin_mm: Tensor | float = 0.0,
    spacing_mm: float = 1.0,
    shows: Callable[[Tensor], bool] | None = None,
) -> Placement:
    """Two views about the middle of a source, the moving one wider by a margin on all sides, and a random transform.

    With `shows`, transforms are drawn until it holds of the moving view's corners in the source: for sources that end
    somewhere. Raises `UsageError` where that never comes.
    """
    fixed = view(source, extent_mm, spacing_mm, generator, source.centre_mm)
    moving = view(source, extent_mm + 2 * margin_mm, spacing_mm, generator, source.centre_mm)
    for _ in range(200):
        truth = random_transform(kind, source.centre_mm, extent_mm, amounts, generator)
        if shows is None or shows(truth.inverse()(moving.corners_mm())):
            return Placement(fixed, moving, truth)
    raise UsageError(
        f"expected a source that holds what a view of {fixed.shape} voxels shows when it is moved, got {source}"
    )


def drawn(source: Image, grid: Grid, to_source: Linear | None = None) -> Image:
    """The source on a grid, by cubic splines; beyond its end goes on what lies at its rim (the median, per channel)."""
    d = source.grid.ndim
    flat = source.data[0]
    ends = [flat.select(a + 1, i).reshape(len(flat), -1) for a in range(d) for i in (0, -1)]
    level = torch.cat(ends, dim=1).median(dim=1).values.reshape(1, -1, *[1] * d)
    bare = Image(source.data - level, source.grid, source.name, source.dtype)
    result = resample(bare, grid, to_source, mode="bspline").data + level
    # Splines overshoot at edges; no source has values beyond its own.
    low, high = float(source.data.min()), float(source.data.max())
    return Image(result.clamp(low, high), grid, source.name, source.dtype)


def box_of_object(image: Image) -> Grid:
    """The grid's voxels from the first to the last, along each axis, that are no background."""
    where = find_foreground(image).mask.nonzero()
    low, high = where.amin(dim=0), where.amax(dim=0) + 1
    matrix = image.grid.voxel_to_world.clone()
    matrix[:-1, -1] = image.grid.to_world(low.to(torch.float64))
    return Grid(tuple(int(n) for n in high - low), matrix)
