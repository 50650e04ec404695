"""What the report shows of a deformation: how far it moves things, and what it does to volumes."""

from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inforeg import report
from inforeg.evaluate import inverse_error_mm, jacobian_determinants, jacobian_summary
from inforeg.image import Image, find_foreground, resample
from inforeg.image.coarse import coarse_of
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Transform
from inforeg.transforms.linear import compose

# Cells of the map, and vectors of the grid's lines, along the longest side.
CELLS = {2: 384, 3: 64}
VECTORS = {2: 128, 3: 48}
# So many of a hundred places of the object lie within the scale of the map.
TYPICAL = 99


def parts_of(transform: Transform) -> tuple[Linear, Transform | None]:
    """The linear part of a transform, and what it does beside that: `transform(x) == linear(rest(x))`.

    The linear part is the product of all linear parts of a chain; the rest is None where there are no others.
    """
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    linear = Linear.identity(transform.ndim)
    for part in parts:
        if isinstance(part, Linear):
            linear = Linear(linear.matrix @ part.matrix)
    others = [part for part in parts if not isinstance(part, Linear)]
    if not others:
        return linear, None
    if all(not isinstance(part, Linear) for part in parts[-len(others) :]):
        return linear, compose(others)
    return linear, compose((linear.inverse(), *parts))


def deformation_of(
    transform: Transform, inverse: Transform | None, fixed: Image, undeformed: NDArray[Any]
) -> report.Deformation | None:
    """What a transform does beside its linear part, on the grid of the fixed image; None where there is nothing.

    `fixed` is as fine as a page shows it, on the CPU, and `undeformed` the moving image as the linear part alone puts
    it there, turned for display. All is measured at the fixed image's voxels, but the error of the inverse: at the
    cells of the map that lie in the object.
    """
    _, rest = parts_of(transform)
    if rest is None:
        return None
    grid = fixed.grid
    field = Displacement.of(rest, grid)
    determinants = jacobian_determinants(field, grid)
    mask = _mask(fixed)
    inside = _object(mask, grid)
    lengths = field.vectors.norm(dim=0)
    logs = determinants.clamp(min=1e-9).log()
    typical = logs[inside & (determinants > 0)].abs().numpy()
    cells, vectors = (_thinned(grid, most[grid.ndim]) for most in (CELLS, VECTORS))
    # The cell that holds a fold is one, however small its share of it.
    folded = torch.zeros(cells.shape, dtype=torch.bool)
    index = (determinants <= 0).nonzero()
    sizes = zip(index.T, cells.shape, grid.shape, strict=True)
    folded[tuple((2 * i + 1) * m // (2 * n) for i, m, n in sizes)] = True
    log_jacobian = torch.where(folded, torch.nan, _on(logs[None], grid, cells)[0])
    start, places = _places(*_turned([determinants, lengths, inside], grid))
    return report.Deformation(
        log_jacobian=_turned([log_jacobian], cells)[0],
        displacement_mm=_along_axes(_on(field.vectors, grid, vectors), vectors),
        undeformed=undeformed,
        typical=float(np.percentile(typical, TYPICAL)) if len(typical) else 0.0,
        start=start,
        places=places,
        inside=_measures(determinants, lengths, inside),
        whole=_measures(determinants, lengths, torch.ones_like(inside)),
        spacing_mm=[float(s) for s in grid.spacing_mm],
        inverse_error_mm=None
        if inverse is None
        else float(inverse_error_mm(transform, inverse, cells, _object(mask, cells)).max()),
    )


def _mask(image: Image) -> Image:
    """The object of an image, as a coarse mask."""
    coarse = coarse_of(image)
    return Image(find_foreground(coarse).mask[None, None].float(), coarse.grid)


def _object(mask: Image, grid: Grid) -> Tensor:
    """Which voxels of a grid lie in a mask; all where it has none of them."""
    inside = resample(mask, grid, mode="nearest").data[0, 0] > 0.5
    return inside if bool(inside.any()) else torch.ones_like(inside)


def _thinned(grid: Grid, longest: int) -> Grid:
    """A grid over the very same field of view, with at most so many voxels along its longest side."""
    d = grid.ndim
    least_mm = float(grid.extent_mm.max()) / longest
    shape = [
        min(n, ceil(float(mm) / least_mm - 1e-6)) for n, mm in zip(grid.shape, grid.extent_mm, strict=True)
    ]
    ratio = torch.tensor([n / m for n, m in zip(grid.shape, shape, strict=True)], dtype=torch.float64)
    matrix = grid.voxel_to_world.clone()
    matrix[:d, :d] *= ratio
    matrix[:d, d] = grid.to_world(ratio / 2 - 0.5)
    return Grid(tuple(shape), matrix)


def _on(values: Tensor, grid: Grid, other: Grid) -> Tensor:
    """Values `(c, *grid.shape)` at the voxels of another grid, `(c, *other.shape)`."""
    on: Tensor = resample(Image(values[None].float(), grid), other).data[0]
    return on


def _turned(arrays: list[Tensor], grid: Grid) -> list[NDArray[Any]]:
    """Arrays on a grid with the axes of the images on the page, none reduced."""
    turned, _ = report.for_display([a.numpy() for a in arrays], grid.voxel_to_world.numpy(), max(grid.shape))
    return turned


def _along_axes(vectors: Tensor, grid: Grid) -> NDArray[Any]:
    """World vectors `(d, *shape)` as mm along the axes of the images on the page, `(*shape, d)` turned as they are."""
    d = grid.ndim
    per_axis = grid.world_to_voxel[:d, :d] * grid.spacing_mm[:, None]
    along = torch.tensordot(per_axis.to(vectors), vectors, dims=1)
    order, runs_against = report.ras_order(grid.voxel_to_world.numpy())
    # Pictures run to the left and down.
    towards = -1.0 if d == 2 else 1.0
    turned = _turned(list(along), grid)
    signs = [-towards if against else towards for against in runs_against]
    return np.stack([sign * turned[axis] for sign, axis in zip(signs, order, strict=True)], axis=-1)


def _places(
    determinants: NDArray[Any], lengths: NDArray[Any], inside: NDArray[Any]
) -> tuple[tuple[float, ...], dict[str, report.Place]]:
    """Where the object's middle is, and what is worth a look."""

    def share(index: NDArray[Any]) -> tuple[float, ...]:
        return tuple(float((i + 0.5) / n) for i, n in zip(index, inside.shape, strict=True))

    def highest(values: NDArray[Any]) -> report.Place:
        index = np.unravel_index(int(values.argmax()), values.shape)
        return report.Place(share(np.array(index)), float(determinants[index]), float(lengths[index]))

    places = {
        "smallest": highest(np.where(inside, -determinants, -np.inf)),
        "largest": highest(np.where(inside, determinants, -np.inf)),
        "farthest": highest(np.where(inside, lengths, -np.inf)),
    }
    if (determinants <= 0).any():
        places["fold"] = highest(-determinants)
    return share(np.argwhere(inside).mean(axis=0)), places


def _measures(determinants: Tensor, lengths: Tensor, where: Tensor) -> report.Measures:
    summary = jacobian_summary(determinants, where)
    return report.Measures(
        places=summary.voxels,
        smallest=summary.smallest,
        largest=summary.largest,
        sd_log=summary.sd_log,
        folds=summary.folds,
        mean_mm=float(lengths[where].mean()),
        largest_mm=float(lengths[where].max()),
    )
