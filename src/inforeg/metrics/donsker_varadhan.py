"""What the metrics share that train a network on the Donsker-Varadhan bound of mutual information."""

import math
from abc import abstractmethod
from collections.abc import Hashable
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.metric import Metric
from inforeg.metrics.statistics_network import Activation, StatisticsNetwork
from inforeg.settings import Settings

BiasCorrection = Literal["none", "ema"]

# A running mean may not be outrun by more than this power of e, or its gradients would be.
LARGEST_EXPONENT = 20.0


class DonskerVaradhanSettings(Settings):
    """See `DonskerVaradhan`."""

    channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    hidden: Annotated[int, Field(ge=1)]
    hidden_layers: Annotated[int, Field(ge=1)]
    activation: Activation
    bias_correction: BiasCorrection
    rate: Annotated[float, Field(gt=0, le=1)]
    drift_penalty: Annotated[float, Field(ge=0)]


class DonskerVaradhan(Metric):
    """A metric that is minus `mean F(f, w) - log mean exp F(f, w')` for a network F of its own, in nats.

    F is a `StatisticsNetwork` of `hidden` units a layer, in `hidden_layers` layers with `activation`; its parameters
    are trained by minimising the metric. The first mean is over pairs of intensities at one place, the second over
    pairs that do not belong together.

    The gradient of the logarithm of a small sample's mean is biased. `bias_correction="ema"` divides by a
    running mean instead, with this `rate`, kept in log-space; there is one per `key` (see `at`), as it
    differs between images and levels of a pyramid. It changes gradients in training mode, never the value.
    `drift_penalty` adds that times the squared logarithm, which pins the constant that the bound leaves free
    (ReMINE, Choi and Lee 2020).

    Everything random is drawn from `generator`; without one, from one of its own, seeded with 0. `neutral` is
    zero. Raises `UsageError` for images of other numbers of channels than `channels`.
    """

    symmetric: ClassVar[bool] = False
    across_contrasts: ClassVar[bool] = True

    settings: DonskerVaradhanSettings

    def __init__(self, settings: DonskerVaradhanSettings, generator: torch.Generator | None) -> None:
        super().__init__()
        self.settings = settings
        self.generator = _or_fresh(generator)
        self.network = StatisticsNetwork(
            sum(settings.channels),
            settings.hidden,
            self.generator,
            settings.hidden_layers,
            settings.activation,
        )
        self._key: Hashable = None
        self._log_means: dict[Hashable, Tensor] = {}

    def reset(self, generator: torch.Generator | None = None) -> None:
        """Forget all that was learnt: a new network, new running means, randomness from `generator` on."""
        self.generator = _or_fresh(generator)
        self.network.reset(self.generator)
        self._log_means.clear()

    def at(self, key: Hashable) -> None:
        """Keep running means for `key` (a level of a pyramid, a pair of images) from now on, apart from
        others'."""
        self._key = key

    def neutral(self, fixed: Tensor, weight: Tensor | None = None) -> Tensor:
        return fixed.new_zeros(fixed.shape[0])

    @abstractmethod
    def _compare_pair(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        """What one pair costs; `_compare`'s input without the batch."""

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        made, got = tuple(self.settings.channels), (fixed.shape[1], warped.shape[1])
        if got != made:
            raise UsageError(
                f"expected images of {made[0]} and {made[1]} channels, as {type(self).__name__} was made for, "
                f"got {got[0]} and {got[1]}; make it with channels={got}"
            )
        costs = [self._compare_pair(x, y, w) for x, y, w in zip(fixed, warped, weight, strict=True)]
        return torch.stack(costs).to(fixed.dtype)

    def _bound(
        self,
        paired: Float[Tensor, " n"],
        weight: Float[Tensor, " n"],
        unpaired: Float[Tensor, " m"],
        log_weight: Float[Tensor, " m"],
    ) -> Float[Tensor, ""]:
        """Minus the bound, from F at pairs that belong together and at pairs that do not."""
        joint = (weight * paired).sum() / weight.sum()
        log_mean = torch.logsumexp(unpaired + log_weight, dim=0) - torch.logsumexp(log_weight, dim=0)
        penalty = self.settings.drift_penalty * log_mean.square()
        if self.training and self.settings.bias_correction == "ema":
            running = running_log_mean(self._log_means.get(self._key), log_mean.detach(), self.settings.rate)
            self._log_means[self._key] = running
            ratio = (unpaired - running).clamp(max=LARGEST_EXPONENT).exp()
            share = torch.softmax(log_weight, dim=0)
            corrected = (share * ratio).sum()
            # The plain value with the corrected gradient.
            log_mean = log_mean.detach() + corrected - corrected.detach()
        cost: Tensor = log_mean - joint + penalty
        return cost


def running_log_mean(known: Tensor | None, now: Float[Tensor, ""], rate: float) -> Float[Tensor, ""]:
    """The logarithm of a running mean after one value more, of which the logarithm is `now`; kept in log-space."""
    if known is None or rate >= 1:
        return now
    return torch.logaddexp(known.to(now) + math.log1p(-rate), now + math.log(rate))


def _or_fresh(generator: torch.Generator | None) -> torch.Generator:
    return torch.Generator().manual_seed(0) if generator is None else generator
