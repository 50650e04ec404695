"""The table of image formats, and what is found behind a name. Needs no torch (see `stored`)."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, UsageError
from inforeg.io import objects
from inforeg.io.image_formats import nifti, pictures
from inforeg.io.ahead import taken
from inforeg.io.stored import Stored

Writer = Callable[[Path, NDArray[Any], NDArray[np.float64]], None]

# A format is one line here.
READERS: dict[str, Callable[[Path], Stored]] = {
    ".nii": nifti.read,
    ".nii.gz": nifti.read,
    ".png": pictures.read,
    ".jpg": pictures.read,
    ".jpeg": pictures.read,
    ".tif": pictures.read,
    ".tiff": pictures.read,
}
WRITERS: dict[str, Writer] = {
    ".nii": nifti.write,
    ".nii.gz": nifti.write,
    ".png": pictures.write,
    ".tif": pictures.write,
    ".tiff": pictures.write,
}


def load(source: Any) -> Stored:
    """The values and place of a file or object; raises `ReadError` for what cannot be read."""
    if isinstance(source, Stored):
        return source
    if not isinstance(source, str | os.PathLike):
        return objects.read(source)
    path = Path(source)
    return taken(path) or read_file(path)


def read_file(path: Path) -> Stored:
    """The values and place in a file, by the format its name says."""
    suffix = _suffix(path, READERS)
    if suffix is None:
        if path.is_dir():
            raise ReadError(f"expected an image file, and {path} is a folder")
        raise ReadError(f"expected an image ({', '.join(READERS)}), got {path}")
    return READERS[suffix](path)


def writer(path: Path) -> Writer:
    """What writes a file of that name; raises `UsageError` for a name that says no format."""
    suffix = _suffix(path, WRITERS)
    if suffix is None:
        raise UsageError(f"expected a file name in {', '.join(WRITERS)} for an image, got {path}")
    return WRITERS[suffix]


def _suffix(path: Path, table: dict[str, Any]) -> str | None:
    name = path.name.lower()
    return max((suffix for suffix in table if name.endswith(suffix)), key=len, default=None)
