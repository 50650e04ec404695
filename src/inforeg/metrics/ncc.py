"""Normalised cross-correlation of whole images."""

from typing import ClassVar, final

import torch
from torch import Tensor

from inforeg.metrics.metric import Metric, paired_channels, weighted_mean
from inforeg.settings import Settings


class NCCSettings(Settings):
    """See `NCC`."""

    squared: bool


@final
class NCC(Metric):
    """Minus Pearson's correlation of intensities, averaged over channels.

    It is -1 when one image is the other, scaled and shifted. `squared` takes minus its square instead, for
    contrasts that may be inverted. Where an image does not vary, the correlation is taken as zero, and so is
    its gradient. `neutral` is zero.
    """

    symmetric: ClassVar[bool] = True
    across_contrasts: ClassVar[bool] = False

    def __init__(self, *, squared: bool = False) -> None:
        super().__init__()
        self.settings = NCCSettings(squared=squared)
        self.squared = squared

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        return fixed.new_zeros(fixed.shape[0])

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        paired_channels(fixed, warped, "NCC")
        x = fixed - weighted_mean(fixed, weight)[..., None]
        y = warped - weighted_mean(warped, weight)[..., None]
        xx, yy = weighted_mean(x * x, weight), weighted_mean(y * y, weight)
        varies = (xx > rounding(fixed, weight)) & (yy > rounding(warped, weight))
        # The inner `where` keeps the root's infinite slope at zero out of the gradient.
        scale = torch.where(varies, xx * yy, 1.0).sqrt()
        correlation = torch.where(varies, weighted_mean(x * y, weight) / scale, 0.0)
        return -(correlation.square() if self.squared else correlation).mean(dim=1)


def rounding(values: Tensor, weight: Tensor) -> Tensor:
    """The variance, `(b, c)`, that rounding alone gives to an image that is constant."""
    error = 16 * torch.finfo(values.dtype).eps
    return (error**2 * weighted_mean(values.square(), weight)).detach()
