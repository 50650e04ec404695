"""The difference of two images' self-similarity descriptors."""

from typing import Annotated, ClassVar, final

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from inforeg.image.descriptors import Comparisons, similarities
from inforeg.image.windows import slabs
from inforeg.metrics.at_once import Slopes, with_slopes
from inforeg.metrics.metric import Metric, paired_channels
from inforeg.settings import Settings


class MINDSSCSettings(Settings):
    """See `MINDSSC`."""

    distance_voxels: Annotated[int, Field(ge=1)]
    patch_radius_voxels: Annotated[int, Field(ge=0)]


@final
class MINDSSC(Metric):
    """Mean squared difference of the descriptors `mind_ssc` of both images, over voxels and channels.

    Works on whole images `(b, c, *shape)`, of any two contrasts whose edges and textures are at the same places, and
    describes both of them (Heinrich et al., MICCAI 2013). Who compares one image many times describes it once, with
    `inforeg.image.descriptors`, and takes `MSE`: this metric is for images that change in more than their place, and
    for exact gradients by intensities.

    What a voxel's differences are divided by is kept within a factor of 1000 of its mean over the image; that mean is
    taken where there is weight, and counts as a constant in the gradient, which is exact but for that. At the edge of
    a mask both images seem to end in zero. The gradient is computed along with the value, a few rows at a time: beyond
    the images, memory is one volume for each of them that is to have one. `neutral` is the variance of the fixed
    image's descriptor: what its own mean would cost. Raises `UsageError` where the numbers of channels differ.
    """

    on_grids: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True
    across_contrasts: ClassVar[bool] = True

    def __init__(self, *, distance_voxels: int = 2, patch_radius_voxels: int = 1) -> None:
        super().__init__()
        self.settings: MINDSSCSettings = MINDSSCSettings(
            distance_voxels=distance_voxels, patch_radius_voxels=patch_radius_voxels
        )

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        fixed, _, weight = self._prepare(fixed, fixed, weight)
        compared = self._compared(fixed)
        costs = []
        with torch.no_grad():
            for channel in torch.split(fixed, 1, dim=1):
                typical, total = _typical(channel, weight, compared), _total(weight)
                first = second = fixed.new_zeros(())
                for start, end in slabs(channel, compared.reach):
                    rows = compared.rows(start, end, channel.shape[2])
                    described = similarities(compared.distances(channel[:, :, rows]), typical)
                    w = weight[:, None, start:end]
                    first = first + (w * described).flatten(2).sum(dim=2)
                    second = second + (w * described.square()).flatten(2).sum(dim=2)
                mean = first / total[:, None]
                costs.append((second / total[:, None] - mean.square()).clamp(min=0).mean(dim=1))
        return torch.stack(costs).mean(dim=0)

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        paired_channels(fixed, warped, "MINDSSC")
        compared = self._compared(fixed)

        def compute(slopes: Slopes, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
            return _difference(slopes, fixed, warped, weight, compared)

        pairs = zip(torch.split(fixed, 1, dim=1), torch.split(warped, 1, dim=1), strict=True)
        return torch.stack([with_slopes(compute, x, y, weight) for x, y in pairs]).mean(dim=0)

    def _compared(self, image: Tensor) -> Comparisons:
        s = self.settings
        return Comparisons.of_context(image.ndim - 2, s.distance_voxels, s.patch_radius_voxels)


def _total(weight: Tensor) -> Tensor:
    total = weight.flatten(1).sum(dim=1)
    return torch.where(total > 0, total, 1.0)


def _typical(
    image: Float[Tensor, "b 1 ..."], weight: Float[Tensor, "b ..."], compared: Comparisons
) -> Float[Tensor, " b"]:
    """The mean distance of patches, over pairs and over the voxels that have weight."""
    summed = image.new_zeros(image.shape[0])
    for start, end in slabs(image, compared.reach):
        variance = compared.variance(image[:, :, compared.rows(start, end, image.shape[2])])[:, 0]
        summed += (weight[:, start:end] * variance).flatten(1).sum(dim=1)
    return summed / _total(weight)


def _difference(
    slopes: Slopes, fixed: Tensor, warped: Tensor, weight: Tensor, compared: Comparisons
) -> Tensor:
    """The mean squared difference of two images `(b, 1, ...)`, as `with_slopes` wants it."""
    images = (fixed, warped)
    typical = [_typical(image, weight, compared) for image in images]
    total = _total(weight).reshape(-1, *[1] * (weight.ndim - 1))
    of_weight = slopes[2]
    value = fixed.new_zeros(fixed.shape[0])
    for start, end in slabs(fixed, compared.reach):
        rows = torch.tensor(compared.rows(start, end, fixed.shape[2]), device=fixed.device)
        parts = [image.index_select(2, rows) for image in images]
        leaves = []
        for part, slope in zip(parts, slopes, strict=False):
            if slope is not None:
                leaves.append(part.requires_grad_())
        with torch.set_grad_enabled(bool(leaves)):
            first, second = (
                similarities(compared.distances(part), mean)
                for part, mean in zip(parts, typical, strict=True)
            )
            squared = (first - second).square().mean(dim=1)
            cost = (weight[:, start:end] / total * squared).flatten(1).sum(dim=1)
        value += cost.detach()
        if of_weight is not None:
            of_weight[:, start:end] += squared.detach() / total
        found = iter(torch.autograd.grad(cost, leaves, torch.ones_like(cost)) if leaves else ())
        for slope in slopes[:2]:
            if slope is not None:
                slope.index_add_(2, rows, next(found))
    if of_weight is not None:
        of_weight -= value.reshape(total.shape) / total
    return value
