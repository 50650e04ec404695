"""Grids that transform files describe."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.space import Grid


def grid_in(path: Path, shape: Sequence[int], voxel_to_world: NDArray[np.float64]) -> Grid:
    """A grid in RAS+ mm; raises `ReadError` with the file's name for what is none."""
    try:
        return Grid(tuple(shape), torch.from_numpy(np.ascontiguousarray(voxel_to_world, np.float64)))
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from None
