"""Normalised mutual information from a Parzen-windowed joint histogram."""

from typing import final

import torch
from torch import Tensor

from inforeg.metrics.information import ParzenMetric, entropies


@final
class NormalisedMutualInformation(ParzenMetric):
    """One minus the normalised mutual information: 0 where independent, -1 where one-to-one.

    Minus `(H(f) + H(w)) / H(f, w)`, plus one. For images of different contrast. Studholme, Hill and Hawkes,
    Pattern Recognition 1999, with the settings of `ParzenMetric`; we differ by the offset, which makes zero
    the value of images that tell nothing of each other. Windows spread even one-to-one images over several
    bins, so -1 itself is not reached. `neutral` is zero.
    """

    def _from_joint(self, joint: Tensor) -> Tensor:
        fixed, warped, both = entropies(joint)
        return torch.where(both > 0, (both - fixed - warped) / torch.where(both > 0, both, 1.0), 0.0)
