"""How a transform changes volumes: determinants of its derivative, and where it folds."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.evaluate.slabs import slabs, voxel_index
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform
from inforeg.transforms.linear import compose


@dataclass(frozen=True)
class JacobianSummary:
    """What a set of Jacobian determinants amounts to.

    `folds` counts the determinants that are zero, negative or not a number, as they are: nothing is clipped or added
    before. `sd_log` is the standard deviation of the natural logarithm over the positive ones (their own, not an
    estimate for a larger set), NaN where there is none.
    """

    voxels: int
    smallest: float
    largest: float
    mean: float
    folds: int
    share_folded: float
    sd_log: float


def jacobian_determinants(transform: Transform, grid: Grid) -> Float[Tensor, "*shape"]:
    """Determinant of the derivative of a transform at each voxel centre of `grid`, float64 of `grid.shape`.

    1 keeps volume, 2 doubles it on the way from the fixed to the moving image; at 0 or below space is folded. Linear
    transforms, projective ones too, are derived exactly. For all others it is taken from central differences of where
    the voxel centres go, one-sided at the faces of the grid: for a displacement field on this grid that is what ITK and
    ANTs compute, and for a chain it is what the grid sees of it. Along an axis of one voxel the difference is taken
    between its two faces. Where a field ends inside the grid it jumps, and the determinants there say so. Raises
    `UsageError` for a transform of another dimension.
    """
    if transform.ndim != grid.ndim:
        raise UsageError(f"expected a {grid.ndim}-D transform for this grid, got a {transform.ndim}-D one")
    transform = compose((transform,))
    result = torch.empty(grid.shape, dtype=torch.float64)
    for rows in slabs(grid):
        result[rows.start : rows.stop] = (
            _exact(transform, grid, rows)
            if isinstance(transform, Linear)
            else _differences(transform, grid, rows)
        )
    return result


def jacobian_summary(
    determinants: Float[Tensor, "*shape"], where: Bool[Tensor, "*shape"] | None = None
) -> JacobianSummary:
    """Smallest, largest and mean determinant, the share that folds, and the spread of the logarithm.

    `where` leaves voxels out. Raises `UsageError` where nothing is left.
    """
    values = (determinants if where is None else determinants[where]).reshape(-1).to(torch.float64)
    if values.numel() == 0:
        raise UsageError("expected at least one determinant, got none; is the mask empty?")
    positive = values > 0
    logs = values[positive].log()
    folds = values.numel() - int(positive.sum())
    return JacobianSummary(
        voxels=values.numel(),
        smallest=float(values.min()),
        largest=float(values.max()),
        mean=float(values.mean()),
        folds=folds,
        share_folded=folds / values.numel(),
        sd_log=float(logs.std(correction=0)) if len(logs) else float("nan"),
    )


def smoothness(
    transform: Transform, grid: Grid, where: Bool[Tensor, "*shape"] | None = None
) -> JacobianSummary:
    """Folds, SDlogJ and the range of the determinants of a transform at the voxel centres of `grid`, or of a mask.

    It is `jacobian_summary` of `jacobian_determinants`; of an affine transform, the same everywhere, only one is taken.
    Raises what they do.
    """
    transform = compose((transform,))
    if not (isinstance(transform, Linear) and transform.is_affine):
        return jacobian_summary(jacobian_determinants(transform, grid), where)
    one = jacobian_summary(jacobian_determinants(transform, Grid((1,) * grid.ndim, grid.voxel_to_world)))
    voxels = grid.voxel_count if where is None else int(where.sum())
    if voxels == 0:
        raise UsageError("expected at least one determinant, got none; is the mask empty?")
    return replace(one, voxels=voxels, folds=one.folds * voxels)


def _exact(transform: Linear, grid: Grid, rows: range) -> Tensor:
    shape = (len(rows), *grid.shape[1:])
    if transform.is_affine:
        constant: Tensor = torch.linalg.det(transform.matrix[:-1, :-1])
        return constant.expand(shape)
    index = voxel_index(grid, rows).reshape(-1, grid.ndim)
    determinants: Tensor = torch.linalg.det(transform.jacobian(grid.to_world(index)))
    return determinants.reshape(shape)


def _differences(transform: Transform, grid: Grid, rows: range) -> Tensor:
    d = grid.ndim
    # One more row on either side, where there is one.
    low, high = max(rows.start - 1, 0), min(rows.stop + 1, grid.shape[0])
    index = voxel_index(grid, range(low, high))
    moved = _moved(transform, grid, index)
    columns = []
    for axis in range(d):
        if grid.shape[axis] == 1:
            half = torch.zeros(d, dtype=torch.float64)
            half[axis] = 0.5
            column = _moved(transform, grid, index + half) - _moved(transform, grid, index - half)
        else:
            column = _slope(moved, axis)
        columns.append(column[rows.start - low : rows.stop - low])
    # Per voxel of the grid on the way in, mm on the way out.
    return _determinant(columns) / float(torch.linalg.det(grid.voxel_to_world[:d, :d]))


def _determinant(columns: list[Tensor]) -> Tensor:
    """Written out: a third of the time of a decomposition of millions of small matrices."""
    if len(columns) == 2:
        a, b = columns
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b, c = columns
    product: Tensor = (a * torch.linalg.cross(b, c)).sum(dim=-1)
    return product


def _slope(moved: Tensor, axis: int) -> Tensor:
    """Central differences per voxel along an axis; one-sided at both ends."""
    n = moved.shape[axis]
    before = moved.narrow(axis, 0, n - 1)
    steps = moved.narrow(axis, 1, n - 1) - before
    inner = (steps.narrow(axis, 1, n - 2) + steps.narrow(axis, 0, n - 2)) / 2
    return torch.cat((steps.narrow(axis, 0, 1), inner, steps.narrow(axis, n - 2, 1)), dim=axis)


def _moved(transform: Transform, grid: Grid, index: Tensor) -> Tensor:
    return transform(grid.to_world(index.reshape(-1, grid.ndim))).reshape(index.shape)
