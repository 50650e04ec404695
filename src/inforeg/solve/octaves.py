"""An image at resolutions that halve, each scaled to the same range, as DRMIME looks at it."""

from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image, smooth
from inforeg.space import Grid

# An axis is halved as long as this many voxels are left along it.
FEWEST_VOXELS = 8


@dataclass(frozen=True, eq=False)
class Octave:
    """One resolution: intensities from 0 to 1, which were `lowest` to `lowest + width` over all channels."""

    image: Image
    lowest: float
    width: float


def octaves(image: Image, count: int) -> list[Octave]:
    """Up to `count` resolutions, fine to coarse; fewer where no axis is long enough to be halved again.

    The finest is the image after a Gaussian of one voxel. Each one after it is the one before after a Gaussian of
    two thirds of a voxel, read linearly at half as many places (rounded up) in the same field of view: scikit-image's
    `pyramid_gaussian`, but for Gaussians cut at three sigma and repeated edges. Every level is scaled by its own
    least and greatest value, over all channels. Axes are halved one by one, so that a thin stack of slices has
    coarse levels too.
    """
    level = smooth(image, image.grid.spacing_mm.tolist())
    levels = [level]
    while len(levels) < count and max(level.grid.shape) >= 2 * FEWEST_VOXELS:
        level = _halved(level)
        levels.append(level)
    return [_scaled(level) for level in levels]


def _halved(image: Image) -> Image:
    grid = image.grid
    d, chosen = grid.ndim, [n >= 2 * FEWEST_VOXELS for n in grid.shape]
    shape = [ceil(n / 2) if c else n for n, c in zip(grid.shape, chosen, strict=True)]
    sigma_mm = [2 / 3 * float(s) if c else 0.0 for s, c in zip(grid.spacing_mm, chosen, strict=True)]
    data = functional.interpolate(
        smooth(image, sigma_mm).data,
        size=shape,
        mode="bilinear" if d == 2 else "trilinear",
    )
    ratio = torch.tensor([n / k for n, k in zip(grid.shape, shape, strict=True)], dtype=torch.float64)
    matrix = grid.voxel_to_world.clone()
    matrix[:d, :d] *= ratio
    matrix[:d, d] = grid.to_world((ratio - 1) / 2)
    return Image(data, Grid(tuple(shape), matrix), image.name, image.dtype)


def _scaled(image: Image) -> Octave:
    lowest, highest = (float(v) for v in torch.aminmax(image.data))
    width = highest - lowest if highest > lowest else 1.0
    return Octave(Image((image.data - lowest) / width, image.grid, image.name, image.dtype), lowest, width)


def normalised_frame(grid: Grid, *, isotropic: bool, centres: bool = False) -> Float[Tensor, "e e"]:
    """The matrix from the world to coordinates that run from -1 to 1 through a field of view.

    They run along the grid's own axes, each with its own unit, so that a turn is none there unless the field of view
    is a cube; or, if `isotropic`, along the world's axes and in one unit, half the longest side. The ends are the
    outer faces, the same for all levels of a pyramid; with `centres` they are the centres of the outermost voxels,
    which differ from level to level, so that one matrix means different transforms there.
    """
    d = grid.ndim
    count = torch.tensor(grid.shape, dtype=torch.float64)
    lengths = (count - 1).clamp(min=1) if centres else count
    if isotropic:
        half_mm = 0.5 * float((grid.spacing_mm * lengths).max())
        frame = torch.eye(d + 1, dtype=torch.float64)
        frame[:d, :d] /= half_mm
        frame[:d, d] = -grid.centre_mm / half_mm
        return frame
    from_voxel = torch.eye(d + 1, dtype=torch.float64)
    from_voxel[:d, :d] = torch.diag(2 / lengths)
    from_voxel[:d, d] = -(count - 1) / lengths
    frame = from_voxel @ grid.world_to_voxel
    return frame
