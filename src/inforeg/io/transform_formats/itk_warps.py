"""ITK's displacement fields and B-splines as lists of numbers, and back.

The fixed parameters of both are a grid in LPS: voxels, origin, spacing and direction (by rows). Of a B-spline it is
the grid of its control points. A field lists one vector after the other, a B-spline one component after the other;
both have the first axis fastest. Directions need not be at right angles here: ITK takes them as they are.
"""

from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.lps import flip_world
from inforeg.space import Grid
from inforeg.transforms import BSpline, Displacement


def read_displacement(fixed: NDArray[np.float64], parameters: NDArray[Any], ndim: int) -> Displacement:
    """A displacement field; raises `ReadError` where the numbers are too few or too many for their grid."""
    grid = _grid(fixed, len(parameters), ndim)
    vectors = parameters.reshape((*reversed(grid.shape), ndim)).transpose(tuple(range(ndim, -1, -1)))
    return Displacement(torch.from_numpy(_flipped(vectors)), grid)


def read_bspline(fixed: NDArray[np.float64], parameters: NDArray[Any], ndim: int) -> BSpline:
    """A B-spline of order 3; raises `ReadError` where the numbers are too few or too many for its control points."""
    grid = _grid(fixed, len(parameters), ndim)
    coefficients = parameters.reshape((ndim, *reversed(grid.shape)))
    coefficients = coefficients.transpose((0, *range(ndim, 0, -1)))
    return BSpline(torch.from_numpy(_flipped(coefficients).astype(np.float64, copy=False)), grid)


def displacement_numbers(transform: Displacement) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Fixed parameters and parameters, these of the field's own precision."""
    vectors = _flipped(transform.vectors.detach().cpu().numpy())
    return _fixed(transform.grid), np.ascontiguousarray(vectors.T).reshape(-1)


def bspline_numbers(transform: BSpline) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fixed parameters and parameters."""
    coefficients = _flipped(transform.coefficients.detach().cpu().numpy())
    axes = (0, *range(transform.ndim, 0, -1))
    return _fixed(transform.grid), np.ascontiguousarray(coefficients.transpose(axes)).reshape(-1)


def _grid(fixed: NDArray[np.float64], count: int, ndim: int) -> Grid:
    if len(fixed) != 3 * ndim + ndim * ndim:
        raise ReadError(
            f"expected {3 * ndim + ndim * ndim} fixed parameters (a grid in {ndim}-D), got {len(fixed)}"
        )
    size, origin, spacing = fixed[:ndim], fixed[ndim : 2 * ndim], fixed[2 * ndim : 3 * ndim]
    if not all(n >= 1 and n == int(n) for n in size) or prod(int(n) for n in size) * ndim != count:
        raise ReadError(
            f"its grid of {' x '.join(f'{n:g}' for n in size)} points does not fit its {count} parameters"
        )
    if not (spacing > 0).all():
        raise ReadError(f"expected a spacing above 0 mm, got {' '.join(f'{s:g}' for s in spacing)}")
    matrix = np.eye(ndim + 1)
    with np.errstate(over="ignore"):
        matrix[:ndim, :ndim] = fixed[3 * ndim :].reshape(ndim, ndim) * spacing
    matrix[:ndim, ndim] = origin
    return Grid(tuple(int(n) for n in size), torch.from_numpy(flip_world(matrix)))


def _fixed(grid: Grid) -> NDArray[np.float64]:
    d = grid.ndim
    matrix = flip_world(grid.voxel_to_world.numpy())
    spacing = np.linalg.norm(matrix[:d, :d], axis=0)
    direction = matrix[:d, :d] / spacing
    # Minus zero is zero to everybody but the reader of a text.
    return (
        np.concatenate((np.array(grid.shape, np.float64), matrix[:d, d], spacing, direction.reshape(-1)))
        + 0.0
    )


def _flipped(vectors: NDArray[Any]) -> NDArray[Any]:
    """Vectors `(d, ...)` from LPS to RAS+, or back, as a new array in this machine's byte order."""
    result = np.array(vectors, vectors.dtype.newbyteorder("="), order="C")
    result[:2] *= -1
    return result
