"""Plain intensities, in the window of the image they are of, as places in a table."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Foreground, Image
from inforeg.image.intensity import quantiles
from inforeg.solve.dense.tables import BINS


class Plain:
    """An image in its own window of intensities: nearly all of its object's, and what is about it.

    `coarse` is a level of the image on which `found` was found; the window is read off there and holds on every level.
    """

    def __init__(self, coarse: Image, found: Foreground) -> None:
        low, high = quantiles(coarse.data[0, 0][found.mask], (0.005, 0.995))
        self.low, self.high = min(low, found.background), max(high, found.background)
        self.width = max(self.high - self.low, 1e-6 * max(abs(self.low), abs(self.high), 1e-30))

    def places(self, image: Image, box: tuple[slice, ...] | None = None) -> Float[Tensor, "*box"]:
        """The image, on any level, in bins from 0 to `BINS - 1`."""
        data = image.data[0, 0]
        inside = data if box is None else data[box]
        return (
            torch.clamp(inside, self.low, self.high)
            .sub_(self.low)
            .mul_((BINS - 1) / self.width)
            .clamp_(0, BINS - 1)
        )
