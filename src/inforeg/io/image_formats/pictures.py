"""PNG, JPEG and TIFF, by SimpleITK: pictures, and stacks of pictures in one TIFF."""

import logging
import re
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.files import check_there, why
from inforeg.io.headers import Header, geometry_notes
from inforeg.io.image_formats.picture_structure import check_picture
from inforeg.io.image_formats.tiff_structure import check_tiff
from inforeg.io.lps import flip_world
from inforeg.io.simpleitk import LIBRARY_ERRORS, quiet_libraries, reason, simpleitk
from inforeg.io.stored import Stored, StoredSeries

_log = logging.getLogger("inforeg")

# Which types of values each format holds.
HOLDS = {
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
    _check(path)
    try:
        with quiet_libraries():
            image = simpleitk().ReadImage(str(path))
    except LIBRARY_ERRORS as error:
        if "Unknown PixelType" in str(error):
            raise ReadError(f"{path} is grey with transparency, which is not read; save it without") from None
        raise ReadError(f"cannot read {path}: {reason(error)}") from None
    return from_sitk(image, str(path))


def header(path: Path) -> Header:
    """Size, type and resolution of a picture; its pixels are not read, so grey stored as colour shows as colour."""
    _check(path)
    sitk = simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        with quiet_libraries():
            reader.ReadImageInformation()
            d, channels = reader.GetDimension(), reader.GetNumberOfComponents()
            dtype = _name(sitk, reader.GetPixelID())
    except LIBRARY_ERRORS as error:
        raise ReadError(f"cannot read {path}: {reason(error)}") from None
    if d not in (2, 3):
        raise ReadError(f"expected a picture or a stack of them, and {path} has {d} axes")
    shape = tuple(int(n) for n in reader.GetSize())
    matrix = _place(reader, d)
    return Header(
        str(path),
        {".png": "PNG", ".tif": "TIFF", ".tiff": "TIFF"}.get(path.suffix.lower(), "JPEG"),
        shape,
        matrix,
        dtype,
        prod(shape) * channels * np.dtype(dtype).itemsize,
        channels=channels - (channels in (2, 4)),
        notes=geometry_notes(matrix),
    )


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, x, y)` to a PNG, JPEG or TIFF file, with their spacing.

    Raises `WriteError` for a type of values the format does not hold, and for a grid it cannot say: pictures
    have no place and no orientation. Raises `OSError` where the file does not get there whole.
    """
    sitk = simpleitk()
    suffix = path.suffix.lower()
    if values.dtype.name not in HOLDS[suffix]:
        raise WriteError(
            f"{suffix} holds {' or '.join(HOLDS[suffix])}, not {values.dtype.name};"
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
        with quiet_libraries():
            sitk.WriteImage(image, str(path))
        # On a full disk libtiff prints a line and ends well.
        _check(path)
    except (*LIBRARY_ERRORS, ReadError):
        raise OSError("it did not get there whole; is the disk full?") from None


def from_sitk(image: Any, name: str) -> Stored:
    """A SimpleITK image's values and place; the same rules for channels as for files."""
    series = series_from_sitk(image, name)
    stored = series.only()
    return Stored(_opaque(stored.values, name), stored.voxel_to_world, name)


def series_from_sitk(image: Any, name: str) -> StoredSeries:
    """The volumes of a SimpleITK image, whose fourth axis is taken for one of time; any other is a series of one."""
    sitk = simpleitk()
    d = image.GetDimension()
    if d not in (2, 3, 4):
        raise ReadError(f"expected an image of 2 or 3 axes or a series of them, and {name} has {d}")
    values = sitk.GetArrayFromImage(image)
    if values.dtype.kind == "c":
        raise ReadError(f"expected real values, and {name} holds {values.dtype.name}")
    # SimpleITK's arrays are ([t,] k, j, i[, channel]).
    values = values if values.ndim > d else values[..., None]
    values = values.transpose(d, *range(d - 1, -1, -1))
    values = values[None] if d < 4 else values.transpose(4, 0, 1, 2, 3)
    matrix, step = _place(image, d), 0.0
    if d == 4:
        if matrix[3, :3].any() or matrix[:3, 3].any():
            raise ReadError(f"{name}: its fourth axis is turned into the other three, which is not read")
        step = float(abs(matrix[3, 3]))
        matrix = matrix[np.ix_((0, 1, 2, 4), (0, 1, 2, 4))]
    return StoredSeries(values, matrix, name, step=step)


def _check(path: Path) -> None:
    """Raise `ReadError` for a file that is not there, or that ITK is better not given."""
    check_there(path)
    try:
        (check_tiff if path.suffix.lower() in (".tif", ".tiff") else check_picture)(path)
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None


def _place(image: Any, d: int) -> NDArray[np.float64]:
    """Voxel to world in RAS+ mm of a SimpleITK image or reader."""
    matrix = np.eye(d + 1)
    matrix[:d, :d] = np.reshape(image.GetDirection(), (d, d)) * np.asarray(image.GetSpacing())
    matrix[:d, d] = image.GetOrigin()
    return flip_world(matrix)


def _name(sitk: Any, pixel: int) -> str:
    """The numpy name of a type of pixels, scalar or vector."""
    words = sitk.GetPixelIDValueAsString(pixel)
    bits = re.search(r"(\d+)-bit (signed|unsigned) integer|(\d+)-bit float", words)
    if bits is None:
        raise ReadError(f"expected real values, and it holds {words}")
    if bits[3]:
        return f"float{bits[3]}"
    return ("u" if bits[2] == "unsigned" else "") + f"int{bits[1]}"


def _opaque(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.shape[0] in (2, 4) and values.dtype.kind == "u":
        _log.info("%s: its transparency is not used", name)
        values = values[:-1]
    if values.shape[0] == 3 and values.dtype.kind == "u":
        grey = (values[0] == values[1]).all() and (values[0] == values[2]).all()
        values = values[:1] if grey else values
    return values
