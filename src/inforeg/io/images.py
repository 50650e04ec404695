"""The door for images and label maps: from files and objects to tensors on a grid, and back."""

import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.image import Image, Labels
from inforeg.io import formats
from inforeg.io.atomic import atomic_path
from inforeg.io.grids import grid_in
from inforeg.io.stored import Stored
from inforeg.space import Grid

Source: TypeAlias = Any
"""A path, an `Image` or `Labels`, a nibabel or SimpleITK image, or a pair `(array, affine)`."""

_WRITTEN = ("float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32")
_WHOLE = ("uint8", "int16", "uint16", "int32", "uint32", "int64")


def read_image(source: Source, volume: int | None = None) -> Image:
    """The image behind a path or object, float32 `(1, channels, i, j[, k])` on its grid in RAS+ mm.

    NIfTI (`.nii`, `.nii.gz`, or `.hdr` and `.img`) by its sform, one line is logged where its qform says otherwise;
    FreeSurfer's MGH (`.mgh`, `.mgz`), NRRD (`.nrrd`, `.nhdr`), MetaImage (`.mha`, `.mhd`), and folders of DICOM
    files. Shear is kept. A slice in the world's x-y plane becomes 2-D. PNG, JPEG and TIFF lie where ITK puts them;
    colour is three channels, transparency is dropped. nibabel and SimpleITK images and pairs `(array, affine)` of
    numpy or torch (RAS+ mm, channels first if any) are taken as they are. NaN and infinity are let through:
    `check_pair` looks for them. Of a series (4-D), `volume` says which one is read, from 0 on. Raises `ReadError`,
    with the path, for what cannot be read, and for a series without `volume` (see `read_series`).
    """
    if isinstance(source, Image):
        return source
    if isinstance(source, Labels):
        return Image(source.data, source.grid, source.name, source.dtype)
    return image_of(formats.load(source, volume))


def read_labels(source: Source, volume: int | None = None) -> Labels:
    """The label map behind a path or object, int64 `(1, 1, i, j[, k])` with its true ids, however large.

    Reads what `read_image` reads. Raises `ReadError` also for values that are not whole numbers, and for
    colour.
    """
    if isinstance(source, Labels):
        return source
    if isinstance(source, Image):
        source = Stored(
            source.data[0].detach().cpu().numpy(), source.grid.voxel_to_world.numpy(), source.name
        )
    return labels_of(formats.load(source, volume))


def write_image(
    image: Image, path: str | os.PathLike[str], *, dtype: str | None = None, overwrite: bool = False
) -> None:
    """Write one image as `.nii`, `.nii.gz`, `.mgh`, `.mgz`, `.nrrd`, `.mha`, or if 2-D as `.png` or `.tiff`.

    It is there whole or not at all, and the same image gives the same bytes. `dtype` is a numpy name; integers are
    rounded and clipped to its range, NaN becomes 0. Without it, the image is float32, in a PNG and with three
    channels the type its own file held. Raises `OutputExists` without `overwrite`, and `WriteError` for what the
    format cannot hold (floats in a PNG, an oblique grid in a picture).
    """
    path = Path(path)
    write = formats.writer(path)
    if image.data.shape[0] != 1:
        raise UsageError(f"expected one image to write, got a batch of {image.data.shape[0]}")
    if dtype is None:
        own = path.suffix.lower() == ".png" or (image.channels == 3 and image.dtype in _WRITTEN)
        dtype = image.dtype if own else "float32"
    values = as_type(image.data[0].detach().cpu().numpy(), written_type(dtype))
    _write(write, path, values, image.grid, overwrite)


def write_labels(labels: Labels, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a label map, every id as it is, in its own file's type or a wider one where ids or the format need it.

    Raises `WriteError` where no type of the format holds every id.
    """
    path = Path(path)
    write = formats.writer(path)
    if labels.data.shape[0] != 1:
        raise UsageError(f"expected one label map to write, got a batch of {labels.data.shape[0]}")
    values = labels.data[0].detach().cpu().numpy()
    dtype = holding(values, labels.dtype, path)
    _write(write, path, values.astype(dtype), labels.grid, overwrite)


def image_of(stored: Stored, grid: Grid | None = None) -> Image:
    """What a file holds, as an image; `grid` spares making it again for every volume of a series."""
    grid = grid or grid_of(stored)
    return Image(torch.from_numpy(stored.float32())[None], grid, _short(stored), _kind(stored))


def labels_of(stored: Stored, grid: Grid | None = None) -> Labels:
    """What a file holds, as a label map; raises `ReadError` for what is none."""
    if stored.values.shape[0] != 1:
        raise ReadError(f"expected labels, and {stored.name} holds {stored.values.shape[0]} channels")
    grid = grid or grid_of(stored)
    return Labels(torch.from_numpy(stored.integers())[None], grid, _short(stored), _kind(stored))


def grid_of(stored: Stored) -> Grid:
    """Where the voxels lie; raises `ReadError`, with the path, for a matrix that makes no grid."""
    return grid_in(stored.name, stored.shape, stored.voxel_to_world)


def written_type(name: str) -> np.dtype[Any]:
    """The type of that numpy name; raises `UsageError` for one that intensities are not written in."""
    if name not in _WRITTEN:
        raise UsageError(f"expected a type among {', '.join(_WRITTEN)} to write, got {name!r}")
    return np.dtype(name)


def as_type(values: NDArray[np.float32], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Intensities in another type: integers are rounded and clipped to its range, NaN becomes 0."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    # float32 cannot hold the ends of 32-bit integers.
    wide = values.astype(np.float64) if dtype.itemsize > 2 else values
    rounded = np.clip(np.rint(wide), limits.min, limits.max)
    return np.where(np.isnan(rounded), 0, rounded).astype(dtype)


def holding(values: NDArray[np.int64], preferred: str, path: Path) -> np.dtype[Any]:
    """The preferred type if the format has it and it holds every label exactly, else the narrowest that does."""
    held = formats.holds(path)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    for name in (preferred, *_WHOLE):
        if name in held and holds_range(np.dtype(name), low, high):
            return np.dtype(name)
    raise WriteError(
        f"{path.suffix} holds labels as {', '.join(name for name in held if 'int' in name)}, and these go from"
        f" {low} to {high}; write .nii.gz"
    )


def holds_range(dtype: np.dtype[Any], low: int, high: int) -> bool:
    """Whether a type holds every whole number from `low` to `high`."""
    if dtype.kind == "f":
        reach = 2 ** np.finfo(dtype).nmant
        return bool(-reach <= low and high <= reach)
    return int(np.iinfo(dtype).min) <= low and high <= int(np.iinfo(dtype).max)


def _write(write: formats.Writer, path: Path, values: NDArray[Any], grid: Grid, overwrite: bool) -> None:
    with atomic_path(path, overwrite) as temporary:
        write(temporary, values, grid.voxel_to_world.numpy())


def _short(stored: Stored) -> str:
    return Path(stored.name).name


def _kind(stored: Stored) -> str:
    return "uint8" if stored.dtype == "bool" else stored.dtype
