"""Images and transforms as other people's libraries hold and write them, without inforeg's own readers and writers."""

from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform

FLIP = {2: np.array([-1.0, -1.0]), 3: np.array([-1.0, -1.0, 1.0])}
"""Takes RAS+ to ITK's LPS, and back."""


def affine_of(grid: Grid) -> NDArray[np.float64]:
    """The grid's `(4, 4)` affine as nibabel has it; a slice lies at height 0."""
    affine = np.eye(4)
    rows = (*range(grid.ndim), 3)
    affine[np.ix_(rows, rows)] = grid.voxel_to_world.numpy()
    return affine


def by_nibabel(values: NDArray, grid: Grid) -> nib.Nifti1Image:
    """Values `grid.shape` on the grid."""
    return nib.Nifti1Image(values if grid.ndim == 3 else values[..., None], affine_of(grid))


def written_by_nibabel(values: NDArray, grid: Grid, path: Path) -> Path:
    nib.save(by_nibabel(values, grid), path)
    return path


def by_simpleitk(values: NDArray, grid: Grid) -> sitk.Image:
    """Values `grid.shape`, or `(*grid.shape, components)`, on the grid, which must have right angles."""
    d = grid.ndim
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(np.moveaxis(values, range(d), range(d)[::-1])), isVector=values.ndim == d + 1
    )
    steps = FLIP[d][:, None] * grid.voxel_to_world.numpy()[:d, :d]
    spacing = np.linalg.norm(steps, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((steps / spacing).reshape(-1).tolist())
    image.SetOrigin((FLIP[d] * grid.voxel_to_world.numpy()[:d, d]).tolist())
    return image


def transform_by_simpleitk(transform: Transform) -> sitk.Transform:
    """The same transform as an object of SimpleITK."""
    d = transform.ndim
    flip = np.diag(FLIP[d])
    if isinstance(transform, Linear):
        matrix = transform.matrix.numpy()
        linear, shift = flip @ matrix[:d, :d] @ flip, flip @ matrix[:d, d]
        return sitk.AffineTransform(linear.reshape(-1).tolist(), shift.tolist(), [0.0] * d)
    if isinstance(transform, Displacement):
        return sitk.DisplacementFieldTransform(vectors_by_simpleitk(transform))
    if isinstance(transform, BSpline):
        along_each = [
            by_simpleitk(sign * part, transform.grid)
            for sign, part in zip(FLIP[d], transform.coefficients.numpy(), strict=True)
        ]
        return sitk.BSplineTransform(along_each, 3)
    assert isinstance(transform, Composite)
    return sitk.CompositeTransform([transform_by_simpleitk(part) for part in transform.parts])


def vectors_by_simpleitk(field: Displacement) -> sitk.Image:
    """A field as an image of vectors in float64."""
    return by_simpleitk(np.moveaxis(field.vectors.double().numpy(), 0, -1) * FLIP[field.ndim], field.grid)
