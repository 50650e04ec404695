"""Stationary velocity fields: transforms that are the exponential of a field on a grid."""

from dataclasses import dataclass
from functools import cached_property
from math import ceil, isfinite, log2

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.sample import sample_displaced
from inforeg.space import Grid
from inforeg.transforms.base import Composite, Transform
from inforeg.transforms.displacement import Displacement, checked_vectors

FIRST_STEP_VOXELS = 0.5
"""How far a component of the first step may reach, in voxels of the field's grid.

With the first step taken at its midpoint, smaller ones change no error by a twentieth: what is left is what linear
interpolation loses in the squarings.
"""


@dataclass(frozen=True, eq=False)
class Velocity(Transform):
    """`exp(v)`: where a point has come after unit time along a velocity field that does not change with time.

    `vectors` is `(d, *grid.shape)`, float32 or float64, in mm (per unit time), linear between the voxel centres of its
    own grid in the fixed image's world (RAS+). The exponential is taken on that grid (`exponential`; Arsigny et al.,
    MICCAI 2006) and is from then on a `Displacement` there, with the same edges: it holds out to the outer faces of the
    outermost voxels, and beyond them nothing moves. The inverse is the exponential of `-v`: exact but for what linear
    interpolation on the grid loses. Raises `UsageError` for vectors that do not fit the grid, or are not finite.
    """

    vectors: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "vectors", checked_vectors(self.vectors, self.grid, "velocities"))

    @property
    def ndim(self) -> int:
        return self.grid.ndim

    @cached_property
    def displacement(self) -> Displacement:
        """The same transform as displacements on the same grid; computed when it is first asked for."""
        return Displacement(exponential(self.vectors[None], self.grid)[0], self.grid)

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        return self.displacement(points_mm)

    def at_voxels(self, grid: Grid, rows: slice) -> Float[Tensor, "n d"] | None:
        """Where the voxel centres of some rows of a grid go, if its axes are parallel to the field's; or None."""
        return self.displacement.at_voxels(grid, rows)

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        return self.displacement.jacobian(points_mm)

    def inverse(self) -> "Velocity":
        return Velocity(-self.vectors, self.grid)


def exponential(
    vectors: Float[Tensor, "b d *shape"], grid: Grid, squarings: int | None = None
) -> Float[Tensor, "b d *shape"]:
    """Displacements in mm of the exponential of stationary velocity fields, by scaling and squaring.

    `vectors` in mm (RAS+) at the voxel centres of `grid` are divided by `2**squarings` into a first step, and its
    displacement is composed with itself that many times: `u <- u + u(x + u)`, by linear interpolation on the grid.
    Points that leave the grid on the way take the edge's vector. Differentiable; float32 at least, whatever autocast
    says.

    Without `squarings` there are as many as bring the largest component of the first step under half a voxel
    (`squarings_for`); give them where their number must not change, or the device must not be waited for. Arsigny et
    al. (MICCAI 2006) take the scaled vectors themselves as the first step; we take them where the point is half-way
    through it, which costs what one squaring costs and makes the step's error of third order instead of second.
    """
    if squarings is None:
        squarings = squarings_for(vectors, grid)
    d = grid.ndim
    with torch.autocast(vectors.device.type, enabled=False):
        if vectors.dtype not in (torch.float32, torch.float64):
            vectors = vectors.float()
        # In voxels of the grid: nothing needs turning on the way, as squaring is the same in any basis.
        step = _turned(vectors, grid.world_to_voxel[:d, :d] / 2**squarings)
        moved = sample_displaced(step, step / 2)
        for _ in range(squarings):
            moved = moved + sample_displaced(moved, moved)
        return _turned(moved, grid.voxel_to_world[:d, :d])


def logarithm(
    displacements: Float[Tensor, "b d *shape"], grid: Grid, steps: int = 8
) -> Float[Tensor, "b d *shape"]:
    """Velocities whose exponential comes near given displacements, both in mm at the voxel centres of a grid.

    By `v <- v + (u - (exp(v) - id))`, from `u` itself, which converges where displacements vary by less than their
    distance. Where `u` folds there is no logarithm, and the nearest that was come by is what is given.
    """
    velocities, best, error = displacements, displacements, float("inf")
    for _ in range(steps):
        left = displacements - exponential(velocities, grid)
        size = float(left.detach().square().sum(1).mean().sqrt())
        if not size < error:
            break
        best, error = velocities, size
        velocities = velocities + left
    return best


def squarings_for(vectors: Float[Tensor, "b d *shape"], grid: Grid) -> int:
    """How often vectors have to be halved until no component exceeds `FIRST_STEP_VOXELS`."""
    d = grid.ndim
    largest = float(_turned(vectors.detach().float(), grid.world_to_voxel[:d, :d]).abs().max())
    # What is not finite stays so however often it is halved.
    if not isfinite(largest) or largest <= FIRST_STEP_VOXELS:
        return 0
    return ceil(log2(largest / FIRST_STEP_VOXELS))


def as_displacements(transform: Transform) -> Transform:
    """The same transform with each of its velocity fields as displacements, which is how files hold them."""
    if isinstance(transform, Velocity):
        return transform.displacement
    if isinstance(transform, Composite):
        return Composite(tuple(as_displacements(part) for part in transform.parts))
    return transform


def _turned(vectors: Tensor, matrix: Tensor) -> Tensor:
    """Each vector times the matrix. Written out: a product of matrices may be rounded to ten bits on some devices."""
    rows = []
    for row in matrix.tolist():
        terms = [vectors[:, axis] * factor for axis, factor in enumerate(row) if factor != 0]
        rows.append(sum(terms[1:], start=terms[0]))
    return torch.stack(rows, dim=1)
