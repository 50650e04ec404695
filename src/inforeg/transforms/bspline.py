"""Free-form deformations: displacements that are cubic B-splines of a grid of control points."""

from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import NotInvertible, UsageError
from inforeg.space import Grid
from inforeg.transforms.base import Transform, in_chunks


@dataclass(frozen=True, eq=False)
class BSpline(Transform):
    """`x -> x + u(x)`, with `u` a uniform cubic B-spline of control points (Rueckert et al., IEEE TMI 1999).

    `coefficients` is `(d, *grid.shape)` in mm (RAS+), one vector for each point of the control grid in the fixed
    image's world. Where the four control points a cubic needs along an axis are not all there, nothing moves, as in
    ITK and elastix. Raises `UsageError` for coefficients that do not fit the grid or are not finite, and for fewer
    than four control points along an axis.
    """

    coefficients: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        coefficients = torch.as_tensor(self.coefficients).to(torch.float64)
        if tuple(coefficients.shape) != (self.grid.ndim, *self.grid.shape):
            raise UsageError(
                f"expected coefficients of shape {(self.grid.ndim, *self.grid.shape)} for their grid,"
                f" got {tuple(coefficients.shape)}"
            )
        if min(self.grid.shape) < 4:
            raise UsageError(f"expected at least 4 control points along each axis, got {self.grid.shape}")
        if not bool(torch.isfinite(coefficients.detach()).all()):
            raise UsageError("expected finite coefficients, got NaN or infinity")
        object.__setattr__(self, "coefficients", coefficients)

    @property
    def ndim(self) -> int:
        return self.grid.ndim

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        points = points_mm.reshape(-1, self.ndim)
        moved = in_chunks(lambda p: p + self._displacements(p, None).to(p.dtype), points, 1 << 16)
        return moved.reshape(points_mm.shape)

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        d = self.ndim
        per_voxel = in_chunks(
            lambda p: torch.stack([self._displacements(p, axis) for axis in range(d)], dim=-1),
            points_mm,
            1 << 16,
        )
        per_mm = per_voxel @ self.grid.world_to_voxel[:d, :d].to(per_voxel)
        return (per_mm + torch.eye(d, dtype=per_mm.dtype, device=per_mm.device)).to(points_mm.dtype)

    def inverse(self) -> "Transform":
        raise NotInvertible(
            "a B-spline transform has no exact inverse; approximate_inverse gives one with its error in mm"
        )

    def _displacements(self, points: Tensor, derived: int | None) -> Tensor:
        """Displacements `(n, d)`, or their derivative along one axis of the control grid."""
        voxel = self.grid.to_voxel(points.to(torch.float64))
        coefficients = self.coefficients.to(voxel.device).reshape(self.ndim, -1)
        first: list[Tensor] = []
        weights: list[Tensor] = []
        inside = torch.ones(len(voxel), dtype=torch.bool, device=voxel.device)
        for axis, n in enumerate(self.grid.shape):
            x = voxel[:, axis]
            # The last position that has all four neighbours belongs to the region, and takes the cell before it.
            inside = inside & (x >= 1 - 1e-9) & (x <= n - 2 + 1e-9)
            low = x.floor().clamp(1, n - 3)
            first.append(low.to(torch.int64) - 1)
            weights.append(_slopes(x - low) if axis == derived else _cubic(x - low))
        total = voxel.new_zeros(len(voxel), self.ndim)
        for corner in product(range(4), repeat=self.ndim):
            index = torch.zeros_like(first[0])
            weight = torch.ones_like(voxel[:, 0])
            for axis, step in enumerate(corner):
                index = index * self.grid.shape[axis] + first[axis] + step
                weight = weight * weights[axis][step]
            total += coefficients[:, index].T * weight[:, None]
        return torch.where(inside[:, None], total, total.new_zeros(()))


def _cubic(t: Tensor) -> Tensor:
    """The four cubic B-spline weights at `t` of a cell, `(4, n)`."""
    return torch.stack(
        (
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        )
    )


def _slopes(t: Tensor) -> Tensor:
    """Their derivatives."""
    return torch.stack((-((1 - t) ** 2) / 2, (3 * t**2 - 4 * t) / 2, (-3 * t**2 + 2 * t + 1) / 2, t**2 / 2))
