"""Grids that files describe: of images, from their headers alone, and of transforms."""

import logging
import os
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.headers import read_header
from inforeg.space import Grid

_log = logging.getLogger("inforeg")


def grid_in(path: str | os.PathLike[str], shape: Sequence[int], voxel_to_world: NDArray[np.float64]) -> Grid:
    """A grid in RAS+ mm; raises `ReadError` with the file's name for what is none."""
    try:
        return Grid(tuple(shape), torch.from_numpy(np.ascontiguousarray(voxel_to_world, np.float64)))
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from None


def read_grid(path: str | os.PathLike[str]) -> Grid:
    """The grid of an image file, whose voxels are not read; what reading them would warn of is logged all the same."""
    header = read_header(path)
    for sentence in header.warnings:
        _log.warning("%s: %s", path, sentence)
    return grid_in(path, header.shape, header.voxel_to_world)
