"""Other people's readers of transform files, as functions of points in RAS+ mm and as resamplers.

A witness is made from a file and the grids of both images, and is asked only for what it reads as it is meant.
"""

import shutil
import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from geometry.others import FLIP, affine_of, by_nibabel, by_simpleitk
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from inforeg.space import Grid

OUTSIDE = -7.0

Array = NDArray[np.float64]


class Witness(ABC):
    """How another library understands a file."""

    tolerance_mm = 1e-4
    """How far from ours it may take a point."""
    only_voxel_centres = False
    """Whether it interpolates fields in another way than ITK, and so agrees at voxel centres only."""
    edge_voxels = -0.5
    """Where its field of view begins, in voxel indices."""
    passes_over: tuple[str, ...] = ()
    """Endings that it does not know, of formats that it does."""

    @abstractmethod
    def points(self, points_mm: Array) -> Array:
        """Fixed points `(n, d)` to moving points, in RAS+ mm."""

    @abstractmethod
    def image(self, values: Array) -> Array:
        """An image of the moving grid on the fixed grid, with linear interpolation."""


class BySimpleITK(Witness):
    """ITK's own reader: a transform file, or an image of vectors."""

    def __init__(self, path: Path, name: str, fixed: Grid, moving: Grid) -> None:
        self.fixed, self.moving = fixed, moving
        if path.name.lower().endswith((".nii", ".nii.gz", ".mha", ".mhd", ".nrrd")):
            vectors = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
            self.transform: Any = sitk.DisplacementFieldTransform(vectors)
        else:
            self.transform = sitk.ReadTransform(str(path))

    def points(self, points_mm: Array) -> Array:
        flip = FLIP[self.fixed.ndim]
        moved = [self.transform.TransformPoint(point) for point in (points_mm * flip).tolist()]
        return np.array(moved) * flip

    def image(self, values: Array) -> Array:
        reference = by_simpleitk(np.zeros(self.fixed.shape), self.fixed)
        warped = sitk.Resample(
            by_simpleitk(values, self.moving), reference, self.transform, sitk.sitkLinear, OUTSIDE
        )
        return sitk.GetArrayFromImage(warped).T


class ByNitransforms(Witness):
    """nitransforms: 3-D; cubic between the voxels of a field, and nothing beyond the outermost voxel centres."""

    only_voxel_centres = True
    edge_voxels = 0.0
    passes_over = (".mha", ".nrrd")

    def __init__(self, path: Path, name: str, fixed: Grid, moving: Grid) -> None:
        from nitransforms.linear import Affine
        from nitransforms.nonlinear import DenseFieldTransform

        self.fixed, self.moving = fixed, moving
        file = path.name.lower()
        images = {
            "reference": by_nibabel(np.zeros(fixed.shape, np.float32), fixed),
            "moving": by_nibabel(np.zeros(moving.shape, np.float32), moving),
        }
        self.transform: Any
        if name == "itk" and file.endswith((".h5", ".hdf5")):
            if file.endswith(".hdf5"):  # an ending that it does not know
                path = Path(shutil.copy(path, path.with_suffix(".h5")))
            self.transform = _chain(path, "itk")
        elif name == "x5":
            self.transform = _x5(path)
        elif file.endswith((".nii", ".nii.gz")):
            self.transform = DenseFieldTransform.from_filename(path, fmt=name)
        else:
            called = {"freesurfer": "lta"}.get(name, name)
            self.transform = Affine.from_filename(path, fmt=called, **images)

    def points(self, points_mm: Array) -> Array:
        return np.asarray(self.transform.map(points_mm))

    def image(self, values: Array) -> Array:
        from nitransforms.resampling import apply

        reference = by_nibabel(np.zeros(self.fixed.shape), self.fixed)
        warped = apply(
            self.transform, by_nibabel(values, self.moving), reference, order=1, cval=OUTSIDE, prefilter=False
        )
        return np.asarray(warped.dataobj)


