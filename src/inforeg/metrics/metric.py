"""What every metric is: a number that is smaller when two images agree more."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from inforeg.errors import UsageError
from inforeg.settings import Settings

FixedValues = Float[Tensor, "b c *n"]
WarpedValues = Float[Tensor, "b k *n"]
Weight = Float[Tensor, "b *n"]


class Metric(nn.Module, ABC):
    """How badly two images agree, as one number that is smaller when they agree more.

    `fixed` is `(b, c, n)`, the intensities of the fixed image at n places; `warped` is `(b, k, n)`, those of
    the moving image at the same places; `weight` is `(b, n)`, at least zero, or none for all ones. What has
    weight zero is not looked at: it may hold anything, NaN included, and gets no gradient. The result is the
    mean over the batch.

    A metric knows nothing of where the places lie, unless it says `on_grids`: then the images are `(b, c,
    *shape)`. Intensities are compared in float32 or better, whatever they come in.

    Raises `UsageError` where shapes or channels do not fit.
    """

    on_grids: ClassVar[bool] = False
    """Whether it needs whole images `(b, c, *shape)` and not loose samples."""

    symmetric: ClassVar[bool]
    """Whether fixed and warped can change places (with the default settings)."""

    across_contrasts: ClassVar[bool]
    """Whether it finds that images agree when their contrasts differ in any way that can be predicted."""

    settings: Settings
    """The constructor's arguments, resolved: `type(metric)(**dict(metric.settings))` is the same
    metric."""

    def forward(
        self,
        fixed: FixedValues,
        warped: WarpedValues,
        weight: Weight | None = None,
    ) -> Float[Tensor, ""]:
        """The mean over the batch of what each pair costs."""
        return self.per_pair(fixed, warped, weight).mean()

    def per_pair(
        self,
        fixed: FixedValues,
        warped: WarpedValues,
        weight: Weight | None = None,
    ) -> Float[Tensor, " b"]:
        """What each pair of the batch costs. Nothing with weight costs nothing: see `with_overlap`."""
        fixed, warped, weight = self._prepare(fixed, warped, weight)
        return self._compare(fixed, warped, weight)

    @abstractmethod
    def neutral(self, fixed: FixedValues, weight: Weight | None = None) -> Float[Tensor, " b"]:
        """What each pair would cost if the moving image told nothing of the fixed one: the price of not
        looking."""

    @abstractmethod
    def _compare(self, fixed: FixedValues, warped: WarpedValues, weight: Weight) -> Float[Tensor, " b"]:
        """`per_pair` on checked input: float32 or better, zeros where the weight is zero."""

    def _prepare(self, fixed: Tensor, warped: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        name = type(self).__name__
        if fixed.shape[0] != warped.shape[0] or fixed.shape[2:] != warped.shape[2:]:
            raise UsageError(
                f"{name} expected both images at the same places: "
                f"got {tuple(fixed.shape)} and {tuple(warped.shape)}"
            )
        if self.on_grids and fixed.ndim not in (4, 5):
            raise UsageError(
                f"{name} looks at neighbourhoods: expected (batch, channels, *shape) of 2-D or 3-D images, "
                f"got {tuple(fixed.shape)}; on loose samples take another metric"
            )
        dtype = torch.promote_types(torch.promote_types(fixed.dtype, warped.dtype), torch.float32)
        fixed, warped = fixed.to(dtype), warped.to(dtype)
        shape = (fixed.shape[0], *fixed.shape[2:])
        if weight is None:
            weight = fixed.new_ones(shape)
        elif weight.shape != shape:
            raise UsageError(f"{name} expected weights of shape {shape}, got {tuple(weight.shape)}")
        else:
            seen = (weight > 0)[:, None]
            # Not a product: zero times NaN is NaN.
            fixed = torch.where(seen, fixed, 0.0)
            warped = torch.where(seen, warped, 0.0)
            weight = weight.to(dtype)
        if self.on_grids:
            return fixed, warped, weight
        return fixed.flatten(2), warped.flatten(2), weight.flatten(1)


def paired_channels(fixed: Tensor, warped: Tensor, name: str) -> None:
    """Raises `UsageError` unless both images have the same number of channels."""
    if fixed.shape[1] != warped.shape[1]:
        raise UsageError(
            f"{name} compares channel by channel: expected as many in both images, got {fixed.shape[1]} and "
            f"{warped.shape[1]}; take mutual information or MINE, or one channel of each"
        )


def weighted_mean(values: FixedValues, weight: Weight) -> Float[Tensor, "b c"]:
    """The mean of each channel, zero where all weights are zero."""
    total = weight.flatten(1).sum(dim=1)
    summed = (values * weight[:, None]).flatten(2).sum(dim=2)
    return summed / torch.where(total > 0, total, 1.0)[:, None]
