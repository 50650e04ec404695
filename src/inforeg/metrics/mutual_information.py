"""Mutual information from a Parzen-windowed joint histogram."""

from typing import final

from torch import Tensor

from inforeg.metrics.information import ParzenMetric, entropies


@final
class MutualInformation(ParzenMetric):
    """Minus the mutual information of two images' intensities, in nats; zero where they are unrelated.

    For images of different contrast. Thevenaz and Unser, IEEE TIP 2000, with the settings of
    `ParzenMetric`; we differ in that both images have a cubic window (theirs of the fixed image is
    `nearest`), which makes the metric symmetric, and in that the range leaves out the outermost thousandth of
    the intensities. Windows blur the joint histogram, so sharp relations are underestimated, the more the
    fewer bins; few samples overestimate it by about the number of occupied cells over twice the number of
    samples. `neutral` is zero.
    """

    def _from_joint(self, joint: Tensor) -> Tensor:
        fixed, warped, both = entropies(joint)
        return both - fixed - warped
