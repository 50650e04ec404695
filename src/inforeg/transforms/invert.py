"""Inverses of transforms that have no exact one, and how far off they are."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.space import Grid
from inforeg.transforms.base import Composite, Transform, in_chunks
from inforeg.transforms.displacement import Displacement
from inforeg.transforms.linear import Linear, compose
from inforeg.transforms.velocity import Velocity, as_displacements

TOLERANCE_MM = 1e-4

_CHUNK_POINTS = 1 << 19
_FIXED_POINT_STEPS = 12
_NEWTON_STEPS = 30


@dataclass(frozen=True, eq=False)
class Inverse:
    """An inverse on a grid, and what is known about it.

    `transform` takes moving points to fixed points. `error_mm`, one value for each voxel of `grid`, is how far from
    where it came a moving point ends after `transform` and the way back; it is measured in the middle between voxel
    centres, where interpolation is at its worst, and infinite where nothing was found. `found` says at which voxels
    there is an inverse at all: elsewhere the field leads to where the search for one ended.
    """

    transform: Transform
    grid: Grid
    error_mm: Float[Tensor, "*shape"]
    found: Bool[Tensor, "*shape"]

    @property
    def largest_error_mm(self) -> float:
        """The largest error where there is an inverse all around; NaN where there is none at all."""
        errors = self.error_mm[torch.isfinite(self.error_mm)]
        return float(errors.max()) if len(errors) else float("nan")

    @property
    def median_error_mm(self) -> float:
        """The median of the same."""
        errors = self.error_mm[torch.isfinite(self.error_mm)]
        return float(errors.median()) if len(errors) else float("nan")

    @property
    def share_found(self) -> float:
        """Share of the grid's voxels that have an inverse."""
        return float(self.found.double().mean())


def solve(
    transform: Transform, moving_mm: Float[Tensor, "n d"], tolerance_mm: float = TOLERANCE_MM
) -> tuple[Float[Tensor, "n d"], Float[Tensor, " n"]]:
    """The fixed points that a transform takes to given moving points, and how far (mm) it leaves them from there.

    Linear parts are inverted exactly. For the others `x <- x - (T(x) - y)` is repeated (Chen et al., Med. Phys. 2008),
    which converges where displacements vary by less than their distance, and Newton's steps with a falling step length
    finish what is left. A point whose error stays above `tolerance_mm` has no inverse, or none was found. Chains are
    undone part by part. float64 throughout.
    """
    start = moving_mm.to(torch.float64)
    points = start
    for part in transform.parts if isinstance(transform, Composite) else (transform,):
        if isinstance(part, Linear):
            points = part.inverse()(points)
        else:
            points = in_chunks(partial(_undo, part, tolerance_mm=tolerance_mm), points, _CHUNK_POINTS)
    return points, (transform(points) - start).norm(dim=1)


def approximate_inverse(
    transform: Transform, grid: Grid | None = None, tolerance_mm: float = TOLERANCE_MM
) -> Inverse:
    """The inverse of any transform as a field, with its error measured.

    On `grid`, in the moving image's world, the whole chain becomes one `Displacement`. Without a grid, linear parts
    stay exact and each field is inverted on its own grid, so that a chain of a field and a matrix is again one. A
    velocity field is inverted as the displacements it amounts to, which comes nearer than its negation. Raises
    `UsageError` where there is no grid to take (a B-spline or a thin-plate spline), and `NotInvertible` for a singular
    matrix.
    """
    if grid is not None:
        field, error, found = _field(transform, grid, tolerance_mm)
        return Inverse(field, grid, error, found)
    transform = as_displacements(transform)
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    inverses: list[Transform] = []
    worst: Inverse | None = None
    for part in reversed(parts):
        if isinstance(part, Linear):
            inverses.append(part.inverse())
            continue
        if not isinstance(part, Displacement):
            raise UsageError(
                f"a {type(part).__name__} has no grid of its own to put its inverse on: give the moving image's"
            )
        field, error, found = _field(part, part.grid, tolerance_mm)
        inverses.append(field)
        one = Inverse(field, part.grid, error, found)
        if worst is None or one.largest_error_mm > worst.largest_error_mm:
            worst = one
    whole = compose(inverses)
    if worst is None:
        raise UsageError("a linear transform has an exact inverse: use inverse()")
    return Inverse(whole, worst.grid, worst.error_mm, worst.found)


