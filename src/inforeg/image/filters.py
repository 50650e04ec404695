"""Smoothing and thinning that respect millimetres and do not alias."""

from collections.abc import Sequence
from math import ceil, exp

import torch
from torch import Tensor

from inforeg.image.image import Image
from inforeg.space import Grid


def smooth(image: Image, sigma_mm: float | Sequence[float]) -> Image:
    """Gaussian smoothing with a standard deviation in mm (one, or one per axis); edges are repeated."""
    d = image.grid.ndim
    sigmas = [float(sigma_mm)] * d if isinstance(sigma_mm, int | float) else [float(s) for s in sigma_mm]
    data = image.data
    for axis in range(d):
        sigma = sigmas[axis] / float(image.grid.spacing_mm[axis])
        if sigma > 0.05 and data.shape[axis + 2] > 1:
            data = _filter_axis(data, axis + 2, _gaussian(sigma), stride=1, first=0)
    return Image(data, image.grid, image.name, image.dtype)


def downsample(image: Image, factors: Sequence[int]) -> Image:
    """Every `factor`-th voxel of the image after a Gaussian that leaves nothing the coarser grid cannot hold.

    The Gaussian's standard deviation is `0.5 sqrt(factor^2 - 1)` voxels: an image whose voxels already average half
    a voxel's width comes out averaged over half of the new one. The new grid's voxels are centred on the old field
    of view, so nothing shifts.
    """
    data = image.data
    matrix = image.grid.voxel_to_world.clone()
    d = image.grid.ndim
    offset = torch.zeros(d, dtype=torch.float64)
    for axis, factor in enumerate(factors):
        n = data.shape[axis + 2]
        count = ceil(n / factor)
        if factor <= 1 or n == 1:
            continue
        # The kept voxels lie symmetrically; half-voxel remainders are read between voxels by the kernel itself.
        start = (n - 1 - (count - 1) * factor) / 2
        first = int(start // 1)
        kernel = _gaussian(0.5 * (factor**2 - 1) ** 0.5, shift=start - first)
        data = _filter_axis(data, axis + 2, kernel, stride=factor, first=first, count=count)
        offset[axis] = start
        matrix[:d, axis] *= factor
    matrix[:d, d] = image.grid.to_world(offset)
    return Image(data.contiguous(), Grid(tuple(data.shape[2:]), matrix), image.name, image.dtype)


def factors_for(grid: Grid, spacing_mm: float) -> list[int]:
    """By how much each axis can be thinned so that no spacing exceeds `spacing_mm` (by more than a fifth)."""
    return [max(1, int(spacing_mm * 1.2 / float(s))) for s in grid.spacing_mm]


def _gaussian(sigma: float, shift: float = 0.0) -> list[tuple[int, float]]:
    """Taps `(offset, weight)` of a Gaussian centred `shift` voxels to the right, cut at three sigma."""
    reach = max(1, ceil(3 * sigma))
    taps = [(o, exp(-0.5 * ((o - shift) / sigma) ** 2)) for o in range(-reach, reach + 2)]
    taps = [(o, w) for o, w in taps if w > 1e-3]
    total = sum(w for _, w in taps)
    return [(o, w / total) for o, w in taps]


def _filter_axis(
    data: Tensor,
    axis: int,
    kernel: list[tuple[int, float]],
    stride: int,
    first: int,
    count: int | None = None,
) -> Tensor:
    """Sum of shifted, strided views: only the voxels that are kept are ever computed."""
    n = data.shape[axis]
    count = n if count is None else count
    low = min(o for o, _ in kernel)
    high = max(o for o, _ in kernel)
    before = max(0, -(first + low))
    after = max(0, first + (count - 1) * stride + high - (n - 1))
    if before or after:
        head = data.narrow(axis, 0, 1)
        tail = data.narrow(axis, n - 1, 1)
        size = list(data.shape)
        pieces = []
        if before:
            size[axis] = before
            pieces.append(head.expand(size))
        pieces.append(data)
        if after:
            size[axis] = after
            pieces.append(tail.expand(size))
        data = torch.cat(pieces, dim=axis)
    result: Tensor | None = None
    for offset, weight in kernel:
        begin = first + offset + before
        index = [slice(None)] * data.ndim
        index[axis] = slice(begin, begin + (count - 1) * stride + 1, stride)
        view = data[tuple(index)]
        result = view * weight if result is None else result.add_(view, alpha=weight)
    assert result is not None
    return result
