"""What two intensities tell of each other, as a network that looks at samples has learnt it (MINE)."""

from collections.abc import Sequence
from math import log

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.metrics.local_mine import partners_nearby
from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.solve.dense.tables import BINS, JointTables, Places
from inforeg.solve.dense.told import Told

_HIDDEN = 32
# Pairs of voxels that a step of the network looks at.
_SAMPLES = 2048
# Steps of a new network, at the first sight of a level, and at every further one.
_NEW, _FIRST, _FURTHER = 200, 40, 6
_RATE = 5e-3


class Learner:
    """A statistics network and how it is trained; one for all levels of a pair. All randomness is the generator's."""

    def __init__(self, generator: torch.Generator, device: torch.device) -> None:
        self.generator = generator
        self.network = StatisticsNetwork(2, _HIDDEN, generator).to(device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=_RATE)
        self.is_new = True

    def step(self, fixed: Tensor, warped: Tensor, unrelated: Tensor) -> None:
        """One step on samples in bins: fixed and warped ones of one place, and warped ones that do not belong there."""
        here = _scaled(fixed)
        scores = self.network(torch.cat((here, here)), _scaled(torch.cat((warped, unrelated))))
        paired, apart = scores.chunk(2)
        cost = torch.logsumexp(apart, 0) - log(len(apart)) - paired.mean()
        self.optimiser.zero_grad()
        cost.backward()
        self.optimiser.step()

    @torch.no_grad()
    def table(self) -> Float[Tensor, "bins bins"]:
        """The network's score of every pair of bins."""
        bins = torch.arange(BINS, device=self.network.weights[0].device).float()
        pairs = torch.cartesian_prod(bins, bins)
        scores: Tensor = self.network(_scaled(pairs[:, 0]), _scaled(pairs[:, 1]))
        return scores.reshape(BINS, BINS)


class NeuralTables(JointTables):
    """Tables that are read off a network: pointwise information learnt from samples, and no counts.

    The network F is trained on the Donsker-Varadhan bound, `mean F(f, w) - log mean exp F(f, w')`, a few steps at
    every call, from where the last one left it (Belghazi et al., ICML 2018). Where `w'` comes from is `reach`: from any
    place, or from within so many voxels of the fixed one along each axis (Snaauw et al., EMBC 2022). F is a ratio of
    densities up to a constant, so it is read off at the bins, less `log mean exp F` over the fixed intensities of the
    block: the log-likelihood of the fixed voxel given the warped one, among its neighbours. What a warped voxel
    contributes to the second mean of the bound is in that, without the noise of draws. Counts serve for nothing but
    what is to be expected: the share of each intensity, and the curvature.

    `nats` is the mean of that log-likelihood ratio, which says no more than there is but for what a network learns by
    heart. Memory and time of a step are those of its samples, whatever the size of the image.
    """

    def __init__(
        self,
        fixed: Float[Tensor, "*box"],
        weight: Float[Tensor, "*box"],
        places: Places,
        learner: Learner,
        reach: Sequence[int] | None,
    ) -> None:
        super().__init__(fixed, weight, places)
        self.fixed, self.learner, self.reach = fixed, learner, reach
        self.steps = _FIRST

    def __call__(self, warped: Float[Tensor, "*box"], inside: Float[Tensor, "*box"]) -> Told:
        """What the images tell, by a network that has first learnt a little more from the warped image as it is."""
        self._learn(warped, inside)
        return super().__call__(warped, inside)

    def _learn(self, warped: Tensor, inside: Tensor) -> None:
        seen = (self.weight * inside).reshape(-1)
        voxel = seen.nonzero()[:, 0]
        if voxel.numel() < 2:
            return
        steps = _NEW if self.learner.is_new else self.steps
        self.learner.is_new, self.steps = False, _FURTHER
        fixed, values = self.fixed.reshape(-1), warped.reshape(-1)
        for _ in range(steps):
            here = voxel[self._drawn(len(voxel)).to(voxel.device)]
            there = self._partners(here, voxel, seen, warped.shape)
            self.learner.step(fixed[here], values[here], values[there])

    def _drawn(self, count: int) -> Int[Tensor, " n"]:
        return torch.randint(count, (_SAMPLES,), generator=self.learner.generator)

    def _partners(self, here: Tensor, voxel: Tensor, seen: Tensor, shape: Sequence[int]) -> Tensor:
        if self.reach is None:
            return voxel[self._drawn(len(voxel)).to(voxel.device)]
        return partners_nearby(here, seen, shape, self.reach, self.learner.generator)

    def _scores(self, tables: Float[Tensor, "t bins bins"]) -> Float[Tensor, "t bins bins"]:
        scores = self.learner.table().to(tables)
        share = tables.sum(2, keepdim=True).log()
        return scores - torch.logsumexp(scores + share, 1, keepdim=True)


def _scaled(places: Tensor) -> Tensor:
    """Bins as numbers of order one, in a column."""
    return ((places - (BINS - 1) / 2) * (4 / BINS))[:, None]
