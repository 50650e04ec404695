"""Images that are in memory already: of nibabel, of SimpleITK, or an array with its affine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.stored import Stored, StoredSeries


def read(source: Any) -> Stored:
    """Values and place of a nibabel image, a SimpleITK image, or a pair `(array, affine)`.

    In a pair, the array is numpy or torch, `(i, j[, k])` or `(channels, i, j[, k])`, and the affine is its
    `(d+1, d+1)` voxel-to-world matrix in RAS+ mm, as nibabel's. Raises `ReadError` for anything else, and for a
    series.
    """
    if _library(source) == "SimpleITK":
        from inforeg.io.image_formats.pictures import from_sitk

        return from_sitk(source, "the SimpleITK image")
    return read_series(source).only()


def read_series(source: Any) -> StoredSeries:
    """All volumes of what `read` takes, and of 4-D images; anything else is a series of one."""
    if _library(source) == "SimpleITK":
        from inforeg.io.image_formats.pictures import series_from_sitk

        return series_from_sitk(source, "the SimpleITK image")
    if hasattr(source, "affine") and hasattr(source, "dataobj"):
        return _of_nibabel(source)
    if isinstance(source, tuple | list) and len(source) == 2:
        pair = _pair(*source)
        return StoredSeries(pair.values[None], pair.voxel_to_world, pair.name)
    raise ReadError(
        "expected a path, a nibabel or SimpleITK image, or a pair (array, affine), "
        f"got {type(source).__module__}.{type(source).__qualname__}"
    )


def _library(source: Any) -> str:
    return type(source).__module__.split(".")[0]


def _of_nibabel(source: Any) -> StoredSeries:
    from inforeg.io.image_formats.layout import flatten
    from inforeg.io.image_formats.nifti import axes_of

    name, step, intent = "the nibabel image", 0.0, 0
    values: Any = _numeric(source.dataobj, name)
    if values.size == 0:
        raise ReadError(f"expected at least one voxel along every axis, and {name} has shape {values.shape}")
    if hasattr(source.header, "get_intent"):
        intent = int(source.header["intent_code"])
    axes, sizes, what = axes_of(list(values.shape), intent, values.dtype.name in ("uint8", "uint16"), name)
    if what:
        size = "x".join(map(str, sizes))
        raise ReadError(f"expected one volume, and {name} holds {what} of {size}; give it as a transform")
    if axes == "ijkt":
        zooms: Any = source.header.get_zooms() if hasattr(source.header, "get_zooms") else ()
        step = float(str(zooms[3])) if len(zooms) > 3 and np.isfinite(zooms[3]) and zooms[3] > 0 else 0.0
    values = values.reshape(sizes if len(sizes) == 4 else (*sizes, 1), order="A").transpose(3, 0, 1, 2)
    values = values[None] if axes == "ijkc" else values[:, None]
    values, affine = flatten(values, np.asarray(source.affine, np.float64))
    return StoredSeries(values, affine, name, step=step)


def _pair(array: Any, affine: Any) -> Stored:
    values, matrix = _numeric(array, "the array"), _numeric(affine, "the affine").astype(np.float64)
    d = matrix.shape[0] - 1
    if d not in (2, 3) or matrix.shape != (d + 1, d + 1) or values.ndim not in (d, d + 1):
        raise ReadError(
            "expected an array of 2 or 3 axes (or channels and these) and its 3x3 or 4x4 affine, "
            f"got shapes {values.shape} and {matrix.shape}"
        )
    return Stored(values if values.ndim == d + 1 else values[None], matrix, "the array")


def _numeric(array: Any, name: str) -> NDArray[Any]:
    if hasattr(array, "detach"):  # a tensor of torch, on any device
        array = array.detach().cpu().numpy()
    values: NDArray[Any] = np.asanyarray(array)
    if values.dtype.kind not in "iufb":
        raise ReadError(f"expected real values in {name}, got {values.dtype.name}")
    return values
