"""Local normalised cross-correlation."""

from typing import Annotated, ClassVar, final

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.metrics.metric import Metric, paired_channels, weighted_mean
from inforeg.settings import Settings

# A window of which less is seen (at a corner of a mask) says nothing: two voxels always correlate.
_LEAST_SEEN = 0.1
# Variance, relative to the whole image's, below which a window counts as flat.
_FLAT = 1e-4


class LNCCSettings(Settings):
    """See `LNCC`."""

    window_voxels: Annotated[int, Field(ge=3)]


@final
class LNCC(Metric):
    """Minus the squared correlation of intensities in a window around each voxel, averaged.

    Works on whole images `(b, c, *shape)` and not on samples. The window is a cube (square in 2-D) of
    `window_voxels` to a side, an odd number of voxels and not of millimetres: 9 as in ANTs and VoxelMorph
    (Avants et al., MedIA 2008). At a border or the edge of a mask the window holds what there is of it.

    We differ in that a ten-thousandth of the image's variance is added to every window's, which makes flat
    windows count for nothing whatever the scale of intensities, and in that windows less than a tenth seen
    count as zero. `neutral` is zero.
    """

    on_grids: ClassVar[bool] = True
    symmetric: ClassVar[bool] = True
    across_contrasts: ClassVar[bool] = False

    def __init__(self, *, window_voxels: int = 9) -> None:
        super().__init__()
        self.settings = LNCCSettings(window_voxels=window_voxels)
        if window_voxels % 2 == 0:
            raise UsageError(f"expected an odd window, so that it has a middle, got {window_voxels} voxels")
        self.window_voxels = window_voxels

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        return fixed.new_zeros(fixed.shape[0])

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        paired_channels(fixed, warped, "LNCC")
        inner = (..., *[None] * (fixed.ndim - 2))
        # Centred first: the variance of a window is a difference of two means, exact only for small numbers.
        x = fixed - weighted_mean(fixed, weight)[inner]
        y = warped - weighted_mean(warped, weight)[inner]
        w = weight[:, None]
        count = self._sum(w)
        share = torch.where(count > 0, count, 1.0)
        x_mean, y_mean = self._sum(w * x) / share, self._sum(w * y) / share
        xx = (self._sum(w * x * x) / share - x_mean.square()).clamp(min=0)
        yy = (self._sum(w * y * y) / share - y_mean.square()).clamp(min=0)
        xy = self._sum(w * x * y) / share - x_mean * y_mean
        x_flat, y_flat = (_FLAT * weighted_mean(v * v, weight)[inner] + _tiny(v) for v in (x, y))
        squared = xy.square() / ((xx + x_flat) * (yy + y_flat))
        full = self.window_voxels ** (fixed.ndim - 2)
        seen = count >= _LEAST_SEEN * full * w.amax(dim=tuple(range(1, w.ndim)), keepdim=True)
        return -weighted_mean(torch.where(seen, squared, 0.0), weight).mean(dim=1)

    def _sum(self, values: Tensor) -> Tensor:
        """Sums over the window, one axis after another; beyond the border there is nothing."""
        d = values.ndim - 2
        pool = functional.avg_pool2d if d == 2 else functional.avg_pool3d
        half = self.window_voxels // 2
        # Padded here: pooling refuses to pad an axis that is shorter than the window.
        values = functional.pad(values, [half] * (2 * d))
        for axis in range(d):
            size = [1] * d
            size[axis] = self.window_voxels
            values = pool(values, size, stride=1)
        full: int = self.window_voxels**d
        return values * full


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).eps ** 2
