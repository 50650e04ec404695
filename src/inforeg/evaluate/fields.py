"""Errors of whole transforms, voxel by voxel: against a true one, and of an inverse against what it undoes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.evaluate.points import tre_mm
from inforeg.evaluate.slabs import slabs, voxel_index
from inforeg.space import Grid
from inforeg.transforms import Transform


@dataclass(frozen=True)
class FieldErrors:
    """The errors at the voxels of a grid or mask, in mm: how many, mean, median, 95th percentile and largest."""

    voxels: int
    mean_mm: float
    median_mm: float
    p95_mm: float
    max_mm: float


def dense_error_mm(
    transform: Transform | None,
    truth: Transform,
    grid: Grid,
    where: Bool[Tensor, "*shape"] | None = None,
) -> Float[Tensor, " n"]:
    """How far from where the true transform takes it each voxel centre of `grid` lands, in mm, float64.

    Both take fixed points to moving points, and the error is measured in the moving image's world. Without a transform
    it is the error before registration. `where`, of the grid's shape, says which voxels are looked at; they come in
    the grid's order, first axis slowest. Raises `UsageError` for a mask of another shape or transforms of another
    dimension.
    """
    _check(grid, where, truth, *(() if transform is None else (transform,)))
    return _over(grid, where, lambda points: tre_mm(transform, points, truth(points)))


def inverse_error_mm(
    transform: Transform,
    inverse: Transform,
    grid: Grid,
    where: Bool[Tensor, "*shape"] | None = None,
) -> Float[Tensor, " n"]:
    """How far from itself each voxel centre of `grid` ends after the transform and its inverse, in mm, float64.

    `|inverse(transform(x)) - x|`, measured in the fixed image's world. A point that leaves the grid of the inverse's
    field is not brought back, and its error says so: a mask keeps such out. `where` and what is raised are as for
    `dense_error_mm`.
    """
    _check(grid, where, transform, inverse)
    return _over(grid, where, lambda points: tre_mm(inverse @ transform, points, points))


def field_errors(errors_mm: Float[Tensor, " n"]) -> FieldErrors:
    """The summary of the errors of a field; raises `UsageError` for none at all."""
    if errors_mm.numel() == 0:
        raise UsageError("expected at least one voxel's error, got none; is the mask empty?")
    # torch's own quantile ends at 2**24 values.
    errors = errors_mm.detach().cpu().to(torch.float64).numpy()
    median, p95 = np.quantile(errors, (0.5, 0.95))
    return FieldErrors(
        voxels=len(errors),
        mean_mm=float(errors.mean()),
        median_mm=float(median),
        p95_mm=float(p95),
        max_mm=float(errors.max()),
    )


def _check(grid: Grid, where: Tensor | None, *transforms: Transform) -> None:
    if where is not None and tuple(where.shape) != grid.shape:
        raise UsageError(f"expected a mask of the grid's shape {grid.shape}, got {tuple(where.shape)}")
    for transform in transforms:
        if transform.ndim != grid.ndim:
            raise UsageError(
                f"expected a {grid.ndim}-D transform for this grid, got a {transform.ndim}-D one"
            )


def _over(grid: Grid, where: Tensor | None, errors: Callable[[Tensor], Tensor]) -> Tensor:
    parts = []
    for rows in slabs(grid):
        index = voxel_index(grid, rows)
        chosen = index.reshape(-1, grid.ndim) if where is None else index[where[rows.start : rows.stop]]
        parts.append(errors(grid.to_world(chosen)))
    return torch.cat(parts)
