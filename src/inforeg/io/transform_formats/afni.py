"""AFNI's linear transforms: `.1D` files of twelve numbers (`.aff12.1D`), or of three rows of four.

They take base (fixed) points to source (moving) points, as ours do, in LPS mm, which AFNI calls DICOM order. The trap
is oblique images: AFNI computes on each image's cardinal grid, which keeps the voxel sizes and the first voxel's
position and lays the axes along the nearest axes of the world, and its matrices are between cardinal coordinates. With
the grids of the images given, they are taken to the true world, and from it when written; without them the matrix is
taken as it stands, which is right where neither image is oblique.
"""

import logging
from itertools import permutations
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.lps import flip_transform
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.text import (
    digits,
    first_line,
    is_numbers,
    one_matrix,
    read_text,
    rows,
    square,
)
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform

_log = logging.getLogger("inforeg")

_HEADER = "# 3dAllineate matrices (DICOM-to-DICOM, row-by-row):\n"

# What AFNI calls oblique, and nitransforms.
_OBLIQUE_DEG = 0.01

# Motion of a long series, a line a volume.
_SERIES_BYTES = 1 << 24


def recognises(head: bytes) -> bool:
    """Whether a file begins with a row of numbers of any count: what they may be is for `read` to say."""
    return is_numbers(first_line(head), range(1, 1 << 10))


def read(path: Path, context: Context) -> Transform:
    """The one matrix in the file, fixed points to moving points in RAS+ mm.

    `context.fixed` and `context.moving` matter only where they are oblique (see above). Raises `ReadError` for files
    of several matrices, such as the motion of a series, and of parameters instead of matrices.
    """
    text = read_text(path, _SERIES_BYTES)
    if any(
        "parameters" in line or "x-shift" in line
        for line in text.splitlines()
        if line.lstrip().startswith("#")
    ):
        raise ReadError(
            f"{path} holds AFNI's parameters and no matrix; 3dAllineate gives it as -1Dmatrix_save"
        )
    upper = _single(rows(text, path), path)
    matrix = flip_transform(square([*upper, [0.0, 0.0, 0.0, 1.0]], path))
    with np.errstate(all="ignore"):
        if _is_oblique(context.fixed):
            matrix = matrix @ np.linalg.inv(_cardinal_to_world(context.fixed))
        if _is_oblique(context.moving):
            matrix = _cardinal_to_world(context.moving) @ matrix
    if context.fixed is None or context.moving is None:
        _log.info("%s: read for images that are not oblique; give both images if one is", path)
    return Linear(torch.from_numpy(matrix))


def write(transform: Transform, path: Path, context: Context) -> None:
    """A linear transform as one line of twelve numbers, with every digit; for oblique images give their grids."""
    matrix = one_matrix(transform, "AFNI's .1D")
    for grid in (context.fixed, context.moving):
        if grid is not None and grid.ndim != 3:
            raise WriteError("AFNI's .1D is for 3-D images; write .tfm")
    if _is_oblique(context.fixed):
        matrix = matrix @ _cardinal_to_world(context.fixed)
    if _is_oblique(context.moving):
        matrix = np.linalg.inv(_cardinal_to_world(context.moving)) @ matrix
    path.write_text(_HEADER + digits(flip_transform(matrix)[:3]) + "\n", encoding="ascii")


def _single(found: list[list[float]], path: Path) -> list[list[float]]:
    """The upper three rows of the one matrix."""
    widths = {len(row) for row in found}
    if widths == {4} and (len(found) == 3 or (len(found) == 4 and found[3] == [0.0, 0.0, 0.0, 1.0])):
        return found[:3]
    if widths != {12}:
        counts = sorted(widths) or [0]
        raise ReadError(
            f"expected rows of 12 numbers, or 3 rows of 4, in {path}, got {len(found)} rows of"
            f" {counts[0]} to {counts[-1]} numbers"
        )
    if len(found) > 1:
        raise ReadError(
            f"expected one matrix, and {path} holds a series of {len(found)}; take one of them, the first with"
            f" 1dcat '{path.name}{{0}}' > one.aff12.1D"
        )
    return [found[0][start : start + 4] for start in (0, 4, 8)]


def _is_oblique(grid: Grid | None) -> bool:
    if grid is None or grid.ndim != 3:
        return False
    directions = (grid.voxel_to_world[:3, :3] / grid.spacing_mm).numpy()
    nearest = np.abs(directions).max(axis=0).clip(max=1.0)
    return bool(np.degrees(np.arccos(nearest)).max() > _OBLIQUE_DEG)


def _cardinal_to_world(grid: Grid | None) -> NDArray[np.float64]:
    """Cardinal coordinates of an oblique grid to its true ones, both in RAS+ mm, `(4, 4)`."""
    assert grid is not None
    true = grid.voxel_to_world.numpy()
    spacing = grid.spacing_mm.numpy()
    directions = true[:3, :3] / spacing
    # Each voxel axis takes a world axis of its own, so that together they are nearest.
    axes = max(permutations(range(3)), key=lambda order: sum(abs(directions[order[n], n]) for n in range(3)))
    cardinal = np.eye(4)
    cardinal[:3, :3] = 0
    cardinal[:3, 3] = true[:3, 3]
    for n, axis in enumerate(axes):
        cardinal[axis, n] = np.copysign(spacing[n], directions[axis, n])
    result: NDArray[np.float64] = true @ np.linalg.inv(cardinal)
    return result
