"""Local correlation as a likelihood: in every window one image is a straight line of the other, and noise."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image.windows import slabs, sums_along
from inforeg.solve.dense.tables import BINS
from inforeg.solve.dense.told import Told

# Variance, in squared bins, that is added to each image's in a window: none is so flat, or so like the other.
_FLAT = 2e-4 * BINS**2
# Voxels of which a window has to see more, as a share.
_LEAST_SEEN = 0.1


class LocalCorrelation:
    """Gaussian mutual information in the window about every voxel: `-1/2 log(1 - r^2)`, of its correlation `r`.

    In a window the warped image is a straight line of the fixed one, up or down, and noise. The slope of the sum over
    all windows, by a warped intensity, is exact; every window a voxel lies in has its say. The curvature is the mean,
    over those windows, of what a voxel's squared slope is expected to be: `r^2` over the variance of the noise.
    Correlation in windows is that of Avants et al. (MedIA 2008), who climb its square.

    Sums over windows take additions along the axes, a few rows of the image at a time: memory is the slope and the
    curvature, whatever the window.
    """

    def __init__(
        self, fixed: Float[Tensor, "*box"], weight: Float[Tensor, "*box"], window: Sequence[int]
    ) -> None:
        self.fixed, self.weight, self.window = fixed - (BINS - 1) / 2, weight, tuple(window)
        size = 1
        for n, width in zip(fixed.shape, self.window, strict=True):
            size *= min(n, width)
        self.size = size

    def __call__(self, warped: Float[Tensor, "*box"], inside: Float[Tensor, "*box"]) -> Told:
        """What the images tell where the moving one, in bins, is warped so."""
        slope, curvature = torch.empty_like(warped), torch.empty_like(warped)
        nats = total = 0.0
        # A voxel's slope depends on windows that hold it, and those on all that they hold.
        reach, n = 2 * (self.window[0] // 2), len(warped)
        for start, end in slabs(warped[None, None], reach):
            low, high = max(0, start - reach), min(n, end + reach)
            rows, kept = slice(low, high), slice(start - low, end - low)
            part, told, count = self._told(
                self.fixed[rows], warped[rows], self.weight[rows] * inside[rows], kept
            )
            slope[start:end], curvature[start:end] = part
            nats, total = nats + told, total + count
        return Told(slope, curvature, nats / max(total, 1e-12))

    def _told(
        self, fixed: Tensor, warped: Tensor, seen: Tensor, kept: slice
    ) -> tuple[tuple[Tensor, Tensor], float, float]:
        """Slope and curvature of the rows that are kept, the sum of their windows' information, and their weight."""
        x, y = fixed, warped - (BINS - 1) / 2
        count = self._sums(seen)
        share = 1 / count.clamp(min=1e-6)
        x_mean, y_mean = self._sums(seen * x) * share, self._sums(seen * y) * share
        xx = (self._sums(seen * x * x) * share - x_mean.square()).clamp_(min=0) + _FLAT
        yy = (self._sums(seen * y * y) * share - y_mean.square()).clamp_(min=0) + _FLAT
        xy = self._sums(seen * x * y) * share - x_mean * y_mean
        squared = (xy.square() / (xx * yy)).clamp_(max=1 - 1e-6)
        counted = seen * (count > _LEAST_SEEN * self.size)
        nats = -0.5 * (torch.log1p(-squared) * counted)[kept].sum()
        # Of the windows, in each of which a voxel counts for one among all that are seen.
        sharpness = counted * share / (yy * (1 - squared))
        of_fixed, of_warped = sharpness * xy / xx, sharpness * squared
        rest = self._sums(of_warped * y_mean - of_fixed * x_mean)
        curvature = self._sums(of_warped)
        slope = self._sums(of_fixed) * x - curvature * y + rest
        part = (slope * seen)[kept], (curvature * seen)[kept]
        return part, float(nats), float(counted[kept].sum())

    def chance(self, samples: float) -> float:
        """What images that have nothing to do with each other would seem to tell, in nats, about: half a degree of
        freedom in every window, however many there are.
        """
        return 0.5 / max(1.0, min(self.size, samples) - 1)

    def _sums(self, values: Tensor) -> Tensor:
        """Over the window about every voxel; beyond the box is nothing."""
        pads = [half for width in reversed(self.window) for half in (width // 2, width // 2)]
        values = functional.pad(values, pads)
        for axis, width in enumerate(self.window):
            values = sums_along(values, axis, width)
        return values
