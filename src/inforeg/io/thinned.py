"""Images too large for the memory there is: read as they are stored, and thinned a part at a time."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import torch
from torch import Tensor

from inforeg.image import Image, Labels
from inforeg.image.filters import downsample
from inforeg.io import formats
from inforeg.io.images import Source, grid_of, image_of, read_image
from inforeg.space import Grid

# Values that are turned to intensities at a time.
_PART = 1 << 20


def read_thinned(source: Source, factors: Sequence[int]) -> Image:
    """The image behind a path or object, thinned by a whole factor along each axis, as `downsample` does it.

    The whole image is in memory only as it is stored: intensities are made and thinned a part at a time, which gives
    the same as thinning them at once. Raises `ReadError` as `read_image` does.
    """
    if isinstance(source, Image | Labels):
        return downsample(read_image(source), factors)
    nearly = _thinned_but_last(source, factors)
    return downsample(nearly, (*(1 for _ in factors[1:]), factors[-1]))


def _thinned_but_last(source: Source, factors: Sequence[int]) -> Image:
    """Thinned along all axes but the last one, which is cut into parts."""
    stored = formats.load(source)
    grid = grid_of(stored)
    others = (*factors[:-1], 1)
    step = max(1, _PART // prod(stored.values.shape[:-1]))
    data: Tensor | None = None
    for start in range(0, stored.shape[-1], step):
        values = stored.values[..., start : start + step]
        # Where the last axis starts plays no part in thinning the others.
        part = downsample(
            image_of(replace(stored, values=values), Grid(values.shape[1:], grid.voxel_to_world)), others
        )
        if data is None:
            data = torch.empty((*part.data.shape[:-1], stored.shape[-1]))
            first = part
        data[..., start : start + step] = part.data
    assert data is not None
    return Image(data, Grid(tuple(data.shape[2:]), first.grid.voxel_to_world), first.name, first.dtype)
