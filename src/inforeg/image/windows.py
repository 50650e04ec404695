"""Sums over the window around each voxel, a few rows of an image at a time."""

from collections.abc import Iterator
from math import prod

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Voxels (times batch and channels) that are looked at in one go: on a CPU few enough that a dozen numbers for each of
# them stay in its cache, as far as the window lets them; elsewhere enough to keep the device busy.
_CPU_SLAB, _SLAB = 1 << 17, 1 << 22


def window_sums(
    values: Float[Tensor, "b c ..."], window_voxels: int, before: int, after: int
) -> Float[Tensor, "b c ..."]:
    """The sum over a cube (square in 2-D) of `window_voxels` to a side around each voxel; beyond the border is nothing.

    `before` and `after` say by how many rows the input is padded with nothing along its first spatial axis: half a
    window keeps the rows there are, less drops rows whose windows are not whole. Adds powers of two of neighbours, so
    that a window of 9 takes 4 additions along an axis, and rounding errors stay those of 4.
    """
    half = window_voxels // 2
    d = values.ndim - 2
    values = functional.pad(values, [half] * (2 * (d - 1)) + [before, after])
    for axis in range(2, d + 2):
        values = sums_along(values, axis, window_voxels)
    return values


def slabs(data: Float[Tensor, "b c ..."], halo: int) -> Iterator[tuple[int, int]]:
    """First row and row after the last of slabs of an image that are worked on one by one.

    Neighbours overlap by work for `halo` rows on either side, so no slab is thinner than four times that.
    """
    n = data.shape[2]
    row = data.shape[0] * data.shape[1] * prod(data.shape[3:])
    size = _CPU_SLAB if data.device.type == "cpu" else _SLAB
    step = max(1, 4 * halo, size // max(1, row))
    for start in range(0, n, step):
        yield start, min(start + step, n)


def sums_along(values: Tensor, axis: int, window_voxels: int) -> Tensor:
    """Sums over windows along one axis, where they fit: `window_voxels - 1` fewer than there are values."""
    window = window_voxels
    kept = values.shape[axis] - window + 1
    total: Tensor | None = None
    part, size, done = values, 1, 0
    while True:
        # `part` holds sums of `size` neighbours.
        if window & size:
            view = part.narrow(axis, done, kept)
            total = view if total is None else total + view
            done += size
        if 2 * size > window:
            assert total is not None  # a window has at least one voxel
            return total
        length = part.shape[axis] - size
        part = part.narrow(axis, 0, length) + part.narrow(axis, size, length)
        size *= 2