def _chain(path: Path, fmt: str) -> Any:
    from nitransforms.manip import TransformChain

    with warnings.catch_warnings():
        # It has no grid for a chain that begins with a matrix, and needs none.
        warnings.filterwarnings("ignore", "Reference space not set")
        return TransformChain.from_filename(path, fmt=fmt)


def _x5(path: Path) -> Any:
    """What is in an X5 file: it has to be said which of its classes to read it with."""
    from nitransforms import linear, nonlinear
    from nitransforms.io.x5 import from_filename

    found = from_filename(path)
    if len(found) > 1:
        return _chain(path, "X5")
    kind = linear.Affine if found[0].type == "linear" else nonlinear.DenseFieldTransform
    return kind.from_filename(path, fmt="X5")


class ByFslRule(Witness):
    """FSL's warps by the definition of FSL's coordinates, from a file that nibabel reads.

    FSL itself is not free software that could be installed here. Its millimetres are voxel indices times voxel sizes,
    the first axis counted from its other end where the voxel-to-world matrix has a positive determinant; a warp is
    what is added to them, for the moving image's millimetres.
    """

    only_voxel_centres = True
    edge_voxels = 0.0

    def __init__(self, path: Path, name: str, fixed: Grid, moving: Grid) -> None:
        self.fixed, self.moving = fixed, moving
        image = nib.load(path)
        assert isinstance(image, nib.Nifti1Image)
        vectors = np.asarray(image.dataobj, np.float64).reshape(-1, 3)
        index = np.argwhere(np.ones(image.shape[:3]))
        there = _apply(_fsl(image.affine, image.shape[0]), index) + vectors
        self.at = _apply(image.affine, index)
        self.index = _apply(np.linalg.inv(_fsl(affine_of(moving), moving.shape[0])), there)

    def points(self, points_mm: Array) -> Array:
        nearest = np.linalg.norm(points_mm[:, None] - self.at, axis=2).argmin(axis=1)
        assert np.abs(points_mm - self.at[nearest]).max() < 1e-3
        return _apply(affine_of(self.moving), self.index[nearest])

    def image(self, values: Array) -> Array:
        warped = map_coordinates(
            values, self.index.T, order=1, mode="constant", cval=OUTSIDE, prefilter=False
        )
        return np.asarray(warped.reshape(self.fixed.shape))


class ByNumpy(Witness):
    """Matrices as they stand in a file of numbers, in RAS+ mm from fixed to moving."""

    edge_voxels = 0.0

    def __init__(self, path: Path, name: str, fixed: Grid, moving: Grid) -> None:
        self.fixed, self.moving = fixed, moving
        self.matrix = np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None)

    def points(self, points_mm: Array) -> Array:
        there = np.c_[points_mm, np.ones(len(points_mm))] @ self.matrix.T
        return np.asarray(there[:, :-1] / there[:, -1:])

    def image(self, values: Array) -> Array:
        index = np.argwhere(np.ones(self.fixed.shape))
        there = self.points(_apply(self.fixed.voxel_to_world.numpy(), index))
        at = _apply(np.linalg.inv(self.moving.voxel_to_world.numpy()), there)
        warped = map_coordinates(values, at.T, order=1, mode="constant", cval=OUTSIDE, prefilter=False)
        return np.asarray(warped.reshape(self.fixed.shape))


def _fsl(affine: Array, count: int) -> Array:
    """Voxel indices to FSL's millimetres, `(4, 4)`."""
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    matrix = np.diag([*sizes, 1.0])
    if np.linalg.det(affine[:3, :3]) > 0:
        matrix[0] = [-sizes[0], 0.0, 0.0, (count - 1) * sizes[0]]
    return matrix


def _apply(matrix: Array, points: Array) -> Array:
    return points @ matrix[:-1, :-1].T + matrix[:-1, -1]


WITNESSES: dict[str, type[Witness]] = {
    "SimpleITK": BySimpleITK,
    "nitransforms": ByNitransforms,
    "nibabel": ByFslRule,
    "numpy": ByNumpy,
}
