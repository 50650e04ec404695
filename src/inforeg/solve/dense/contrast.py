"""Local contrast: intensities with what is slow in them taken out, as places in a table."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Foreground, Image
from inforeg.image.filters import smooth
from inforeg.image.intensity import quantiles
from inforeg.image.interpolate import on_lines
from inforeg.solve.dense.tables import BINS

# Deviations from the local mean that a table tells apart, in standard deviations of the object.
_LOWEST, _HIGHEST = -3.0, 2.5


class LocalContrast:
    """An image less its mean nearby, in standard deviations of the object: what a coil or uneven light cannot change.

    The mean is Gaussian, over the object alone, so that its rim is not taken for a change of brightness; what lies
    beside the object keeps its distance from it. `coarse` is a level of the image on which `found` was found.
    """

    def __init__(self, coarse: Image, found: Foreground, sigma_mm: float) -> None:
        data = coarse.data[0, 0]
        inside = data[found.mask]
        low, high = quantiles(inside, (0.005, 0.98))
        self.low, self.high = min(low, found.background), max(high, found.background)
        bounded = data.clamp(self.low, self.high)
        self.spread = max(float(bounded[found.mask].std()), 1e-6 * max(abs(self.low), abs(self.high), 1e-30))
        mask = found.mask.to(data)
        both = torch.stack((bounded * mask, mask))[None]
        summed, share = smooth(Image(both, coarse.grid), sigma_mm).data[0]
        middle = float(bounded[found.mask].mean())
        # Far from the object there is nothing to take a mean of: the object's own is carried on.
        self.mean = Image(((summed + 1e-2 * middle) / (share + 1e-2))[None, None], coarse.grid)

    def places(self, image: Image, box: tuple[slice, ...] | None = None) -> Float[Tensor, "*box"]:
        """The image, on any level, in bins from 0 to `BINS - 1`."""
        box = box or tuple(slice(0, n) for n in image.grid.shape)
        to_coarse = self.mean.grid.world_to_voxel @ image.grid.voxel_to_world
        lines = []
        for axis, part in enumerate(box):
            line = torch.arange(part.start, part.stop, dtype=torch.float64)
            line = line * to_coarse[axis, axis] + to_coarse[axis, -1]
            lines.append(line.clamp(0, self.mean.grid.shape[axis] - 1))
        mean = on_lines(self.mean.data[0], lines)[0]
        away = (image.data[0, 0][box].clamp(self.low, self.high) - mean) / self.spread
        return (away.clamp_(_LOWEST, _HIGHEST) - _LOWEST) * ((BINS - 1) / (_HIGHEST - _LOWEST))
