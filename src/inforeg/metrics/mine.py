"""Mutual information by a network: the Donsker-Varadhan bound, trained while it is used (MINE)."""

import math
from collections.abc import Hashable
from typing import Annotated, ClassVar, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.histogram import bin_centres, intensity_range, joint_histogram, place
from inforeg.metrics.metric import Metric
from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.settings import Settings

Marginal = Literal["permutation", "derangement", "table"]
BiasCorrection = Literal["none", "ema"]

# A running mean may not be outrun by more than this power of e, or its gradients would be.
LARGEST_EXPONENT = 20.0


class MINESettings(Settings):
    """See `MINE`."""

    channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    hidden: Annotated[int, Field(ge=1)]
    marginal: Marginal
    permutations: Annotated[int, Field(ge=1)]
    bins: Annotated[int, Field(ge=4)]
    bias_correction: BiasCorrection
    rate: Annotated[float, Field(gt=0, le=1)]
    drift_penalty: Annotated[float, Field(ge=0)]


@final
class MINE(Metric):
    """Minus the Donsker-Varadhan bound on mutual information, in nats, for any number of channels.

    `mean F(f, w) - log mean exp F(f, w')`, where F is a `StatisticsNetwork`, the first mean is over samples
    and the second over pairs that do not belong together (Belghazi et al., ICML 2018; for registration Nan et
    al., MIDL 2020). F's parameters are the metric's own: they are trained by minimising the metric, with the
    transform or before it. Intensities should be of order one. Where the pairs of the second mean come from
    is `marginal`:

    - `permutation`: the warped samples, shuffled; with several `permutations`, all of them inside the one
      logarithm.
    - `derangement`: the same, but no sample ever meets its own partner: a random cycle, shifted by one step.
    - `table`: all pairs at once. Both marginal histograms, of `bins` linear windows over the whole range,
      weigh F on the grid of their bins. It is free of the noise of shuffling and asks F half as often, but
      needs one channel on either side. In effect `exp F` is interpolated linearly between bins, which is as
      good as they are fine.

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

    def __init__(
        self,
        *,
        channels: tuple[int, int] = (1, 1),
        hidden: int = 100,
        marginal: Marginal = "permutation",
        permutations: int = 1,
        bins: int = 64,
        bias_correction: BiasCorrection = "none",
        rate: float = 0.01,
        drift_penalty: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.settings: MINESettings = MINESettings(
            channels=channels,
            hidden=hidden,
            marginal=marginal,
            permutations=permutations,
            bins=bins,
            bias_correction=bias_correction,
            rate=rate,
            drift_penalty=drift_penalty,
        )
        if marginal == "table" and tuple(channels) != (1, 1):
            raise UsageError(
                f"the marginal table needs one channel in either image, got {tuple(channels)}; shuffle them"
            )
        self.generator = _or_fresh(generator)
        self.network = StatisticsNetwork(sum(channels), hidden, self.generator)
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

    def _compare(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        made, got = tuple(self.settings.channels), (fixed.shape[1], warped.shape[1])
        if got != made:
            raise UsageError(
                f"expected images of {made[0]} and {made[1]} channels, as MINE was made for, "
                f"got {got[0]} and {got[1]}; make it with channels={got}"
            )
        costs = [self._compare_pair(x.T, y.T, w) for x, y, w in zip(fixed, warped, weight, strict=True)]
        return torch.stack(costs).to(fixed.dtype)

    def _compare_pair(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        # Samples without weight take no part in the shuffling, so that they cannot thin the pairs out.
        seen = weight > 0
        fixed, warped, weight = fixed[seen], warped[seen], weight[seen]
        if weight.numel() < 2:
            return warped.sum() * 0.0
        joint = (weight * self.network(fixed, warped)).sum() / weight.sum()
        logits, log_weight = self._unpaired(fixed, warped, weight)
        log_mean = torch.logsumexp(logits + log_weight, dim=0) - torch.logsumexp(log_weight, dim=0)
        penalty = self.settings.drift_penalty * log_mean.square()
        if self.training and self.settings.bias_correction == "ema":
            running = running_log_mean(self._log_means.get(self._key), log_mean.detach(), self.settings.rate)
            self._log_means[self._key] = running
            ratio = (logits - running).clamp(max=LARGEST_EXPONENT).exp()
            share = torch.softmax(log_weight, dim=0)
            corrected = (share * ratio).sum()
            # The plain value with the corrected gradient.
            log_mean = log_mean.detach() + corrected - corrected.detach()
        cost: Tensor = log_mean - joint + penalty
        return cost

    def _unpaired(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """F at pairs that do not belong together, and the logarithms of their weights."""
        s = self.settings
        if s.marginal == "table":
            return self._table(fixed[:, 0], warped[:, 0], weight)
        logits, log_weights = [], []
        log_weight = weight.log()
        for _ in range(s.permutations):
            order, partner = self._shuffle(weight.shape[0], s.marginal)
            order, partner = order.to(weight.device), partner.to(weight.device)
            logits.append(self.network(fixed[order], warped[partner]))
            log_weights.append(log_weight[order] + log_weight[partner])
        return torch.cat(logits), torch.cat(log_weights)

    def _shuffle(self, count: int, marginal: Marginal) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
        """Which fixed and which warped samples meet."""
        order = torch.randperm(count, generator=self.generator, device=self.generator.device)
        if marginal == "derangement":
            return order, order.roll(1)
        return torch.arange(count, device=order.device), order

    def _table(
        self, fixed: Float[Tensor, " n"], warped: Float[Tensor, " n"], weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        bins = self.settings.bins
        places, centres = [], []
        for values in (fixed, warped):
            low, high = intensity_range(values, weight, clip=0.0)
            places.append(place(values, low, high, bins, "linear"))
            centres.append(bin_centres(low, high, bins, "linear"))
        joint = joint_histogram(places[0], places[1], weight, bins, "linear", "linear")
        rows, columns = joint.sum(dim=1), joint.sum(dim=0)
        grid = torch.cartesian_prod(*centres)
        logits = self.network(grid[:, :1], grid[:, 1:])
        return logits, (_log(rows)[:, None] + _log(columns)[None, :]).reshape(-1)


def running_log_mean(known: Tensor | None, now: Float[Tensor, ""], rate: float) -> Float[Tensor, ""]:
    """The logarithm of a running mean after one value more, of which the logarithm is `now`; kept in log-space."""
    if known is None or rate >= 1:
        return now
    return torch.logaddexp(known.to(now) + math.log1p(-rate), now + math.log(rate))


def _or_fresh(generator: torch.Generator | None) -> torch.Generator:
    return torch.Generator().manual_seed(0) if generator is None else generator


def _log(weight: Tensor) -> Tensor:
    # An empty bin weighs nothing: so little that it is lost in the sum, but finite, as is its slope.
    return weight.clamp(min=1e-30 * weight.detach().sum()).log()
