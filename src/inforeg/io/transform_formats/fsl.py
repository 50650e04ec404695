"""FSL's linear transforms: the `.mat` of FLIRT, a 4x4 matrix as text.

Three traps, met here. The matrix takes moving points to fixed points, the opposite of ours, so it is turned. Its
millimetres are no world's: they are voxel indices times voxel sizes, counted from a corner of each image, with the
first axis counted from its other end where the image is stored left to right (a voxel-to-world matrix of positive
determinant). So it means nothing without both images. And it looks like any other 4x4 matrix (see `plain`), so it is
read only where FSL is said (--from fsl, `format="fsl"`).
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import ReadError, WriteError
from inforeg.io.transform_formats import Context, MissingImages
from inforeg.io.transform_formats.text import (
    MATRIX_BYTES,
    affine,
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

_WHAT = "FSL's .mat"


def recognises(head: bytes) -> bool:
    """Whether a file begins with a row of four numbers."""
    return is_numbers(first_line(head), (4,))


def read(path: Path, context: Context) -> Transform:
    """The matrix as fixed points to moving points in RAS+ mm, for the grids of both images (3-D).

    Raises `ReadError` for what is no matrix, is singular or projective, or belongs to 2-D images, which FSL has
    not; and `MissingImages` without the grids.
    """
    stored = affine(square(rows(read_text(path, MATRIX_BYTES), path), path), path)
    if context.fixed is None or context.moving is None:
        raise MissingImages(
            f"{path} is FSL's matrix, which counts from the corners of its two images: give --fixed and --moving"
            " (fixed=, moving=)"
        )
    fixed, moving = context.fixed, context.moving
    if fixed.ndim != 3 or moving.ndim != 3:
        raise ReadError(
            f"FSL has no 2-D transforms, and {path} was given {fixed.ndim}-D and {moving.ndim}-D images"
        )
    turned = Linear(torch.from_numpy(stored)).inverse().matrix
    return Linear(fsl_to_world(moving) @ turned @ world_to_fsl(fixed))


def write(transform: Transform, path: Path, context: Context) -> None:
    """A linear transform as FLIRT's matrix for the grids of both images, with every digit."""
    matrix = torch.from_numpy(one_matrix(transform, _WHAT))
    fixed, moving = context.both(_WHAT)
    if fixed.ndim != 3 or moving.ndim != 3:
        raise WriteError("FSL has no 2-D transforms; write .tfm")
    stored = Linear(world_to_fsl(moving) @ matrix @ fsl_to_world(fixed)).inverse().matrix.numpy()
    path.write_text("".join(digits(row) + "\n" for row in stored), encoding="ascii")


def voxel_to_fsl(grid: Grid) -> Float[Tensor, "4 4"]:
    """Voxel indices of a 3-D grid to FSL's millimetres: scaled, and the first axis turned where FSL turns it."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = torch.diag(grid.spacing_mm)
    if float(torch.linalg.det(grid.voxel_to_world[:3, :3])) > 0:
        matrix[0, 0] = -grid.spacing_mm[0]
        matrix[0, 3] = grid.spacing_mm[0] * (grid.shape[0] - 1)
    return matrix


def fsl_to_world(grid: Grid) -> Float[Tensor, "4 4"]:
    """FSL's millimetres of a grid to RAS+ mm."""
    matrix: Tensor = grid.voxel_to_world @ torch.linalg.inv(voxel_to_fsl(grid))
    return matrix


def world_to_fsl(grid: Grid) -> Float[Tensor, "4 4"]:
    """RAS+ mm to FSL's millimetres of a grid."""
    return voxel_to_fsl(grid) @ grid.world_to_voxel
