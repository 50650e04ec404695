"""Descriptors as a likelihood: channels that should be the same in both images, but for noise."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.descriptors import mind_ssc
from inforeg.solve.dense.told import Told

# How far from a voxel the patches lie that its descriptor compares, in voxels of the level. Two, as the descriptor has
# it by itself, leaves a quarter more error where a patient is warped.
_DISTANCE = 1


class Descriptors:
    """Channels of descriptors, compared by squares: Gaussian noise of one variance for each channel.

    The fixed channel is a straight line of the warped one, and noise; line and noise are those of least squares, over
    all that is seen. Where descriptors agree the line is nearly that of equality and this is the sum of squares over
    the variance of its noise; where they do not, a channel counts for little.

    `fixed` is `(c, *box)`; memory is that of a few such sets of channels. `nats` is `-1/2 log(1 - r^2)` of the
    correlation, the mean over channels.
    """

    def __init__(self, fixed: Float[Tensor, "c ..."], weight: Float[Tensor, "*box"]) -> None:
        self.fixed, self.weight = fixed, weight

    def __call__(self, warped: Float[Tensor, "c ..."], inside: Float[Tensor, "*box"]) -> Told:
        """What the images tell where the moving descriptors are warped so; slope and curvature `(c, *box)`."""
        seen = self.weight * inside
        total = seen.sum().clamp(min=1e-12)
        slope, curvature = torch.empty_like(warped), torch.empty_like(warped)
        nats = 0.0
        for channel, (x, y) in enumerate(zip(self.fixed, warped, strict=True)):
            x_mean, y_mean = (x * seen).sum() / total, (y * seen).sum() / total
            x, y = x - x_mean, y - y_mean
            xx, yy, xy = ((a * b * seen).sum() / total for a, b in ((x, x), (y, y), (x, y)))
            line = xy.clamp(min=0) / yy.clamp(min=1e-12)
            noise = (xx - line * xy).clamp(min=1e-4 * float(xx) + 1e-12)
            nats += 0.5 * float((xx.clamp(min=1e-12) / noise).log())
            slope[channel] = (x - line * y) * seen * (line / noise)
            curvature[channel] = seen * (line.square() / noise)
        return Told(slope, curvature, max(0.0, nats / len(warped)))

    def chance(self, samples: float) -> float:
        """What so many samples of unrelated images would seem to tell, in nats, about: one line's worth."""
        return 0.5 / max(1.0, samples)


def described(image: Image) -> Image:
    """The self-similarity context of an image."""
    return mind_ssc(image, distance_voxels=_DISTANCE)
