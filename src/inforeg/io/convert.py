"""The same voxels in another file: no value is interpolated, and none changes where the format can hold it."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import WriteError
from inforeg.io import formats
from inforeg.io.atomic import atomic_path
from inforeg.io.image_formats.outline import Outline
from inforeg.io.images import grid_of
from inforeg.io.stored import Stored


def convert_image(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    volume: int | None = None,
    overwrite: bool = False,
) -> None:
    """Write the voxels of an image, a label map or a series to another format, with their type and place.

    `volume` takes one volume out of a series. Values that a header scales (NIfTI's slope, DICOM's rescaling) become
    float32. Raises `WriteError` for a type of values the format does not hold: nothing is rounded or clipped.
    """
    path = Path(path)
    series = formats.load_series(source)
    if volume is not None or len(series) == 1:
        stored = series.volume(volume or 0)
        write = formats.writer(path)
        values = _values(stored, path)
        with atomic_path(path, overwrite) as temporary:
            write(temporary, values, grid_of(stored).voxel_to_world.numpy())
        return
    write_series = formats.series_writer(path)
    first = series.volume(0)
    outline = Outline(
        first.shape,
        grid_of(first).voxel_to_world.numpy(),
        _values(first, path).dtype,
        first.values.shape[0],
        len(series),
        series.step,
        series.step_unit,
    )
    with atomic_path(path, overwrite) as temporary:
        write_series(temporary, outline, (_values(series.volume(n), path) for n in range(len(series))))


def _values(stored: Stored, path: Path) -> NDArray[Any]:
    if stored.is_scaled:
        return stored.float32()
    values = stored.values.astype(np.uint8) if stored.values.dtype == bool else stored.values
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.name not in formats.holds(path):
        raise WriteError(
            f"{path.suffix} holds {', '.join(formats.holds(path))}, and {stored.name} holds {values.dtype.name};"
            " write .nii.gz"
        )
    return values
