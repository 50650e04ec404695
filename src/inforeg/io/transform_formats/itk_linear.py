"""The linear transforms of ITK: what matrix their parameters stand for, in LPS.

By the classes' documentation, and checked against ITK itself for every one of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, sin, sqrt

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError

_Array = NDArray[np.float64]

# Versors this near to half turns, and beyond, are drawn back by all of ITK's classes but VersorTransform.
_VERSOR_LIMIT = 1e-10


def matrix_of(kind: str, fixed: _Array, parameters: _Array, ndim: int) -> _Array:
    """The `(d+1, d+1)` matrix of a linear transform of ITK.

    Raises `ReadError` for a class that is not known, and for numbers that do not fit it.
    """
    if kind == "IdentityTransform":
        return np.eye(ndim + 1)
    rule = _RULES.get(kind)
    if rule is None or rule.ndim not in (None, ndim):
        raise ReadError(
            f"a {kind} in {ndim}-D is not read; apply it with ITK, or save it as a displacement field"
        )
    expected = rule.count(ndim)
    if len(parameters) != expected:
        raise ReadError(f"expected {expected} parameters of a {kind} in {ndim}-D, got {len(parameters)}")
    if len(fixed) not in (rule.fixed or (ndim,)):
        raise ReadError(f"expected {ndim} fixed parameters (the centre) of a {kind}, got {len(fixed)}")
    matrix = np.eye(ndim + 1)
    # What is too large becomes infinite, and is refused by whoever makes a transform of it.
    with np.errstate(all="ignore"):
        linear, shift, centre = rule.read(parameters, fixed, ndim)
        centre = fixed[:ndim] if centre is None else centre
        matrix[:ndim, :ndim] = linear
        matrix[:ndim, ndim] = shift + centre - linear @ centre
    return matrix


# Matrix, shift, and the centre where it is not the first of the fixed parameters.
_Parts = tuple[_Array, _Array, _Array | None]


@dataclass(frozen=True)
class _Rule:
    """How a class is read: its parameters by dimension, where it exists, and its fixed parameters if not its centre."""

    count: Callable[[int], int]
    read: Callable[[_Array, _Array, int], _Parts]
    ndim: int | None = None
    fixed: tuple[int, ...] = ()


def _affine(p: _Array, _fixed: _Array, d: int) -> _Parts:
    return p[: d * d].reshape(d, d), p[d * d :], None


def _centred_affine(p: _Array, _fixed: _Array, d: int) -> _Parts:
    return p[: d * d].reshape(d, d), p[d * d + d :], p[d * d : d * d + d]


def _translation(p: _Array, _fixed: _Array, d: int) -> _Parts:
    return np.eye(d), p, np.zeros(d)


def _scale(p: _Array, _fixed: _Array, d: int) -> _Parts:
    return np.diag(p), np.zeros(d), None


def _scale_logarithmic(p: _Array, fixed: _Array, d: int) -> _Parts:
    return _scale(np.exp(p), fixed, d)


def _rigid_2d(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return _turn_2d(p[0]), p[1:], None


def _centred_rigid_2d(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return _turn_2d(p[0]), p[3:], p[1:3]


def _similarity_2d(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return p[0] * _turn_2d(p[1]), p[2:], None


def _centred_similarity_2d(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return p[0] * _turn_2d(p[1]), p[4:], p[2:4]


def _euler_3d(p: _Array, fixed: _Array, _d: int) -> _Parts:
    # The order of the turns is the fourth fixed parameter, which older files do not have.
    return _euler(p[:3], zyx=bool((fixed[3:] != 0).any())), p[3:], None


def _centred_euler_3d(p: _Array, fixed: _Array, _d: int) -> _Parts:
    return _euler(p[:3], zyx=bool((fixed[3:] != 0).any())), p[6:], p[3:6]


def _versor_rigid(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return _versor(p[:3]), p[3:], None


def _versor_only(p: _Array, _fixed: _Array, d: int) -> _Parts:
    return _versor(p, limited=False), np.zeros(d), None


def _similarity_3d(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    return p[6] * _versor(p[:3]), p[3:6], None


def _scale_versor(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    # Scales and skews are added to the turn, not multiplied with it.
    return _versor(p[:3]) + np.diag(p[6:9] - 1), p[3:6], None


def _scale_skew_versor(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    a, b, c, d, e, f = p[9:]
    skew = np.array([[0, a, b], [c, 0, d], [e, f, 0]])
    return _versor(p[:3]) + np.diag(p[6:9] - 1) + skew, p[3:6], None


def _compose_scale_skew_versor(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    skew = np.array([[1, p[9], p[10]], [0, 1, p[11]], [0, 0, 1]])
    return _versor(p[:3]) @ np.diag(p[6:9]) @ skew, p[3:6], None


def _quaternion(p: _Array, _fixed: _Array, _d: int) -> _Parts:
    x, y, z, w = p[:4]
    return _turn_by(x, y, z, w), p[4:], None


def _turn_2d(angle: float) -> _Array:
    return np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])


def _euler(angles: _Array, zyx: bool) -> _Array:
    x, y, z = np.eye(3), np.eye(3), np.eye(3)
    x[1:, 1:] = _turn_2d(angles[0])
    y[::2, ::2] = _turn_2d(angles[1]).T
    z[:2, :2] = _turn_2d(angles[2])
    result: _Array = z @ y @ x if zyx else z @ x @ y
    return result


def _versor(v: _Array, limited: bool = True) -> _Array:
    """The turn whose axis, as long as the sine of half the angle, is `v`."""
    length = sqrt(float((v * v).sum()))
    if limited and length >= 1 - _VERSOR_LIMIT:
        v = v / (length + _VERSOR_LIMIT * length)
        length = sqrt(float((v * v).sum()))
    if length > 1:
        raise ReadError(f"expected a versor of length 1 at most, got {length:g}")
    return _turn_by(v[0], v[1], v[2], sqrt(1 - length * length))


def _turn_by(x: float, y: float, z: float, w: float) -> _Array:
    return np.array(
        [
            [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
        ]
    )


def _exactly(count: int) -> Callable[[int], int]:
    return lambda _d: count


# A class is one line here.
_RULES = {
    "AffineTransform": _Rule(lambda d: d * d + d, _affine),
    "MatrixOffsetTransformBase": _Rule(lambda d: d * d + d, _affine),
    "FixedCenterOfRotationAffineTransform": _Rule(lambda d: d * d + d, _affine),
    "ScalableAffineTransform": _Rule(lambda d: d * d + d, _affine),
    "CenteredAffineTransform": _Rule(lambda d: d * d + 2 * d, _centred_affine),
    "TranslationTransform": _Rule(lambda d: d, _translation, fixed=(0, 2, 3)),
    "ScaleTransform": _Rule(lambda d: d, _scale),
    "ScaleLogarithmicTransform": _Rule(lambda d: d, _scale_logarithmic),
    "Euler2DTransform": _Rule(_exactly(3), _rigid_2d, 2),
    "Rigid2DTransform": _Rule(_exactly(3), _rigid_2d, 2),
    "CenteredRigid2DTransform": _Rule(_exactly(5), _centred_rigid_2d, 2, fixed=(0, 2)),
    "Similarity2DTransform": _Rule(_exactly(4), _similarity_2d, 2),
    "CenteredSimilarity2DTransform": _Rule(_exactly(6), _centred_similarity_2d, 2, fixed=(0, 2)),
    "Euler3DTransform": _Rule(_exactly(6), _euler_3d, 3, fixed=(3, 4)),
    "CenteredEuler3DTransform": _Rule(_exactly(9), _centred_euler_3d, 3, fixed=(3, 4)),
    "VersorTransform": _Rule(_exactly(3), _versor_only, 3),
    "VersorRigid3DTransform": _Rule(_exactly(6), _versor_rigid, 3),
    "QuaternionRigidTransform": _Rule(_exactly(7), _quaternion, 3),
    "Similarity3DTransform": _Rule(_exactly(7), _similarity_3d, 3),
    "ScaleVersor3DTransform": _Rule(_exactly(9), _scale_versor, 3),
    "ScaleSkewVersor3DTransform": _Rule(_exactly(15), _scale_skew_versor, 3),
    "ComposeScaleSkewVersor3DTransform": _Rule(_exactly(12), _compose_scale_skew_versor, 3),
}
