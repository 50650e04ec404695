"""What every transform can do, and chains of transforms."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.space import Grid


class Transform(ABC):
    """An immutable value that takes fixed world points to moving world points (RAS+, mm)."""

    @property
    @abstractmethod
    def ndim(self) -> int:
        """2 or 3."""

    @abstractmethod
    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Where in the moving image's world the given points of the fixed image's world lie."""

    @abstractmethod
    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        """Derivatives of the moving coordinates (rows) by the fixed ones (columns) at fixed points."""

    @abstractmethod
    def inverse(self) -> "Transform":
        """The transform that takes moving points to fixed points; raises `NotInvertible` where there is none."""

    def __matmul__(self, other: "Transform") -> "Transform":
        """Composition: `(a @ b)(x) == a(b(x))`."""
        return Composite((self, other))


@dataclass(frozen=True, eq=False)
class Composite(Transform):
    """Transforms one after the other, the last of `parts` first: `Composite((a, b))(x) == a(b(x))`."""

    parts: tuple[Transform, ...]

    def __post_init__(self) -> None:
        flat: list[Transform] = []
        for part in self.parts:
            flat.extend(part.parts if isinstance(part, Composite) else (part,))
        if not flat:
            raise UsageError("expected at least one transform in a composite, got none")
        if len({part.ndim for part in flat}) > 1:
            raise UsageError(f"expected transforms of one dimension, got {[part.ndim for part in flat]}")
        object.__setattr__(self, "parts", tuple(flat))

    @property
    def ndim(self) -> int:
        return self.parts[0].ndim

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        for part in reversed(self.parts):
            points_mm = part(points_mm)
        return points_mm

    def at_voxels(self, grid: Grid, rows: slice) -> Float[Tensor, "n d"] | None:
        """Where the voxel centres of some rows of a grid go, if the part that comes first can tell more quickly."""
        first = getattr(self.parts[-1], "at_voxels", None)
        points = None if first is None else first(grid, rows)
        if points is None:
            return None
        for part in reversed(self.parts[:-1]):
            points = part(points)
        return points

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        d = self.ndim
        product = torch.eye(d, dtype=points_mm.dtype, device=points_mm.device).expand(len(points_mm), d, d)
        for part in reversed(self.parts):
            product = part.jacobian(points_mm) @ product
            points_mm = part(points_mm)
        return product

    def inverse(self) -> "Composite":
        return Composite(tuple(part.inverse() for part in reversed(self.parts)))


def in_chunks(function: Callable[[Tensor], Tensor], points: Tensor, size: int = 1 << 20) -> Tensor:
    """A function of points, evaluated part by part, so that what it needs on the way does not grow with them."""
    if len(points) <= size:
        return function(points)
    return torch.cat([function(part) for part in torch.split(points, size)])
