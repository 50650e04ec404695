"""What a transform costs for a pair, by any metric that works on samples."""

import torch
from torch import Tensor

from inforeg.image import Image
from inforeg.image.sample import in_mask, sample
from inforeg.metrics import Metric
from inforeg.metrics.overlap import with_overlap
from inforeg.solve.sampler import Stratified
from inforeg.transforms import Transform


class SampledObjective:
    """A metric between two images at positions that are drawn anew at every call.

    Intensities are scaled by each image's window. Samples outside the moving image or its mask are paid for at the
    metric's neutral price, so losing overlap never pays.
    """

    def __init__(
        self,
        metric: Metric,
        fixed: Image,
        moving: Image,
        sampler: Stratified,
        count: int,
        generator: torch.Generator,
        *,
        fixed_window: tuple[float, float] = (0.0, 1.0),
        moving_window: tuple[float, float] = (0.0, 1.0),
        moving_mask: Image | None = None,
    ) -> None:
        self.metric, self.fixed, self.moving = metric, fixed, moving
        self.sampler, self.count, self.generator = sampler, count, generator
        self.windows = (fixed_window, moving_window)
        self.moving_mask = moving_mask

    def __call__(self, transform: Transform) -> Tensor:
        """The cost of a transform, differentiable in its parameters."""
        device = self.moving.data.device
        points = self.sampler.draw(self.count, self.generator)
        seen = points.to(device, torch.float32)[None]
        moved = transform(points.to(torch.float64))[None].to(device, torch.float32)
        fixed, in_fixed = sample(self.fixed, seen)
        warped, inside = sample(self.moving, moved)
        if self.moving_mask is not None:
            inside = inside & in_mask(self.moving_mask, moved[0].detach())
        fixed, warped = (
            ((values - low) / ((high - low) or 1.0)).clamp(-0.1, 1.1)
            for values, (low, high) in zip((fixed, warped), self.windows, strict=True)
        )
        return with_overlap(self.metric, fixed, warped, inside, in_fixed.to(torch.float32))
