"""Mutual information by a network: the Donsker-Varadhan bound, trained while it is used (MINE)."""

from typing import Annotated, Literal, final

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.donsker_varadhan import BiasCorrection, DonskerVaradhan, DonskerVaradhanSettings
from inforeg.metrics.histogram import bin_centres, intensity_range, joint_histogram, place
from inforeg.metrics.statistics_network import Activation

Marginal = Literal["permutation", "derangement", "table"]


class MINESettings(DonskerVaradhanSettings):
    """See `MINE`."""

    marginal: Marginal
    permutations: Annotated[int, Field(ge=1)]
    bins: Annotated[int, Field(ge=4)]
    samples: Annotated[int, Field(ge=2)] | None


@final
class MINE(DonskerVaradhan):
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

    `samples` looks at that many of the samples that are given and not at all of them, drawn evenly and anew at every
    call. `hidden`, `hidden_layers`, `activation`, `bias_correction`, `rate` and `drift_penalty` are those of
    `DonskerVaradhan`. Pairs drawn from the neighbourhood alone are what `LocalMINE` is for.

    Everything random is drawn from `generator`; without one, from one of its own, seeded with 0. `neutral` is
    zero. Raises `UsageError` for images of other numbers of channels than `channels`.
    """

    settings: MINESettings

    def __init__(
        self,
        *,
        channels: tuple[int, int] = (1, 1),
        hidden: int = 100,
        hidden_layers: int = 2,
        activation: Activation = "relu",
        marginal: Marginal = "permutation",
        permutations: int = 1,
        bins: int = 64,
        samples: int | None = None,
        bias_correction: BiasCorrection = "none",
        rate: float = 0.01,
        drift_penalty: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        settings = MINESettings(
            channels=channels,
            hidden=hidden,
            hidden_layers=hidden_layers,
            activation=activation,
            marginal=marginal,
            permutations=permutations,
            bins=bins,
            samples=samples,
            bias_correction=bias_correction,
            rate=rate,
            drift_penalty=drift_penalty,
        )
        if marginal == "table" and tuple(channels) != (1, 1):
            raise UsageError(
                f"the marginal table needs one channel in either image, got {tuple(channels)}; shuffle them"
            )
        super().__init__(settings, generator)

    def _compare_pair(self, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        # Samples without weight take no part in the shuffling, so that they cannot thin the pairs out.
        seen = weight > 0
        fixed, warped, weight = fixed.T[seen], warped.T[seen], weight[seen]
        if weight.numel() < 2:
            return warped.sum() * 0.0
        samples = self.settings.samples
        if samples is not None and samples < weight.numel():
            device = self.generator.device
            chosen = torch.randint(weight.numel(), (samples,), generator=self.generator, device=device)
            chosen = chosen.to(weight.device)
            fixed, warped, weight = fixed[chosen], warped[chosen], weight[chosen]
        return self._bound(self.network(fixed, warped), weight, *self._unpaired(fixed, warped, weight))

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


def _log(weight: Tensor) -> Tensor:
    # An empty bin weighs nothing: so little that it is lost in the sum, but finite, as is its slope.
    return weight.clamp(min=1e-30 * weight.detach().sum()).log()
