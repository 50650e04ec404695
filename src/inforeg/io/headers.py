"""What an image file says of itself, without its voxels: quick, and before any memory is asked for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import UsageError

# Axes further from a right angle than this are worth a word: ITK refuses NIfTI files beyond a cosine of 1e-4.
# What float32 headers alone do to right angles stays far below it.
SHEAR_DEGREES = 0.0055


@dataclass(frozen=True, eq=False)
class Header:
    """What an image file says of itself.

    `shape` is voxels along `(i, j[, k])` and `voxel_to_world` the `(d+1, d+1)` matrix in RAS+ mm, both as
    `read_image` takes them; a series has `volumes` of that shape, `step` apart in `step_unit` (0 and "" where
    the file does not say). `dtype` is the numpy name of the stored type, `voxel_bytes` what all voxel values take
    up when they are not compressed. `units` is what the file says lengths are in. NIfTI has two matrices of its
    own, with codes (0 is "not given"), and `forms_apart_mm` is how far apart they put a corner at most. `what` is
    "an image", "a series" or what else the file holds; `notes` are plain sentences on what may surprise,
    and `warnings` those of them that are logged where the file is used.
    """

    name: str
    format: str
    shape: tuple[int, ...]
    voxel_to_world: NDArray[np.float64]
    dtype: str
    voxel_bytes: int
    volumes: int = 1
    channels: int = 1
    step: float = 0.0
    step_unit: str = ""
    units: str = ""
    qform: NDArray[np.float64] | None = None
    qform_code: int = 0
    sform: NDArray[np.float64] | None = None
    sform_code: int = 0
    forms_apart_mm: float | None = None
    what: str = "an image"
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_series(self) -> bool:
        """Whether the file holds several volumes."""
        return self.volumes > 1

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Distance between neighbouring voxel centres along each axis."""
        d = len(self.shape)
        return tuple(float(n) for n in np.linalg.norm(self.voxel_to_world[:d, :d], axis=0))


def read_header(path: Any) -> Header:
    """What an image file (or a folder of DICOM files) says of itself; its voxels are not read.

    Works for every format that `read_image` reads. Raises `ReadError` as `read_image` would for a file that is
    missing, damaged, or shorter than its header promises, as far as that shows without reading the voxels.
    """
    from inforeg.io import formats

    if not isinstance(path, str | os.PathLike):
        raise UsageError(f"expected a path, got {type(path).__module__}.{type(path).__qualname__}")
    return formats.header(Path(path))


def geometry_notes(voxel_to_world: NDArray[np.float64]) -> tuple[str, ...]:
    """What may surprise about a voxel-to-world matrix, in plain sentences; a left-handed one is no surprise."""
    d = voxel_to_world.shape[0] - 1
    axes = voxel_to_world[:d, :d]
    if not np.isfinite(voxel_to_world).all():
        return ("its voxel-to-world matrix holds NaN or infinity; repair the header",)
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(axes, axis=0)
        singular = lengths.min() <= 0 or not abs(np.linalg.det(axes)) > 1e-6 * lengths.prod()
    if singular:
        return ("its voxel-to-world matrix is singular; repair the header",)
    degrees = shear_degrees(voxel_to_world)
    if degrees > SHEAR_DEGREES:
        return (
            f"its axes are {degrees:.3g} degrees off right angles (shear), which is kept;"
            " ITK's programs refuse that in NIfTI and read it in .nrrd and .mha",
        )
    return ()


def shear_degrees(voxel_to_world: NDArray[np.float64]) -> float:
    """How far the angle between two voxel axes is from 90 degrees, at most."""
    d = voxel_to_world.shape[0] - 1
    with np.errstate(all="ignore"):
        unit = voxel_to_world[:d, :d] / np.linalg.norm(voxel_to_world[:d, :d], axis=0)
        between = np.abs(unit.T @ unit)[~np.eye(d, dtype=bool)]
    return float(np.degrees(np.arcsin(np.clip(between.max(), 0, 1))))
