"""Descriptors: images that look the same whatever the contrast, so that simple metrics can compare them."""

from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.image.image import Image
from inforeg.image.windows import slabs, sums_along

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
    d = image.grid.ndim
    pairs = tuple(((0,) * d, neighbour) for neighbour in _neighbours(d, distance_voxels))
    return _describe(image, Comparisons(pairs, distance_voxels, patch_radius_voxels))


def mind_ssc(image: Image, *, distance_voxels: int = 2, patch_radius_voxels: int = 1) -> Image:
    """MIND of the self-similarity context: how unlike each other the neighbours of a voxel are, itself left
    out.

    One channel per pair of neighbours that are not opposite, 4 in 2-D and 12 in 3-D, ordered as the
    combinations of the neighbours of `mind`; otherwise as `mind`. It is less sensitive to noise in the voxel
    itself.

    Heinrich et al., MICCAI 2013; we differ as in `mind`. The distance of two voxels is that of
    later work with it, among it convexAdam. Raises `UsageError` for a distance or radius that is none.
    """
    return _describe(image, Comparisons.of_context(image.grid.ndim, distance_voxels, patch_radius_voxels))


@dataclass(frozen=True)
class Comparisons:
    """Which patches a descriptor compares: pairs of offsets from each voxel, one channel for each of them.

    Raises `UsageError` for a distance or radius that is none.
    """

    pairs: tuple[tuple[Offset, Offset], ...]
    distance_voxels: int
    radius_voxels: int

    def __post_init__(self) -> None:
        if self.distance_voxels < 1 or self.radius_voxels < 0:
            raise UsageError(
                f"expected a distance of at least 1 and a radius of at least 0 voxels, got {self.distance_voxels}, "
                f"{self.radius_voxels}"
            )

    @classmethod
    def of_context(cls, ndim: int, distance_voxels: int, radius_voxels: int) -> "Comparisons":
        """Those of `mind_ssc`."""
        pairs = [
            (a, b)
            for a, b in combinations(_neighbours(ndim, distance_voxels), 2)
            if any(p + q for p, q in zip(a, b, strict=True))
        ]
        return cls(tuple(pairs), distance_voxels, radius_voxels)

    @property
    def reach(self) -> int:
        """How many voxels away what a descriptor depends on may lie, along each axis."""
        return self.distance_voxels + self.radius_voxels

    def rows(self, start: int, end: int, count: int) -> list[int]:
        """The rows of an image of `count` rows that some rows of a descriptor depend on; edges are repeated."""
        return [min(max(row, 0), count - 1) for row in range(start - self.reach, end + self.reach)]

    def distances(self, data: Float[Tensor, "b 1 ..."]) -> Float[Tensor, "b p ..."]:
        """How unlike the patches of each pair are: the mean of their squared differences, differentiable.

        `data` holds `rows` of an image, so that of its first axis `2 reach` fewer come out.
        """
        return _patch_mean(torch.cat(self._squared_differences(data), dim=1), self.radius_voxels)

    def variance(self, data: Float[Tensor, "b 1 ..."]) -> Float[Tensor, "b 1 ..."]:
        """The mean of `distances` over the pairs, without computing each of them."""
        total = torch.zeros(())
        for squared in self._squared_differences(data):
            total = total + squared
        return _patch_mean(total / len(self.pairs), self.radius_voxels)

    def _squared_differences(self, data: Tensor) -> list[Tensor]:
        padded = functional.pad(data, [self.reach] * (2 * (data.ndim - 3)) + [0, 0], mode="replicate")
        d = self.distance_voxels
        return [(_shifted(padded, a, d) - _shifted(padded, b, d)).square() for a, b in self.pairs]


def similarities(
    distances: Float[Tensor, "b p ..."], typical: Float[Tensor, " b"]
) -> Float[Tensor, "b p ..."]:
    """Descriptors from the distances of patches and their mean over the image, which counts as a constant."""
    typical = typical.reshape(-1, *[1] * (distances.ndim - 1))
    variance = distances.mean(dim=1, keepdim=True)
    # A constant image has no variance at all: its descriptor is 1 everywhere.
    smallest = (1e-3 * typical).clamp(min=torch.finfo(distances.dtype).tiny)
    variance = torch.minimum(torch.maximum(variance, smallest), torch.maximum(1e3 * typical, smallest))
    similar: Tensor = ((distances.amin(dim=1, keepdim=True) - distances) / variance).exp()
    return similar


def _neighbours(ndim: int, distance: int) -> list[Offset]:
    return [tuple(s * distance * (a == axis) for a in range(ndim)) for axis in range(ndim) for s in (-1, 1)]


def _describe(image: Image, compared: Comparisons) -> Image:
    data, count = image.data, len(compared.pairs)
    described = data.new_empty((data.shape[0], data.shape[1] * count, *data.shape[2:]))
    for channel in range(data.shape[1]):
        part = described[:, channel * count : (channel + 1) * count]
        for start, end in slabs(part, compared.reach):
            rows = compared.rows(start, end, data.shape[2])
            part[:, :, start:end] = compared.distances(data[:, channel : channel + 1, rows])
        typical = part.mean(dim=1, keepdim=True).flatten(1).mean(dim=1)
        for start, end in slabs(part, 0):
            part[:, :, start:end] = similarities(part[:, :, start:end], typical)
    return Image(described, image.grid, image.name)


def _shifted(padded: Tensor, offset: Offset, distance: int) -> Tensor:
    """The image as seen from `offset` away, with `distance` less padding on every side."""
    index = [slice(distance + o, n - distance + o) for o, n in zip(offset, padded.shape[2:], strict=True)]
    return padded[(slice(None), slice(None), *index)]


def _patch_mean(values: Tensor, radius: int) -> Tensor:
    """Means over cubes, where they fit."""
    size = 2 * radius + 1
    for axis in range(2, values.ndim):
        values = sums_along(values, axis, size)
    return values / float(size ** (values.ndim - 2))
