"""A grid: how many voxels there are and where they lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import ReadError


@dataclass(frozen=True, eq=False)
class Grid:
    """How many voxels there are and where their centres lie in the world (RAS+, mm).

    `shape` is `(i, j)` or `(i, j, k)`; `voxel_to_world` is a `(d+1, d+1)` affine matrix, kept in float64 on the
    CPU, that takes voxel indices (of voxel centres) to millimetres. Shear and flips are kept as they are.

    Raises `ReadError` for an axis without voxels, a matrix that is not finite, or one that is singular.
    """

    shape: tuple[int, ...]
    voxel_to_world: Tensor

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        matrix = torch.as_tensor(self.voxel_to_world, dtype=torch.float64).detach().cpu().clone()
        d = len(shape)
        if d not in (2, 3):
            raise ReadError(f"expected a grid of 2 or 3 axes, got shape {shape}")
        if min(shape) < 1:
            raise ReadError(f"expected at least one voxel along every axis, got shape {shape}")
        if matrix.shape != (d + 1, d + 1):
            raise ReadError(f"expected a {d + 1}x{d + 1} voxel-to-world matrix, got {tuple(matrix.shape)}")
        if not bool(torch.isfinite(matrix).all()):
            raise ReadError("the voxel-to-world matrix holds NaN or infinity; repair the image's header")
        spacing = matrix[:d, :d].norm(dim=0)
        volume = float(torch.linalg.det(matrix[:d, :d]).abs())
        if float(spacing.min()) <= 0 or volume <= 1e-6 * float(spacing.prod()):
            raise ReadError(
                f"the voxel-to-world matrix is singular (spacing {_numbers(spacing)} mm); repair the image's header"
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "voxel_to_world", matrix)

    @classmethod
    def from_spacing(cls, shape: Sequence[int], spacing_mm: Sequence[float] | float = 1.0) -> "Grid":
        """A grid along the world's axes, centred on the world's origin."""
        d = len(shape)
        spacing = (
            [float(spacing_mm)] * d if isinstance(spacing_mm, int | float) else [float(s) for s in spacing_mm]
        )
        matrix = torch.eye(d + 1, dtype=torch.float64)
        for axis in range(d):
            matrix[axis, axis] = spacing[axis]
            matrix[axis, d] = -spacing[axis] * (shape[axis] - 1) / 2
        return cls(tuple(shape), matrix)

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return len(self.shape)

    @property
    def voxel_count(self) -> int:
        """Voxels in the whole grid."""
        return int(torch.tensor(self.shape).prod())

    @cached_property
    def world_to_voxel(self) -> Tensor:
        """The inverse of `voxel_to_world`, `(d+1, d+1)`."""
        inverse: Tensor = torch.linalg.inv(self.voxel_to_world)
        return inverse

    @cached_property
    def spacing_mm(self) -> Tensor:
        """Distance between neighbouring voxel centres along each axis, `(d,)`."""
        lengths: Tensor = self.voxel_to_world[: self.ndim, : self.ndim].norm(dim=0)
        return lengths

    @cached_property
    def centre_mm(self) -> Tensor:
        """World position of the middle of the field of view, `(d,)`."""
        return self.to_world((torch.tensor(self.shape, dtype=torch.float64) - 1) / 2)

    @cached_property
    def extent_mm(self) -> Tensor:
        """Length of the field of view along each axis, from outer face to outer face, `(d,)`."""
        return self.spacing_mm * torch.tensor(self.shape, dtype=torch.float64)

    def to_world(self, points_voxel: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Voxel indices to millimetres."""
        return _apply(self.voxel_to_world, points_voxel)

    def to_voxel(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Millimetres to (fractional) voxel indices."""
        return _apply(self.world_to_voxel, points_mm)

    def points_mm(self) -> Float[Tensor, "n d"]:
        """World positions of all voxel centres, first axis slowest, as a flattened image is ordered."""
        axes = [torch.arange(n, dtype=torch.float64) for n in self.shape]
        index = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, self.ndim)
        return self.to_world(index)

    def corners_mm(self) -> Float[Tensor, "c d"]:
        """World positions of the `2**d` outer corners (faces of the outermost voxels, not their centres)."""
        ends = [(-0.5, n - 0.5) for n in self.shape]
        return self.to_world(torch.tensor(list(product(*ends)), dtype=torch.float64))

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-4) -> bool:
        """Whether both grids have the same shape and their corners lie within `tolerance_mm` of each other."""
        if self.shape != other.shape:
            return False
        return bool((self.corners_mm() - other.corners_mm()).norm(dim=-1).max() <= tolerance_mm)

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.shape)
        return f"Grid({shape}, {_numbers(self.spacing_mm)} mm, centre {_numbers(self.centre_mm)} mm)"


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    d = matrix.shape[0] - 1
    dtype = points.dtype if points.dtype.is_floating_point else torch.float64
    m = matrix.to(points.device, torch.promote_types(dtype, torch.float32))
    return points.to(m.dtype) @ m[:d, :d].T + m[:d, d]


def _numbers(values: Tensor) -> str:
    return "(" + ", ".join(f"{float(v):.4g}" for v in values) + ")"
