"""The linear transforms of elastix, from its parameters to matrices in LPS mm.

Logarithmic and DTI files also hold the matrix that their parameters make ("MatrixTranslation"), written column after
column; it is not used.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.transform_formats.elastix_parameters import Parameters
from inforeg.io.transform_formats.text import regular

MATRICES = (
    "TranslationTransform",
    "EulerTransform",
    "SimilarityTransform",
    "AffineTransform",
    "AffineLogTransform",
    "AffineDTITransform",
)
"""The names of what is read."""


def linear_part(name: str, parameters: Parameters, ndim: int, count: int) -> NDArray[np.float64]:
    """One of `MATRICES` as a `(d+1, d+1)` matrix, its centre folded in."""
    wanted = _count(name, ndim)
    if count != wanted:
        raise ReadError(
            f"expected {wanted} parameters of a {ndim}-D {name} in {parameters.path}, got {count}"
        )
    values = parameters.floats("TransformParameters", count)
    matrix = np.eye(ndim + 1)
    if name == "TranslationTransform":
        matrix[:ndim, ndim] = values
        return matrix
    centre = parameters.floats("CenterOfRotationPoint", ndim)
    linear, shift = _linear(name, parameters, values, ndim)
    matrix[:ndim, :ndim] = linear
    matrix[:ndim, ndim] = shift + centre - linear @ centre
    return regular(matrix, parameters.path)


def _count(name: str, ndim: int) -> int:
    affine = ndim * (ndim + 1)
    planar, solid = {
        "TranslationTransform": (2, 3),
        "EulerTransform": (3, 6),
        "SimilarityTransform": (4, 7),
        "AffineDTITransform": (7, 12),
    }.get(name, (affine, affine))
    return planar if ndim == 2 else solid


def _linear(
    name: str, parameters: Parameters, values: NDArray[np.float64], ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The linear part and the shift of its centre."""
    if name == "EulerTransform":
        if ndim == 2:
            return _rotation(values[0], 2), values[1:]
        x, y, z = (_rotation(angle, 3, axis) for axis, angle in enumerate(values[:3]))
        return (z @ y @ x if parameters.flag("ComputeZYX", False) else z @ x @ y), values[3:]
    if name == "SimilarityTransform":
        if ndim == 2:
            return values[0] * _rotation(values[1], 2), values[2:]
        return values[6] * _versor(values[:3], parameters), values[3:6]
    if name == "AffineDTITransform":
        return _sheared(values[:-ndim], ndim), values[-ndim:]
    linear = values[: ndim * ndim].reshape(ndim, ndim)
    if name == "AffineLogTransform":
        linear = torch.linalg.matrix_exp(torch.from_numpy(linear)).numpy()
    return linear, values[ndim * ndim :]


def _sheared(values: NDArray[np.float64], ndim: int) -> NDArray[np.float64]:
    """Angles, shears and scales to a matrix: rotation, then shears, then scales, as factors from the left.

    Leemans and Jones, Magn Reson Med 2009; the angles turn the other way than those of `EulerTransform`.
    """
    if ndim == 2:
        rotation, angles, places = _rotation(-values[0], 2), 1, [(0, 1), (1, 0)]
    else:
        x, y, z = (_rotation(-angle, 3, axis) for axis, angle in enumerate(values[:3]))
        rotation, angles, places = x @ y @ z, 3, [(0, 2), (1, 0), (2, 1)]
    matrix = rotation
    for place, shear in zip(places, values[angles:], strict=False):
        factor = np.eye(ndim)
        factor[place] = shear
        matrix = matrix @ factor
    return matrix * values[-ndim:]


def _rotation(angle: float, ndim: int, axis: int = 2) -> NDArray[np.float64]:
    """A turn about one axis (0 is x) by an angle in radians."""
    a, b = {0: (1, 2), 1: (2, 0), 2: (0, 1)}[axis]
    matrix = np.eye(ndim)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[b, a] = np.sin(angle)
    matrix[a, b] = -matrix[b, a]
    return matrix


def _versor(vector: NDArray[np.float64], parameters: Parameters) -> NDArray[np.float64]:
    """The rotation of a unit quaternion, given by its vector part."""
    length = float(vector @ vector)
    if length > 1 + 1e-9:
        raise ReadError(f"expected a versor of length 1 at most in {parameters.path}, got {length**0.5:g}")
    x, y, z = vector
    w = max(0.0, 1 - length) ** 0.5
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation: NDArray[np.float64] = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    return rotation
