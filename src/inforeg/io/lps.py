"""LPS, the frame of ITK and DICOM: the first two axes of the world point the other way than in RAS+."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.floating)


def flip_points(points_mm: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """World points `(..., d)` from LPS to RAS+, or back."""
    flipped = points_mm.copy()
    flipped[..., :2] *= -1
    return flipped


def flip_world(voxel_to_world: NDArray[np.float64]) -> NDArray[np.float64]:
    """A `(d+1, d+1)` matrix into the world, from LPS to RAS+, or back."""
    flipped = voxel_to_world.copy()
    flipped[:2] *= -1
    return flipped


def flip_transform(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """A `(d+1, d+1)` matrix from world to world, from LPS to RAS+, or back."""
    flipped = matrix.copy()
    flipped[:2] *= -1
    flipped[:, :2] *= -1
    return flipped
