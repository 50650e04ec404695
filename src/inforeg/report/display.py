"""Make volumes small enough to travel inside a page: block means, grey levels, axis order."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DISPLAY_LONGEST = {2: 1024, 3: 128}


def display_factors(shape: tuple[int, ...], spacing_mm: tuple[float, ...], longest: int) -> tuple[int, ...]:
    """How many voxels along each axis are averaged into one so that no axis is longer than `longest`.

    The blocks are as near to cubes in mm as whole voxels allow: thick slices are kept when the pixels within
    them are averaged. `shape` is the spatial shape (d,), `spacing_mm` (d,). Raises `ValueError` when
    `longest` < 1.
    """
    if longest < 1:
        raise ValueError(f"longest must be at least 1 voxel, got {longest}")
    finest_mm = min(spacing_mm)
    coarse = 1
    while True:
        factors = tuple(
            min(n, max(1, math.floor(coarse * finest_mm / s + 0.5)))
            for n, s in zip(shape, spacing_mm, strict=True)
        )
        if all(math.ceil(n / f) <= longest for n, f in zip(shape, factors, strict=True)):
            return factors
        coarse += 1


def reduce_for_display(
    array: ArrayLike,
    longest: int,
    spacing_mm: tuple[float, ...] | None = None,
) -> tuple[NDArray[Any], tuple[float, ...]]:
    """Average blocks of voxels until no axis is longer than `longest`; returns the array and its spacing.

    `array` is (i, j[, k]) or, when `spacing_mm` has fewer entries than the array has axes, (i, j[, k],
    channel); channels are kept. A torch tensor on the CPU is taken as it is. Without `spacing_mm` all axes
    count as spatial, 1 mm apart. Blocks at the far edge hold what is left. Integers come back as float32
    unless nothing was averaged. Raises `ValueError` when array and spacing do not fit.
    """
    values = np.asarray(array)
    spacing_mm = (1.0,) * values.ndim if spacing_mm is None else spacing_mm
    if values.ndim not in (len(spacing_mm), len(spacing_mm) + 1):
        raise ValueError(f"an array of shape {values.shape} does not fit {len(spacing_mm)} spacings in mm")
    ndim = len(spacing_mm)
    factors = display_factors(values.shape[:ndim], spacing_mm, longest)
    # The slowest axis in memory first: those sums run over contiguous rows and leave less for the other axes.
    for axis in sorted(range(ndim), key=lambda a: -abs(values.strides[a])):
        values = _block_mean(values, axis, factors[axis])
    return values, tuple(s * f for s, f in zip(spacing_mm, factors, strict=True))


def _block_mean(values: NDArray[Any], axis: int, factor: int) -> NDArray[Any]:
    if factor == 1:
        return values
    size = values.shape[axis]
    whole = size // factor * factor

    def along(part: slice) -> tuple[slice, ...]:
        return (slice(None),) * axis + (part,)

    kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float32)
    total = values[along(slice(0, whole, factor))].astype(kind)
    for start in range(1, factor):
        total += values[along(slice(start, whole, factor))]
    total *= kind.type(1 / factor)
    if whole == size:
        return total
    rest = values[along(slice(whole, size))].mean(axis=axis, keepdims=True, dtype=kind)
    return np.concatenate((total, rest), axis=axis)


def to_bytes(arrays: list[NDArray[Any]]) -> list[NDArray[np.uint8]]:
    """Map intensities to 0..255 with one window shared by all `arrays`; NaN becomes 0.

    The window runs from the 0.5th percentile to the 99.5th of what lies above it, so that a large empty
    background does not eat the contrast. Arrays that are uint8 already are left alone: a picture keeps its
    colours.
    """
    if all(a.dtype == np.uint8 for a in arrays):
        return [np.asarray(a, dtype=np.uint8) for a in arrays]
    seen = np.concatenate([_some_finite(a) for a in arrays])
    if seen.size == 0:
        return [np.zeros(a.shape, np.uint8) for a in arrays]
    low = float(np.percentile(seen, 0.5))
    above = seen[seen > low]
    high = float(np.percentile(above, 99.5)) if above.size else low
    if not high > low:
        return [np.zeros(a.shape, np.uint8) for a in arrays]
    scale = 255.0 / (high - low)
    grey = []
    for a in arrays:
        # Values beyond float32 become infinite and are clipped like all that is brighter than the window.
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = a.astype(np.float32)
            scaled -= np.float32(low)
            scaled *= np.float32(scale)
        scaled += np.float32(0.5)
        np.clip(scaled, 0.0, 255.0, out=scaled)
        # One pass over a flag is cheaper than replacing values everywhere: files with NaN are rare.
        if not np.isfinite(scaled.sum(dtype=np.float64)):
            np.nan_to_num(scaled, copy=False)
        grey.append(scaled.astype(np.uint8))
    return grey


def _some_finite(values: NDArray[Any], most: int = 60_000) -> NDArray[Any]:
    flat = values.ravel(order="K")
    # An odd stride that shares no factor with common row lengths does not fall on the same column every time.
    step = max(1, flat.size // most) | 1
    some = flat[::step].astype(np.float64)
    return some[np.isfinite(some)]


def joint_histogram(first: NDArray[np.uint8], second: NDArray[np.uint8], bins: int = 64) -> NDArray[np.int64]:
    """Count voxels by their grey levels in two images: (bins, bins), rows `first`, columns `second`.

    Both arrays are uint8 of the same spatial shape; colour (last axis of 3 where the shapes differ from a
    grey image) must be averaged before. `bins` divides 256.
    """
    width = 256 // bins
    if first.shape != second.shape:
        raise ValueError(f"images of shapes {first.shape} and {second.shape} are not on one grid")
    cell = (first.ravel() // width).astype(np.int32)
    cell *= bins
    cell += second.ravel() // width
    return np.bincount(cell, minlength=bins * bins).reshape(bins, bins)


def to_ras_axes(array: NDArray[Any], voxel_to_world: ArrayLike) -> tuple[NDArray[Any], tuple[float, ...]]:
    """Reorder and flip the axes of an image so that they increase nearest to right, anterior (, superior).

    `array` is (i, j[, k][, channel]); `voxel_to_world` is (d+1, d+1) in RAS+ mm. Oblique images are not
    resampled: each axis goes to the world direction it is nearest to, all being used once. Returns a view
    and its spacing in mm.
    """
    columns = np.asarray(voxel_to_world, dtype=np.float64)[:-1, :-1]
    ndim = len(columns)
    voxel_axis, flipped = ras_order(voxel_to_world)
    turned = array.transpose(*voxel_axis, *range(ndim, array.ndim))
    flips = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
    spacing_mm = np.linalg.norm(columns, axis=0)
    return turned[flips], tuple(float(spacing_mm[v]) for v in voxel_axis)


def ras_order(voxel_to_world: ArrayLike) -> tuple[list[int], list[bool]]:
    """For right, anterior (and superior): the voxel axis nearest to it, each used once, and whether it runs against it.

    `voxel_to_world` is (d+1, d+1) in RAS+ mm.
    """
    columns = np.asarray(voxel_to_world, dtype=np.float64)[:-1, :-1]
    nearness = np.abs(columns / np.linalg.norm(columns, axis=0))
    voxel_axis = [0] * len(columns)
    for _ in voxel_axis:
        world, voxel = (int(n) for n in np.unravel_index(int(nearness.argmax()), nearness.shape))
        voxel_axis[world] = voxel
        nearness[world, :] = -1.0
        nearness[:, voxel] = -1.0
    return voxel_axis, [bool(columns[w, v] < 0) for w, v in enumerate(voxel_axis)]


def for_display(
    arrays: Sequence[ArrayLike],
    voxel_to_world: ArrayLike,
    longest: int | None = None,
) -> tuple[list[NDArray[Any]], tuple[float, ...]]:
    """Reduce images that share one grid, and turn their axes the way `ReportData` wants them.

    `arrays` are (i, j[, k][, channel]) on the grid of `voxel_to_world` (d+1, d+1), RAS+ mm. `longest`
    defaults to 128 voxels for volumes and 1024 pixels for pictures. Volumes get RAS axes; 2-D images are
    turned as a radiologist sees them, left to the right and posterior down, which leaves a picture as it is
    read from its file. Returns the arrays and their common spacing in mm.
    """
    matrix = np.asarray(voxel_to_world, dtype=np.float64)
    ndim = matrix.shape[0] - 1
    spacing_mm = tuple(float(s) for s in np.linalg.norm(matrix[:ndim, :ndim], axis=0))
    longest = DISPLAY_LONGEST[ndim] if longest is None else longest
    ready, turned_mm = [], spacing_mm
    for array in arrays:
        small, small_mm = reduce_for_display(array, longest, spacing_mm)
        small_voxel_to_world = matrix.copy()
        small_voxel_to_world[:ndim, :ndim] *= np.asarray(small_mm) / np.asarray(spacing_mm)
        turned, turned_mm = to_ras_axes(small, small_voxel_to_world)
        ready.append(turned if ndim == 3 else turned[::-1, ::-1])
    return ready, turned_mm
