"""Mean squared difference."""

from typing import ClassVar, final

from torch import Tensor

from inforeg.metrics.metric import Metric, paired_channels, weighted_mean
from inforeg.settings import Settings


class MSESettings(Settings):
    """There is nothing to set."""


@final
class MSE(Metric):
    """Mean squared difference of intensities, over samples and channels.

    For images of one contrast on one scale of intensities. `neutral` is the variance of the fixed image: what
    its own mean would cost, predicting every intensity.
    """

    symmetric: ClassVar[bool] = True
    across_contrasts: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.settings = MSESettings()

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        fixed, _, weight = self._prepare(fixed, fixed, weight)
        mean = weighted_mean(fixed, weight)[..., None]
        return weighted_mean((fixed - mean).square(), weight).mean(dim=1)

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        paired_channels(fixed, warped, "MSE")
        return weighted_mean((fixed - warped).square(), weight).mean(dim=1)
