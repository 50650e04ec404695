"""The table of image formats, and what is found behind a name. Needs no torch (see `stored`)."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, UsageError
from inforeg.io import objects
from inforeg.io.ahead import taken
from inforeg.io.headers import Header
from inforeg.io.image_formats import metaimage, mgh, nifti, nrrd, pictures
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.outline import Outline
from inforeg.io.stored import Stored, StoredSeries

Writer = Callable[[Path, NDArray[Any], NDArray[np.float64]], None]
SeriesWriter = Callable[[Path, Outline, Iterable[NDArray[Any]]], None]


def _reading(layout: Callable[[Path], Layout]) -> Callable[[Path], Stored]:
    return lambda path: layout(path).stored()


# A format is one line here: what reads the header of plain voxels, or reads a picture as a whole.
_LAYOUTS: dict[str, Callable[[Path], Layout]] = {
    **dict.fromkeys((".nii", ".nii.gz", ".hdr", ".hdr.gz", ".img", ".img.gz"), nifti.layout),
    **dict.fromkeys((".mgh", ".mgz", ".mgh.gz"), mgh.layout),
    **dict.fromkeys((".nrrd", ".nhdr"), nrrd.layout),
    **dict.fromkeys((".mha", ".mhd"), metaimage.layout),
}
READERS: dict[str, Callable[[Path], Stored]] = {
    **{suffix: _reading(layout) for suffix, layout in _LAYOUTS.items()},
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tif", ".tiff"), pictures.read),
}
WRITERS: dict[str, Writer] = {
    **dict.fromkeys((".nii", ".nii.gz"), nifti.write),
    **dict.fromkeys((".mgh", ".mgz"), mgh.write),
    ".nrrd": nrrd.write,
    ".mha": metaimage.write,
    **dict.fromkeys((".png", ".tif", ".tiff"), pictures.write),
}
SERIES_WRITERS: dict[str, SeriesWriter] = {
    **dict.fromkeys((".nii", ".nii.gz"), nifti.write_series),
    **dict.fromkeys((".mgh", ".mgz"), mgh.write_series),
    ".nrrd": nrrd.write_series,
    ".mha": metaimage.write_series,
}
# The types of values that each format holds, for label maps, which are written in one that keeps every id.
HOLDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".nii", ".nii.gz"), nifti.HOLDS),
    **dict.fromkeys((".mgh", ".mgz"), mgh.HOLDS),
    ".nrrd": nrrd.HOLDS,
    ".mha": metaimage.HOLDS,
    **pictures.HOLDS,
}

_PACKED = (".zip", ".tar", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz", ".zst", ".lz4")


def load(source: Any, volume: int | None = None) -> Stored:
    """The values and place of a file or object; raises `ReadError` for what cannot be read.

    Of a series, `volume` says which one; without it, a series is refused.
    """
    if volume is not None:
        return load_series(source).volume(volume)
    if isinstance(source, Stored):
        return source
    if not isinstance(source, str | os.PathLike):
        return objects.read(source)
    path = Path(source)
    return taken(path) or read_file(path)


@np.errstate(all="ignore")
def load_series(source: Any) -> StoredSeries:
    """All volumes of a file or object; one volume is a series of one."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    suffix = None if path is None else _suffix(path, _LAYOUTS)
    if path is not None and suffix is not None:
        return _LAYOUTS[suffix](path).series()
    if path is not None or isinstance(source, Stored):
        one = load(source)
        return StoredSeries(one.values[None], one.voxel_to_world, one.name, one.slope, one.intercept)
    return objects.read_series(source)


# What the numbers of a damaged header come to is checked; numpy need not say as well that they overflow.
@np.errstate(all="ignore")
def read_file(path: Path) -> Stored:
    """The values and place in a file, by the format its name says; in a folder, of a series of DICOM files."""
    suffix = _suffix(path, READERS)
    if suffix is not None:
        return READERS[suffix](path)
    from inforeg.io.image_formats import dicom

    if dicom.recognises(path):
        return dicom.read(path)
    raise _no_image(path)


@np.errstate(all="ignore")
def header(path: Path) -> Header:
    """What a file or a folder of DICOM files says of itself; see `read_header`."""
    suffix = _suffix(path, READERS)
    if suffix in _LAYOUTS:
        return _LAYOUTS[suffix](path).header()
    if suffix is not None:
        return pictures.header(path)
    from inforeg.io.image_formats import dicom

    if dicom.recognises(path):
        return dicom.header(path)
    raise _no_image(path)


def writer(path: Path) -> Writer:
    """What writes a file of that name; raises `UsageError` for a name that says no format."""
    return WRITERS[_written(path, WRITERS, "an image")]


def series_writer(path: Path) -> SeriesWriter:
    """What writes a series of that name; raises `UsageError` for a format that holds one volume only."""
    return SERIES_WRITERS[_written(path, SERIES_WRITERS, "a series")]


def holds(path: Path) -> tuple[str, ...]:
    """The types of values, by their numpy names, that a file of that name can hold."""
    return HOLDS[_written(path, WRITERS, "an image")]


def _written(path: Path, table: dict[str, Any], what: str) -> str:
    suffix = _suffix(path, table)
    if suffix is None and path.suffix.lower() in (".mhd", ".nhdr", ".hdr", ".img"):
        raise UsageError(
            f"{path.suffix} is half of two files, which cannot be written whole or not at all;"
            f" name one of {', '.join(table)} for {what}, got {path}"
        )
    if suffix is None:
        raise UsageError(f"expected a file name in {', '.join(table)} for {what}, got {path}")
    return suffix


def _no_image(path: Path) -> ReadError:
    name = path.name.lower()
    if name.endswith(_PACKED):
        return ReadError(
            f"expected an image, and {path} is packed ({path.suffix}); unpack it and give what is inside"
        )
    return ReadError(f"expected an image ({', '.join(READERS)}) or a folder of DICOM files, got {path}")


def _suffix(path: Path, table: dict[str, Any]) -> str | None:
    name = path.name.lower()
    return max((suffix for suffix in table if name.endswith(suffix)), key=len, default=None)
