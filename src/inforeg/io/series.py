"""Series of volumes (4-D files): a volume becomes an image when it is asked for, and they are written one by one."""

import os
from collections.abc import Iterable, Iterator, Sized
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import UsageError, WriteError
from inforeg.image import Image, Labels
from inforeg.io import formats
from inforeg.io.atomic import atomic_path
from inforeg.io.image_formats.outline import Outline
from inforeg.io.images import (
    Source,
    as_type,
    grid_of,
    holding,
    holds_range,
    image_of,
    labels_of,
    written_type,
)
from inforeg.io.stored import StoredSeries
from inforeg.space import Grid

Volume = Image | Labels


class Series:
    """Volumes on one grid. The memory is that of the file's values as they are stored, and of one volume.

    `len(series)` is how many there are; `series[n]` is the n-th as an `Image`, `series.labels(n)` as `Labels`.
    """

    def __init__(self, stored: StoredSeries) -> None:
        self._stored = stored
        self.grid: Grid = grid_of(stored.volume(0))

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self._stored.name).name

    @property
    def dtype(self) -> str:
        """The numpy name of the type the file holds."""
        return self._stored.volume(0).dtype

    @property
    def channels(self) -> int:
        """Channels of each volume."""
        return int(self._stored.values.shape[1])

    @property
    def step(self) -> float:
        """What lies between two volumes, in `step_unit`; 0 where the file does not say."""
        return self._stored.step

    @property
    def step_unit(self) -> str:
        """The unit of `step`, such as s or ms; "" where the file does not say."""
        return self._stored.step_unit

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, number: int) -> Image:
        return image_of(self._stored.volume(self._index(number)), self.grid)

    def __iter__(self) -> Iterator[Image]:
        return (self[number] for number in range(len(self)))

    def labels(self, number: int) -> Labels:
        """One volume as a label map with its true ids; raises `ReadError` where values are not whole numbers."""
        return labels_of(self._stored.volume(self._index(number)), self.grid)

    def _index(self, number: int) -> int:
        if not -len(self) <= number < len(self):
            raise IndexError(f"{self.name} holds volumes 0 to {len(self) - 1}, got {number}")
        return number % len(self)


def read_series(source: Source) -> Series:
    """All volumes of a 4-D file: NIfTI, NRRD, MHA or MGZ, or of a nibabel or SimpleITK image; one volume is one.

    A fifth axis of NIfTI is taken for volumes too, unless it holds vectors. Raises `ReadError` for what
    `read_image` refuses, and for displacement fields.
    """
    return Series(formats.load_series(source))


def write_series(
    volumes: Iterable[Volume],
    path: str | os.PathLike[str],
    *,
    count: int | None = None,
    step: float = 0.0,
    step_unit: str = "",
    dtype: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write volumes on one grid as one 4-D file: `.nii`, `.nii.gz`, `.mgh`, `.mgz`, `.nrrd` or `.mha`.

    It is there whole or not at all, and the same volumes give the same bytes.
    They are taken and written one by one; an iterable without a length needs its `count`. `step` is what lies
    between them, in `step_unit`; what a format cannot say of that is left out (MHA has no unit). Images are written
    in `dtype` (float32), label maps in `dtype` or the type that holds the first of them. Raises `UsageError` where
    volumes differ in grid or number, and `WriteError` for what the format or the type cannot hold.
    """
    path = Path(path)
    write = formats.series_writer(path)
    if count is None:
        if not isinstance(volumes, Sized):
            raise UsageError("expected the number of volumes (count=) for what has no length of its own")
        count = len(volumes)
    if count < 1:
        raise UsageError(f"expected at least one volume to write, got {count}")
    with atomic_path(path, overwrite) as temporary:
        rest = iter(volumes)
        first = next(rest, None)
        if first is None:
            raise UsageError(f"expected {count} volumes to write, got none")
        kind = _type(first, dtype, path)
        outline = Outline(
            first.grid.shape,
            first.grid.voxel_to_world.numpy(),
            kind,
            int(first.data.shape[1]),
            count,
            step,
            step_unit,
        )
        write(temporary, outline, _checked(chain([first], rest), first, kind, count))


def _checked(
    volumes: Iterable[Volume], first: Volume, dtype: np.dtype[Any], count: int
) -> Iterator[NDArray[Any]]:
    written = 0
    for number, volume in enumerate(volumes):
        if number >= count:
            raise UsageError(f"expected {count} volumes to write, got more")
        same = volume.grid is first.grid or volume.grid.same_as(first.grid)
        if not same or volume.data.shape != first.data.shape or volume.data.shape[0] != 1:
            raise UsageError(
                f"expected volumes of one shape on one grid, and volume {number} differs:"
                f" {tuple(volume.data.shape)}, {volume.grid} against {tuple(first.data.shape)}, {first.grid}"
            )
        yield _values(volume, dtype, number)
        written += 1
    if written < count:
        raise UsageError(f"expected {count} volumes to write, got {written}")


def _values(volume: Volume, dtype: np.dtype[Any], number: int) -> NDArray[Any]:
    values = volume.data[0].detach().cpu().numpy()
    if isinstance(volume, Image):
        return as_type(values, dtype)
    low, high = int(values.min()), int(values.max())
    if not holds_range(dtype, low, high):
        raise WriteError(
            f"{dtype.name} does not hold labels {low} to {high} of volume {number}; name a wider dtype"
        )
    return values.astype(dtype)


def _type(first: Volume, dtype: str | None, path: Path) -> np.dtype[Any]:
    if isinstance(first, Image):
        return written_type(dtype or (first.dtype if first.channels == 3 else "float32"))
    if dtype is None:
        return holding(first.data[0].detach().cpu().numpy(), first.dtype, path)
    return np.dtype(dtype) if dtype in ("int64", "uint64") else written_type(dtype)
