"""Transforms that are one matrix: translation to projective."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import NotInvertible, UsageError
from inforeg.transforms.base import Composite, Transform


@dataclass(frozen=True, eq=False)
class Linear(Transform):
    """A `(d+1, d+1)` homogeneous matrix, float64, that takes fixed points to moving points (RAS+, mm).

    The last row may be projective; it is scaled so that its last entry is one. Raises `UsageError` for a matrix
    that is not square, not finite, or not of 2-D or 3-D.
    """

    matrix: Tensor

    def __post_init__(self) -> None:
        matrix = torch.as_tensor(self.matrix).to("cpu", torch.float64)
        if matrix.shape not in ((3, 3), (4, 4)):
            raise UsageError(f"expected a 3x3 or 4x4 matrix, got {tuple(matrix.shape)}")
        if not bool(torch.isfinite(matrix.detach()).all()):
            raise UsageError("expected a finite matrix, got NaN or infinity")
        if abs(float(matrix.detach()[-1, -1])) < 1e-12:
            raise UsageError("expected a matrix whose last entry is not zero")
        object.__setattr__(self, "matrix", matrix / matrix[-1, -1])

    @classmethod
    def identity(cls, ndim: int) -> "Linear":
        """The transform that moves nothing."""
        return cls(torch.eye(ndim + 1, dtype=torch.float64))

    @classmethod
    def translation(cls, shift_mm: Float[Tensor, " d"]) -> "Linear":
        """A shift by `shift_mm`."""
        d = shift_mm.shape[0]
        matrix = torch.eye(d + 1, dtype=torch.float64)
        matrix[:d, d] = shift_mm
        return cls(matrix)

    @classmethod
    def about(
        cls, linear: Float[Tensor, "d d"], centre_mm: Float[Tensor, " d"], shift_mm: Float[Tensor, " d"]
    ) -> "Linear":
        """`x -> linear (x - centre) + centre + shift`, as ITK writes its matrices."""
        d = centre_mm.shape[0]
        matrix = torch.eye(d + 1, dtype=torch.float64)
        matrix[:d, :d] = linear
        matrix[:d, d] = centre_mm + shift_mm - linear.to(torch.float64) @ centre_mm.to(torch.float64)
        return cls(matrix)

    @property
    def ndim(self) -> int:
        return self.matrix.shape[0] - 1

    @property
    def is_affine(self) -> bool:
        """Whether the last row is `0 ... 0 1`, so that parallels stay parallel."""
        return bool((self.matrix.detach()[-1, :-1].abs() < 1e-12).all())

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        d = self.ndim
        m = self.matrix.to(points_mm.device, points_mm.dtype)
        mapped = points_mm @ m[:d, :d].T + m[:d, d]
        if self.is_affine:
            return mapped
        return mapped / (points_mm @ m[d, :d] + m[d, d])[..., None]

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        d = self.ndim
        m = self.matrix.to(points_mm.device, points_mm.dtype)
        if self.is_affine:
            return m[:d, :d].expand(len(points_mm), d, d)
        # The quotient rule of the division by the last coordinate.
        below = points_mm @ m[d, :d] + m[d, d]
        return (m[:d, :d] - self(points_mm)[:, :, None] * m[d, :d]) / below[:, None, None]

    def __matmul__(self, other: Transform) -> Transform:
        if isinstance(other, Linear):
            if other.ndim != self.ndim:
                raise UsageError(f"cannot compose a {self.ndim}-D with a {other.ndim}-D transform")
            return Linear(self.matrix @ other.matrix)
        return Composite((self, other))

    def inverse(self) -> "Linear":
        # Translations and linear parts differ in unit: the smallest singular value is judged after scaling each.
        values = torch.linalg.svdvals(
            self.matrix.detach() / self.matrix.detach().norm(dim=0).clamp(min=1e-300)
        )
        if float(values[-1]) < 1e-9 * float(values[0]):
            raise NotInvertible(f"the matrix is singular and has no inverse: {self.matrix.tolist()}")
        try:
            return Linear(torch.linalg.inv(self.matrix))
        except (RuntimeError, UsageError):  # numbers near the end of what float64 holds
            raise NotInvertible(f"the matrix has no finite inverse: {self.matrix.tolist()}") from None

    def log(self) -> Float[Tensor, "e e"]:
        """The matrix logarithm, the element of the Lie algebra whose exponential is this transform.

        Raises `NotInvertible` where no real logarithm exists (reflections, and rotations by exactly 180 degrees
        have no principal one).
        """
        # torch has no matrix logarithm; scipy's is exact, and this is off every hot path.
        from scipy.linalg import logm

        result = logm(self.matrix.numpy())
        back = torch.linalg.matrix_exp(torch.as_tensor(result.real))
        if abs(result.imag).max() > 1e-8 or float((back - self.matrix).abs().max()) > 1e-6:
            raise NotInvertible("the matrix has no real logarithm (a reflection, or a half turn)")
        return torch.as_tensor(result.real)

    def rotation_angle_deg(self) -> float:
        """The angle of the rotation nearest to the linear part, in degrees."""
        d = self.ndim
        u, _, vt = torch.linalg.svd(self.matrix[:d, :d])
        u[:, -1] *= torch.sign(torch.linalg.det(u @ vt))
        r = u @ vt
        cosine = float(r.trace()) / 2 if d == 2 else (float(r.trace()) - 1) / 2
        return float(
            torch.rad2deg(torch.arccos(torch.tensor(min(1.0, max(-1.0, cosine)), dtype=torch.float64)))
        )


def compose(transforms: Sequence[Transform]) -> Transform:
    """The product of transforms, the last applied first; linear neighbours become one matrix.

    Raises `UsageError` for none, or for transforms of different dimensions.
    """
    merged: list[Transform] = []
    for part in Composite(tuple(transforms)).parts:
        if merged and isinstance(part, Linear) and isinstance(merged[-1], Linear):
            part = merged.pop() @ part
        merged.append(part)
    return merged[0] if len(merged) == 1 else Composite(tuple(merged))