def _field(transform: Transform, grid: Grid, tolerance_mm: float) -> tuple[Displacement, Tensor, Tensor]:
    where = grid.points_mm()
    solved, error = solve(transform, where, tolerance_mm)
    found = error <= tolerance_mm
    field = Displacement((solved - where).T.reshape(grid.ndim, *grid.shape).contiguous(), grid)
    # Half a voxel on from each centre, back from the last one.
    d = grid.ndim
    index = grid.to_voxel(where).round()
    last = index == torch.tensor(grid.shape, dtype=torch.float64) - 1
    middle = grid.to_world(torch.where(last, index, index + 0.5))
    back = (transform(field(middle)) - middle).norm(dim=1)
    known = found.reshape(grid.shape)
    for axis in range(d):
        following = known.roll(-1, axis)
        following.select(axis, grid.shape[axis] - 1).copy_(known.select(axis, grid.shape[axis] - 1))
        known = known & following
    back = torch.where(known.reshape(-1), back, torch.inf)
    return field, back.reshape(grid.shape), found.reshape(grid.shape)


def _undo(transform: Transform, target: Tensor, tolerance_mm: float) -> Tensor:
    """`x` with `transform(x) = target`, or the nearest that was come by."""
    x = target.clone()
    residual = transform(x) - target
    error = residual.norm(dim=1)
    # A tenth of the tolerance for each part, so that a chain of them keeps it.
    goal = 0.1 * tolerance_mm
    for _ in range(_FIXED_POINT_STEPS):
        left = (error > goal).nonzero().squeeze(1)
        if not len(left):
            return x
        _take(transform, x, residual, error, left, -residual[left], target)
    step = torch.ones(len(x), dtype=x.dtype)
    for _ in range(_NEWTON_STEPS):
        left = ((error > goal) & (step > 1e-3)).nonzero().squeeze(1)
        if not len(left):
            return x
        jacobian = transform.jacobian(x[left])
        # A little of the identity keeps folded places solvable; there is nothing to be found there anyway.
        normal = jacobian.mT @ jacobian + 1e-9 * torch.eye(x.shape[1], dtype=x.dtype)
        wanted = -torch.linalg.solve(normal, (jacobian.mT @ residual[left][:, :, None]))[:, :, 0]
        better = _take(transform, x, residual, error, left, step[left][:, None] * wanted, target)
        step[left] = torch.where(better, (2 * step[left]).clamp(max=1.0), step[left] / 2)
    return x


def _take(
    transform: Transform,
    x: Tensor,
    residual: Tensor,
    error: Tensor,
    which: Tensor,
    by: Tensor,
    target: Tensor,
) -> Tensor:
    """Move some points where that brings them nearer, in place; says which it did."""
    tried = x[which] + by
    new = transform(tried) - target[which]
    length = new.norm(dim=1)
    better: Tensor = length < error[which]
    kept = which[better]
    x[kept], residual[kept], error[kept] = tried[better], new[better], length[better]
    return better


@dataclass(frozen=True, eq=False)
class Inverted(Transform):
    """The inverse of a transform, solved for at every point it is asked for (`solve`); exact where there is one.

    It takes as long as some tens of evaluations; `approximate_inverse` gives a field that is quicker to use often.
    Where no inverse is found, a point ends where the search for it ended.
    """

    of: Transform
    tolerance_mm: float = TOLERANCE_MM

    @property
    def ndim(self) -> int:
        return self.of.ndim

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        solved, _ = solve(self.of, points_mm.reshape(-1, self.ndim), self.tolerance_mm)
        return solved.reshape(points_mm.shape).to(points_mm.dtype)

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        there: Tensor = torch.linalg.inv(self.of.jacobian(self(points_mm)))
        return there

    def inverse(self) -> Transform:
        return self.of


def inverted(transform: Transform) -> Transform:
    """The inverse of any transform: the exact one where there is one, and `Inverted` for the other parts of a chain."""
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    return compose(
        [p.inverse() if isinstance(p, Linear | Velocity | Inverted) else Inverted(p) for p in reversed(parts)]
    )
