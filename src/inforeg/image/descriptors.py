"""Descriptors: images that look the same whatever the contrast, so that simple metrics can compare them."""

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.image.image import Image

Offset = tuple[int, ...]


def mind(image: Image, *, distance_voxels: int = 1, patch_radius_voxels: int = 1) -> Image:
    """The modality independent neighbourhood descriptor: how unlike each neighbour the patch around a voxel
    is.

    One channel per neighbour, in the order -i, +i, -j, +j (-k, +k), for each channel of the image in turn:
    `(b, 4c or 6c, *shape)`, between 0 and 1, the most similar neighbour exactly 1. Edges are repeated.
    Distances are in voxels: on strongly anisotropic grids the axes are not alike.

    Heinrich et al., MedIA 2012, with the six-neighbourhood as search region. We differ in that
    patches are cubes of equal weights and not Gaussians, and that the local variance is kept within a factor
    of 1000 of its mean over the image, so that noise in air is not blown up. Raises `UsageError` for a
    distance or radius that is none.
    """
    middle = (0,) * image.grid.ndim
    pairs = [(middle, neighbour) for neighbour in _neighbours(image.grid.ndim, distance_voxels)]
    return _describe(image, pairs, distance_voxels, patch_radius_voxels)


def mind_ssc(image: Image, *, distance_voxels: int = 2, patch_radius_voxels: int = 1) -> Image:
    """MIND of the self-similarity context: how unlike each other the neighbours of a voxel are, itself left
    out.

    One channel per pair of neighbours that are not opposite, 4 in 2-D and 12 in 3-D, ordered as the
    combinations of the neighbours of `mind`; otherwise as `mind`. It is less sensitive to noise in the voxel
    itself.

    Heinrich et al., MICCAI 2013; we differ as in `mind`. The distance of two voxels is that of
    later work with it, among it convexAdam. Raises `UsageError` for a distance or radius that is none.
    """
    neighbours = _neighbours(image.grid.ndim, distance_voxels)
    pairs = [(a, b) for a, b in combinations(neighbours, 2) if any(p + q for p, q in zip(a, b, strict=True))]
    return _describe(image, pairs, distance_voxels, patch_radius_voxels)


def _neighbours(ndim: int, distance: int) -> list[Offset]:
    return [tuple(s * distance * (a == axis) for a in range(ndim)) for axis in range(ndim) for s in (-1, 1)]


def _describe(image: Image, pairs: list[tuple[Offset, Offset]], distance: int, radius: int) -> Image:
    if distance < 1 or radius < 0:
        raise UsageError(
            f"expected a distance of at least 1 and a radius of at least 0 voxels, got {distance}, {radius}"
        )
    parts = [
        _describe_channel(channel, pairs, distance, radius) for channel in torch.split(image.data, 1, dim=1)
    ]
    return Image(torch.cat(parts, dim=1), image.grid, image.name)


def _describe_channel(data: Tensor, pairs: list[tuple[Offset, Offset]], distance: int, radius: int) -> Tensor:
    d = data.ndim - 2
    padded = functional.pad(data, [distance + radius] * (2 * d), mode="replicate")
    differences = data.new_empty((data.shape[0], len(pairs), *data.shape[2:]))
    for channel, (a, b) in enumerate(pairs):
        squared = (_shifted(padded, a, distance) - _shifted(padded, b, distance)).square_()
        differences[:, channel : channel + 1] = _patch_mean(squared, radius)
    variance = differences.mean(dim=1, keepdim=True)
    typical = variance.mean(dim=tuple(range(1, d + 2)), keepdim=True)
    # A constant image has no variance at all: its descriptor is 1 everywhere.
    smallest = (1e-3 * typical).clamp(min=torch.finfo(data.dtype).tiny)
    variance = torch.minimum(torch.maximum(variance, smallest), torch.maximum(1e3 * typical, smallest))
    differences -= differences.amin(dim=1, keepdim=True)
    return differences.div_(variance).neg_().exp_()


def _shifted(padded: Tensor, offset: Offset, distance: int) -> Tensor:
    """The image as seen from `offset` away, with `distance` less padding on every side."""
    index = [slice(distance + o, n - distance + o) for o, n in zip(offset, padded.shape[2:], strict=True)]
    return padded[(slice(None), slice(None), *index)]


def _patch_mean(values: Tensor, radius: int) -> Tensor:
    """Means over cubes, where they fit; one axis after another."""
    d = values.ndim - 2
    pool = functional.avg_pool2d if d == 2 else functional.avg_pool3d
    for axis in range(d):
        size = [1] * d
        size[axis] = 2 * radius + 1
        values = pool(values, size, stride=1)
    return values
