"""What a file or object holds, before it becomes an image or a label map.

Needs no torch, so that files can be read while torch is still being imported.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError

_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True, eq=False)
class Stored:
    """Values as they lie in a file, and where they lie in the world.

    `values` is `(channels, i, j[, k])` of any real type and memory order; `voxel_to_world` is `(d+1, d+1)` in
    RAS+ mm. What the values mean is `values * slope + intercept`. `name` is what errors call it.
    """

    values: NDArray[Any]
    voxel_to_world: NDArray[np.float64]
    name: str = ""
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""
        return self.values.shape[1:]

    @property
    def dtype(self) -> str:
        """The numpy name of the type the file holds."""
        return self.values.dtype.newbyteorder("=").name

    @property
    def is_scaled(self) -> bool:
        """Whether the values mean something else than the numbers that are stored."""
        return self.slope != 1.0 or self.intercept != 0.0

    def float32(self) -> NDArray[np.float32]:
        """The intensities, `(channels, i, j[, k])` float32 with the last axis fastest.

        Values beyond float32 become infinite; whether that matters is for the check of the pair to say.
        """
        source, slope, intercept = self.values, self.slope, self.intercept
        # Small integers scale exactly enough in float32; wider types would lose digits before they are
        # scaled.
        wide: type[np.floating[Any]] = np.float32 if source.dtype.itemsize <= 2 else np.float64
        result = np.empty(source.shape, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for into, part in _slabs(result, source):
                if self.is_scaled:
                    np.add(np.multiply(part, slope, dtype=wide), intercept, out=into, casting="unsafe")
                else:
                    into[...] = part
        return result

    def integers(self) -> NDArray[np.int64]:
        """The values as labels `(channels, i, j[, k])`; raises `ReadError` where one is not an integer."""
        source = self.values
        if source.dtype.kind == "b" or (source.dtype.kind in "iu" and not self.is_scaled):
            if (
                source.dtype.kind == "u"
                and source.dtype.itemsize == 8
                and source.size
                and source.max() > _INT64.max
            ):
                raise ReadError(f"{self.name}: expected labels up to {_INT64.max}, got {source.max()}")
            result = np.empty(source.shape, np.int64)
            for into, part in _slabs(result, source):
                into[...] = part
            return result
        # A float64 holds every label up to 2**53; what is scaled or stored as a float is checked voxel by
        # voxel.
        result = np.empty(source.shape, np.int64)
        for into, part in _slabs(result, source):
            with np.errstate(over="ignore", invalid="ignore"):
                exact = part.astype(np.float64)
                if self.is_scaled:
                    exact = exact * self.slope + self.intercept
                rounded = np.rint(exact)
                wrong = ~(np.abs(exact - rounded) <= 1e-6) | (np.abs(exact) > 2.0**53)
            if wrong.any():
                raise ReadError(
                    f"{self.name}: expected labels (whole numbers), got {exact[wrong].flat[0]:g}"
                    f" among {self.dtype} values; is this an intensity image?"
                )
            into[...] = rounded
        return result


@dataclass(frozen=True, eq=False)
class StoredSeries:
    """Volumes as they lie in a file, one after the other in time or in a list; one volume is a series too.

    `values` is `(volumes, channels, i, j[, k])`; everything else is as in `Stored`. `step` is what lies between two
    volumes, in `step_unit` (0 and "" where the file does not say).
    """

    values: NDArray[Any]
    voxel_to_world: NDArray[np.float64]
    name: str = ""
    slope: float = 1.0
    intercept: float = 0.0
    step: float = 0.0
    step_unit: str = ""

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def volume(self, number: int) -> Stored:
        """One of them, from 0 on; raises `ReadError` for one that is not there."""
        if not 0 <= number < len(self):
            there = f"volumes 0 to {len(self) - 1}" if len(self) > 1 else "one volume, 0"
            raise ReadError(f"{self.name} holds {there}; got {number}")
        return Stored(self.values[number], self.voxel_to_world, self.name, self.slope, self.intercept)

    def only(self) -> Stored:
        """The one volume; raises `ReadError`, with the way out, where there are several."""
        if len(self) != 1:
            raise a_series(self.name, len(self), self.values.shape[2:])
        return self.volume(0)


def a_series(name: str, volumes: int, shape: tuple[int, ...]) -> ReadError:
    """What to say where one volume was expected and several came: the way out."""
    size = "x".join(map(str, shape))
    return ReadError(
        f"expected one volume, and {name} holds a series of {volumes} (each {size});"
        " `inforeg apply` warps every volume, read_image(..., volume=0) takes one"
    )


def _slabs(target: NDArray[Any], source: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Matching views of both, cut along the middle axis.

    Files hold the first axis fastest, tensors the last. Turning one plane at a time stays in the processor's
    cache: 8 ms for a volume of 182 x 218 x 182 where numpy's own transposition takes 14 and torch's 22.
    """
    if target.ndim < 4:
        return [(target, source)]
    return [(target[:, :, j], source[:, :, j]) for j in range(target.shape[2])]
