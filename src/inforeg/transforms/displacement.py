"""Transforms that are a field of displacements on a grid."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import NotInvertible, UsageError
from inforeg.image.interpolate import inside_grid, on_lines, vectors_and_gradients, vectors_at
from inforeg.space import Grid
from inforeg.transforms.base import Transform, in_chunks

# Voxels of a field that are made at a time.
_SLAB_VOXELS = 1 << 20
_SAME_MM = 1e-4


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
        object.__setattr__(self, "vectors", checked_vectors(self.vectors, self.grid, "displacements"))

    @classmethod
    def of(cls, transform: Transform, grid: Grid, dtype: torch.dtype = torch.float32) -> "Displacement":
        """Any transform as a field on a grid; between the voxel centres it is linear, whatever `transform` is."""
        if transform.ndim != grid.ndim:
            raise UsageError(
                f"expected a {grid.ndim}-D transform for this grid, got a {transform.ndim}-D one"
            )
        quick = getattr(transform, "at_voxels", None)
        step = max(1, _SLAB_VOXELS * grid.shape[0] // grid.voxel_count)
        found = []
        for start in range(0, grid.shape[0], step):
            rows = slice(start, min(start + step, grid.shape[0]))
            centres = _centres(grid, rows).reshape(-1, grid.ndim)
            moved = None if quick is None else quick(grid, rows)
            found.append(((transform(centres) if moved is None else moved) - centres).to(dtype))
        return cls(torch.cat(found).T.reshape(grid.ndim, *grid.shape).contiguous(), grid)

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
        """Where the voxel centres of some rows of a grid go, if its axes are parallel to the field's; None otherwise.

        Grids count as parallel, and as the same, to within a ten-thousandth of a millimetre.
        """
        if self.grid.same_as(grid):
            vectors = self.vectors[:, rows]
        else:
            lines = _parallel_lines(self.grid, grid, rows)
            if lines is None:
                return None
            vectors = on_lines(self.vectors, lines)
        return (_centres(grid, rows) + torch.movedim(vectors.cpu(), 0, -1)).reshape(-1, self.ndim)

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


def checked_vectors(vectors: Tensor, grid: Grid, what: str) -> Tensor:
    """Vectors `(d, *grid.shape)` in float32 or float64; raises `UsageError` for a misfit, NaN and infinity."""
    vectors = torch.as_tensor(vectors)
    if tuple(vectors.shape) != (grid.ndim, *grid.shape):
        raise UsageError(
            f"expected a field of shape {(grid.ndim, *grid.shape)} for its grid, got {tuple(vectors.shape)}"
        )
    if vectors.dtype not in (torch.float32, torch.float64):
        vectors = vectors.to(torch.float64)
    if not bool(torch.isfinite(vectors.detach()).all()):
        raise UsageError(f"expected finite {what}, got NaN or infinity")
    return vectors


def _centres(grid: Grid, rows: slice) -> Tensor:
    """World positions of the voxel centres of some rows, `(rows, ..., d)`."""
    lines = [torch.arange(n, dtype=torch.float64) for n in grid.shape]
    lines[0] = lines[0][rows]
    total = grid.voxel_to_world[:-1, -1]
    for axis, line in enumerate(lines):
        # One vector for each plane of voxels: their sum is the centre, without a product for every voxel.
        total = total[..., None, :] + line[:, None] * grid.voxel_to_world[:-1, axis]
    return total


def _parallel_lines(field: Grid, grid: Grid, rows: slice) -> list[Tensor] | None:
    """Where the voxels of some rows of a grid lie along the field's axes, in its voxels, if these run the same way."""
    d = field.ndim
    if grid.ndim != d:
        return None
    matrix = field.world_to_voxel @ grid.voxel_to_world
    scales = matrix.diagonal()[:d]
    astray = (matrix[:d, :d] - scales.diag()) * torch.tensor(grid.shape, dtype=torch.float64)
    if float((field.voxel_to_world[:d, :d] @ astray).abs().sum(dim=1).norm()) > _SAME_MM:
        return None
    lines = [torch.arange(n, dtype=torch.float64) for n in grid.shape]
    lines[0] = lines[0][rows]
    return [line * scale + start for line, scale, start in zip(lines, scales, matrix[:d, d], strict=True)]
