"""Transforms that are a field of displacements on a grid."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import NotInvertible, UsageError
from inforeg.image.interpolate import inside_grid, vectors_and_gradients, vectors_at
from inforeg.space import Grid
from inforeg.transforms.base import Transform, in_chunks


@dataclass(frozen=True, eq=False)
class Displacement(Transform):
    """`x -> x + u(x)`, with `u` linear between the voxel centres of a grid in the fixed image's world (RAS+, mm).

    `vectors` is `(d, *grid.shape)`, float32 or float64, in mm. Out to the outer faces of the outermost voxels the
    edge's vector holds; beyond them nothing moves, as in ITK and ANTs. Raises `UsageError` for vectors that do not
    fit the grid, or are not finite.
    """

    vectors: Tensor
    grid: Grid

    def __post_init__(self) -> None:
        vectors = torch.as_tensor(self.vectors)
        if tuple(vectors.shape) != (self.grid.ndim, *self.grid.shape):
            raise UsageError(
                f"expected a field of shape {(self.grid.ndim, *self.grid.shape)} for its grid,"
                f" got {tuple(vectors.shape)}"
            )
        if vectors.dtype not in (torch.float32, torch.float64):
            vectors = vectors.to(torch.float64)
        if not bool(torch.isfinite(vectors.detach()).all()):
            raise UsageError("expected finite displacements, got NaN or infinity")
        object.__setattr__(self, "vectors", vectors)

    @classmethod
    def of(cls, transform: Transform, grid: Grid, dtype: torch.dtype = torch.float32) -> "Displacement":
        """Any transform as a field on a grid; between the voxel centres it is linear, whatever `transform` is."""
        if transform.ndim != grid.ndim:
            raise UsageError(
                f"expected a {grid.ndim}-D transform for this grid, got a {transform.ndim}-D one"
            )
        points = grid.points_mm()
        moved = in_chunks(lambda p: (transform(p) - p).to(dtype), points)
        return cls(moved.T.reshape(grid.ndim, *grid.shape).contiguous(), grid)

    @property
    def ndim(self) -> int:
        return self.grid.ndim

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        return in_chunks(self._moved, points_mm.reshape(-1, self.ndim)).reshape(points_mm.shape)

    def _moved(self, points: Tensor) -> Tensor:
        voxel = self.grid.to_voxel(points)
        moved = vectors_at(self.vectors.to(points.device), voxel)
        return points + torch.where(inside_grid(voxel, self.grid.shape)[:, None], moved, moved.new_zeros(()))

    def at_voxels(self, grid: Grid, rows: slice) -> Float[Tensor, "n d"] | None:
        """Where the voxel centres of some rows of the field's own grid go; None for any other grid.

        Grids count as the same to within a ten-thousandth of a millimetre.
        """
        if not self.grid.same_as(grid):
            return None
        lines = [torch.arange(n, dtype=torch.float64) for n in grid.shape]
        lines[0] = lines[0][rows]
        total = grid.voxel_to_world[:-1, -1]
        for axis, line in enumerate(lines):
            # One vector for each plane of voxels: their sum is the centre, without a product for every voxel.
            total = total[..., None, :] + line[:, None] * grid.voxel_to_world[:-1, axis]
        moved = torch.movedim(self.vectors[:, rows].cpu(), 0, -1)
        return (total + moved).reshape(-1, self.ndim)

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        voxel = self.grid.to_voxel(points_mm)
        _, slopes = vectors_and_gradients(self.vectors.to(points_mm.device), voxel)
        slopes = torch.where(inside_grid(voxel, self.grid.shape)[:, None, None], slopes, slopes.new_zeros(()))
        d = self.ndim
        per_mm = slopes @ self.grid.world_to_voxel[:d, :d].to(slopes)
        return per_mm + torch.eye(d, dtype=slopes.dtype, device=slopes.device)

    def inverse(self) -> "Transform":
        raise NotInvertible(
            "a displacement field has no exact inverse; approximate_inverse gives one with its error in mm"
        )
