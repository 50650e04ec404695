"""PNG, JPEG and TIFF, by SimpleITK: pictures, and stacks of pictures in one TIFF."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.files import check_there
from inforeg.io.lps import flip_world
from inforeg.io.simpleitk import LIBRARY_ERRORS, quiet_libraries, reason, simpleitk
from inforeg.io.stored import Stored

_log = logging.getLogger("inforeg")

# Which types of values each format holds.
_HOLDS = {
    ".png": ("uint8", "uint16"),
    ".jpg": ("uint8",),
    ".jpeg": ("uint8",),
    ".tif": ("uint8", "uint16", "int16", "float32"),
    ".tiff": ("uint8", "uint16", "int16", "float32"),
}


def read(path: Path) -> Stored:
    """A picture as `(channels, x, y)`, x to the right and y down, at `(-x sx, -y sy)` in RAS+ mm, as in ITK.

    The spacing is the file's resolution, or 1 mm where it has none. Colour becomes three channels;
    transparency is dropped, and a colour picture whose channels are all the same is read as grey. A TIFF of
    several pages is a volume. Raises `ReadError` for a file that is missing, damaged or of another format.
    """
    check_there(path)
    try:
        with quiet_libraries():
            image = simpleitk().ReadImage(str(path))
    except LIBRARY_ERRORS as error:
        if "Unknown PixelType" in str(error):
            raise ReadError(f"{path} is grey with transparency, which is not read; save it without") from None
        raise ReadError(f"cannot read {path}: {reason(error)}") from None
    return from_sitk(image, str(path))


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, x, y)` to a PNG, JPEG or TIFF file, with their spacing.

    Raises `WriteError` for a type of values the format does not hold, and for a grid it cannot say: pictures
    have no place and no orientation.
    """
    sitk = simpleitk()
    suffix = path.suffix.lower()
    if values.dtype.name not in _HOLDS[suffix]:
        raise WriteError(
            f"{suffix} holds {' or '.join(_HOLDS[suffix])}, not {values.dtype.name};"
            " name the type to write, or write .tiff or .nii.gz"
        )
    if values.ndim != 3 or values.shape[0] not in (1, 3):
        raise WriteError(f"{suffix} holds 2-D pictures of 1 or 3 channels; write volumes as .nii.gz")
    spacing = np.linalg.norm(voxel_to_world[:2, :2], axis=0)
    plain = flip_world(np.diag([*spacing, 1.0]))
    if np.abs(plain - voxel_to_world).max() > 1e-3 * spacing.min():
        raise WriteError(
            f"{suffix} cannot say where this grid lies (it has a place or a turn); write .nii.gz"
        )
    colour = values.shape[0] == 3
    image = sitk.GetImageFromArray(values.transpose(2, 1, 0) if colour else values[0].T, isVector=colour)
    image.SetSpacing([float(s) for s in spacing])
    try:
        sitk.WriteImage(image, str(path))
    except RuntimeError as error:
        raise WriteError(f"cannot write {path}: {reason(error)}") from None


def from_sitk(image: Any, name: str) -> Stored:
    """A SimpleITK image's values and place; the same rules for channels as for files."""
    sitk = simpleitk()
    d = image.GetDimension()
    if d not in (2, 3):
        raise ReadError(f"expected an image of 2 or 3 axes, and {name} has {d}; give one volume of it")
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind == "c":
        raise ReadError(f"expected real values, and {name} holds {values.dtype.name}")
    # SimpleITK's arrays are (k, j, i[, channel]).
    values = values.transpose(tuple(range(d, -1, -1))) if values.ndim == d + 1 else values.transpose()[None]
    matrix = np.eye(d + 1)
    matrix[:d, :d] = np.reshape(image.GetDirection(), (d, d)) * np.asarray(image.GetSpacing())
    matrix[:d, d] = image.GetOrigin()
    return Stored(_opaque(values, name), flip_world(matrix), name)


def _opaque(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.shape[0] in (2, 4) and values.dtype.kind == "u":
        _log.info("%s: its transparency is not used", name)
        values = values[:-1]
    if values.shape[0] == 3 and values.dtype.kind == "u":
        grey = (values[0] == values[1]).all() and (values[0] == values[2]).all()
        values = values[:1] if grey else values
    return values
