"""Local normalised cross-correlation."""

from typing import Annotated, ClassVar, final

from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.local_correlation import squared_local_correlation
from inforeg.metrics.metric import Metric, paired_channels
from inforeg.settings import Settings


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

    The gradient is computed along with the value, a few rows of the images at a time: beyond the images, memory is
    one volume for each of them that is to have one. It has no second derivative.
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
        return -squared_local_correlation(fixed, warped, weight, self.window_voxels)
