"""The linear groups, each a list of generators and the matrix exponential of their sum."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.transforms.linear import Linear


def centred_frame(centre_mm: Float[Tensor, " d"], radius_mm: float) -> Float[Tensor, "e e"]:
    """The matrix that takes a frame with its origin at the centre and the radius as its unit to the world."""
    d = len(centre_mm)
    frame = torch.eye(d + 1, dtype=torch.float64)
    frame[:d, :d] *= radius_mm
    frame[:d, d] = centre_mm
    return frame


@dataclass(frozen=True, eq=False)
class LinearGroup:
    """A group of linear transforms, written as `exp(sum of parameters x generators)` about a centre.

    `generators` is `(k, d+1, d+1)` in a frame whose origin is the centre and whose unit of length is `radius_mm`, so
    every parameter is a number of radii (or radians, or log-scales) and one step of any of them moves the rim of the
    object by about as much as one step of another. All generators are traceless or affine in the sense that the
    result is divided by its last entry, so DRMIME's own basis (`drmime-affine`, `drmime-projective`, Nan et al.,
    MIDL 2020, section 3.2) is one list among the others.
    """

    name: str
    ndim: int
    generators: Tensor

    @property
    def size(self) -> int:
        """Number of parameters."""
        return int(self.generators.shape[0])

    def matrix(self, parameters: Float[Tensor, "*b k"]) -> Float[Tensor, "*b e e"]:
        """`exp(C)` in the centred, scaled frame; differentiable, exact at any angle (scaling and squaring)."""
        algebra = torch.einsum("...k,kij->...ij", parameters, self.generators.to(parameters))
        result: Tensor = torch.linalg.matrix_exp(algebra)
        return result

    def exp(
        self, parameters: Float[Tensor, " k"], centre_mm: Float[Tensor, " d"], radius_mm: float
    ) -> Linear:
        """The transform of these parameters about `centre_mm`, in the world."""
        to_world = self.frame(centre_mm, radius_mm)
        matrix = self.matrix(parameters.to(torch.float64))
        return Linear(to_world @ matrix @ torch.linalg.inv(to_world))

    def frame(self, centre_mm: Float[Tensor, " d"], radius_mm: float) -> Float[Tensor, "e e"]:
        """The matrix that takes the centred, scaled frame to the world."""
        return centred_frame(centre_mm, radius_mm)

    def velocities(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n d k"]:
        """How points of the centred, scaled frame move when each parameter leaves zero: `d exp(C) x / d parameter`."""
        ones = torch.ones_like(points[:, :1])
        homogeneous = torch.cat((points, ones), dim=1)
        moved = torch.einsum("kij,nj->nik", self.generators.to(points), homogeneous)
        d = self.ndim
        # The quotient rule of the division by the last coordinate, at the identity.
        return moved[:, :d] - points[:, :, None] * moved[:, d:]


def _unit(ndim: int, row: int, column: int) -> Tensor:
    matrix = torch.zeros(ndim + 1, ndim + 1, dtype=torch.float64)
    matrix[row, column] = 1.0
    return matrix


def _translation(d: int) -> list[Tensor]:
    return [_unit(d, i, d) for i in range(d)]


def _rotation(d: int) -> list[Tensor]:
    pairs = [(1, 0)] if d == 2 else [(2, 1), (0, 2), (1, 0)]
    return [_unit(d, i, j) - _unit(d, j, i) for i, j in pairs]


def _scale(d: int) -> list[Tensor]:
    return [torch.stack([_unit(d, i, i) for i in range(d)]).sum(0)]


def _affine(d: int) -> list[Tensor]:
    """Translations and rotations first, then the symmetric rest: stretches and shears."""
    stretch = [_unit(d, i, i) for i in range(d)]
    shear = [_unit(d, i, j) + _unit(d, j, i) for i in range(d) for j in range(i)]
    return _translation(d) + _rotation(d) + stretch + shear


def _projective(d: int) -> list[Tensor]:
    return _affine(d) + [_unit(d, d, j) for j in range(d)]


def _drmime_affine(d: int) -> list[Tensor]:
    if d != 2:
        raise UsageError(
            "DRMIME's own basis is defined in 2-D; in 3-D use rigid, similarity, affine or projective"
        )
    return [
        _unit(2, 0, 2),
        _unit(2, 1, 2),
        _unit(2, 0, 1),
        _unit(2, 1, 0),
        _unit(2, 0, 0) - _unit(2, 1, 1),
        _unit(2, 2, 2) - _unit(2, 1, 1),
    ]


def _drmime_projective(d: int) -> list[Tensor]:
    return [*_drmime_affine(d), _unit(2, 2, 0), _unit(2, 2, 1)]


# A group is one line here.
GROUPS: dict[str, Callable[[int], list[Tensor]]] = {
    "translation": _translation,
    "rigid": lambda d: _translation(d) + _rotation(d),
    "similarity": lambda d: _translation(d) + _rotation(d) + _scale(d),
    "affine": _affine,
    "projective": _projective,
    "drmime-affine": _drmime_affine,
    "drmime-projective": _drmime_projective,
}


def group(name: str, ndim: int) -> LinearGroup:
    """The linear group of that name in 2-D or 3-D; raises `UsageError` for a name or dimension there is not."""
    if name not in GROUPS or ndim not in (2, 3):
        raise UsageError(f"expected one of {', '.join(GROUPS)} in 2-D or 3-D, got {name!r} in {ndim}-D")
    return LinearGroup(name, ndim, torch.stack(GROUPS[name](ndim)))
