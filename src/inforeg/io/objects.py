"""Images that are in memory already: of nibabel, of SimpleITK, or an array with its affine."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.stored import Stored


def read(source: Any) -> Stored:
    """Values and place of a nibabel image, a SimpleITK image, or a pair `(array, affine)`.

    In a pair, the array is numpy or torch, `(i, j[, k])` or `(channels, i, j[, k])`, and the affine is its
    `(d+1, d+1)` voxel-to-world matrix in RAS+ mm, as nibabel's. Raises `ReadError` for anything else.
    """
    library = type(source).__module__.split(".")[0]
    if library == "SimpleITK":
        from inforeg.io.image_formats.pictures import from_sitk

        return from_sitk(source, "the SimpleITK image")
    if hasattr(source, "affine") and hasattr(source, "dataobj"):
        from inforeg.io.image_formats.nifti import flatten

        values = _numeric(source.dataobj, "the nibabel image")
        while values.ndim > 3 and values.shape[-1] == 1:
            values = values[..., 0]
        if values.ndim not in (2, 3):
            raise ReadError(
                f"expected one volume, and the nibabel image has shape {values.shape}; give one of it"
            )
        affine = np.asarray(source.affine, np.float64)
        if values.ndim == 2:
            values = values[..., None]
        values, affine = flatten(values[None], affine)
        return Stored(values, affine, "the nibabel image")
    if isinstance(source, tuple | list) and len(source) == 2:
        return _pair(*source)
    raise ReadError(
        "expected a path, a nibabel or SimpleITK image, or a pair (array, affine), "
        f"got {type(source).__module__}.{type(source).__qualname__}"
    )


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
