"""What one step minimises: a velocity network, a metric that may learn along, and the prior on velocities."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image.sample import sample_displaced
from inforeg.metrics import LNCC, METRICS, DonskerVaradhan, LocalMINE, Metric
from inforeg.nets import VelocityBelief, VelocityNet
from inforeg.solve.sampler import dilate
from inforeg.train.machine import features_in
from inforeg.train.recipe import Recipe
from inforeg.train.recipes import VelocityRecipe
from inforeg.train.task import Objective

# What the paper has in voxels of 1 mm.
_NEIGHBOURHOOD_MM = 8.0
# What is brighter is object, on the scale of 0 to 1, and how far around it is looked at.
_DARK, _RIM_MM = 0.1, 6.0


class Cost(NamedTuple):
    """The cost of a batch and its parts: `cost = alpha * metric + prior + label_weight * (1 - overlap)`."""

    cost: Float[Tensor, ""]
    metric: Float[Tensor, ""]
    prior: Float[Tensor, ""]
    overlap: Float[Tensor, ""] | None = None

    def parts(self) -> dict[str, Tensor]:
        """What the log has of it; the overlap where labels are learnt from."""
        found = {"cost": self.cost, "metric": self.metric, "prior": self.prior}
        return found if self.overlap is None else {**found, "overlap": self.overlap}


class VelocityObjective(Objective):
    """`alpha * metric(fixed, moving(exp(v))) + prior(v)`, v drawn from what the network believes.

    Snaauw et al. (EMBC 2022), eq. 3, for any metric; with MSE and LNCC it is VoxelMorph-diff's. All averages are over
    voxels, so that the weight means the same at every size. Network and metric are trained by the same gradient; the
    metric maximises its bound on information by what minimises the cost.

    With `label_weight` the overlap of labelled structures is asked for as well, as in VoxelMorph (Balakrishnan et al.,
    TMI 2019); with that alone, and images painted at random, it is SynthMorph (Hoffmann et al., TMI 2022).
    """

    def __init__(self, recipe: VelocityRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = VelocityNet(recipe.net, torch.Generator().manual_seed(recipe.seed))
        # Noise is where the prior alone would have it from the start. From -10 on its way there would be all that the
        # first thousands of steps are about, and what the features become by it is of no use to the mean.
        degrees = 2 * recipe.net.ndim / (4 if recipe.net.half else 1)
        with torch.no_grad():
            assert self.net.log_variance.bias is not None
            self.net.log_variance.bias.fill_(-math.log(recipe.smoothness * degrees))
        self.metric = metric_of(recipe, recipe.net.channels)
        if isinstance(self.metric, DonskerVaradhan):
            self.metric.reset(torch.Generator().manual_seed(recipe.seed + 1))
        self.precision = recipe.precision

    def forward(
        self,
        fixed: Float[Tensor, "b c *shape"],
        moving: Float[Tensor, "b k *shape"],
        generators: Sequence[torch.Generator],
        shares: tuple[Float[Tensor, "b s *shape"], Float[Tensor, "b s *shape"]] | None = None,
    ) -> Cost:
        """The cost of a batch; what is random about each pair comes from its own generator.

        `shares` are how much of each voxel of the fixed and of the moving image is of each structure.
        """
        recipe = self.recipe
        belief = self.belief(fixed, moving)
        shift = belief.displaced(belief.draw(list(generators)))
        seen = moving if shares is None else torch.cat((moving, shares[1]), dim=1)
        moved = sample_displaced(seen, shift)
        warped, carried = moved[:, : moving.shape[1]], moved[:, moving.shape[1] :]
        metric = torch.stack(
            [self.compare(*pair) for pair in zip(fixed, warped, generators, strict=True)]
        ).mean()
        prior = belief.prior(recipe.smoothness)
        cost = recipe.alpha * metric + prior
        if shares is None:
            return Cost(cost, metric, prior)
        overlap = soft_dice(shares[0], carried)
        return Cost(cost + recipe.label_weight * (1 - overlap), metric, prior, overlap)

    def lead(self, pairs: Iterable[tuple[Tensor, Tensor, torch.Generator]]) -> None:
        """The head start of a metric that learns: a step of its own on each pair as it lies, `(c, *shape)` each.

        As long as the metric tells brain from background alone, outlines are all that a network can learn from it, and
        what it has made of them it does not unlearn soon.
        """
        learnt = list(self.metric.parameters())
        if not learnt:
            return
        optimiser = torch.optim.Adam(learnt, lr=self.recipe.metric_rate or self.recipe.rate)
        for fixed, moving, generator in pairs:
            cost = self.compare(fixed, moving, generator)
            optimiser.zero_grad()
            cost.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        optimiser.zero_grad()

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam for network and metric, each at its own rate: as good as one for each."""
        recipe = self.recipe
        groups = [{"params": list(self.net.parameters()), "lr": recipe.rate, "base": recipe.rate}]
        learnt = list(self.metric.parameters())
        if learnt:
            rate = recipe.metric_rate or recipe.rate
            groups.append({"params": learnt, "lr": rate, "base": rate})
        return torch.optim.Adam(groups, betas=recipe.betas)

    def belief(
        self, fixed: Float[Tensor, "b c *shape"], moving: Float[Tensor, "b k *shape"]
    ) -> VelocityBelief:
        """What the network believes; features in half precision where the recipe says so."""
        with features_in(self.precision, fixed.device):
            found: VelocityBelief = self.net(fixed, moving)
        return found

    def compare(
        self,
        fixed: Float[Tensor, " c *shape"],
        warped: Float[Tensor, " k *shape"],
        generator: torch.Generator,
    ) -> Float[Tensor, ""]:
        """The metric of one pair, its shuffles drawn from the generator."""
        if isinstance(self.metric, DonskerVaradhan):
            self.metric.generator = generator
        weight = None
        if self.recipe.look == "object":
            weight = near_object(fixed, max(1, round(_RIM_MM / self.recipe.spacing_mm)))[None]
        cost: Tensor = self.metric(fixed[None], warped[None], weight)
        return cost


def soft_dice(one: Float[Tensor, "b s *shape"], other: Float[Tensor, "b s *shape"]) -> Float[Tensor, ""]:
    """The mean over structures of twice what both have over what each has, of shares of voxels (Milletari et al., 3DV
    2016); those that are nowhere are left out. One where nothing is left.
    """
    flat = [shares.flatten(2).float() for shares in (one, other)]
    both, all_of = (flat[0] * flat[1]).sum(2), flat[0].square().sum(2) + flat[1].square().sum(2)
    there = all_of > 0
    return (2 * both[there] / all_of[there]).mean() if bool(there.any()) else all_of.sum() + 1


def near_object(image: Float[Tensor, " c *shape"], reach: int) -> Float[Tensor, "*shape"]:
    """1 at the object of an image that is dark around it, and within so many voxels of it; 0 elsewhere."""
    return dilate(image.amax(dim=0) > _DARK, reach).to(image.dtype)


def metric_of(recipe: Recipe, channels: tuple[int, int] = (1, 1)) -> Metric:
    """The metric of a recipe, as its paper has it where the recipe does not say otherwise.

    MINE has one hidden layer of 30 units; its local form draws from 8 mm about each voxel (Snaauw et al.). LNCC looks
    at 9 voxels a side. Raises `UsageError` for settings that do not fit the metric.
    """
    kind = METRICS[recipe.metric]
    settings = dict(recipe.metric_settings)
    if issubclass(kind, DonskerVaradhan):
        settings = {"hidden": 30, "hidden_layers": 1, "channels": channels, **settings}
    if kind is LocalMINE:
        near = max(1, round(_NEIGHBOURHOOD_MM / recipe.spacing_mm))
        settings = {"neighbourhood_voxels": near, **settings}
    if kind is LNCC:
        settings = {"window_voxels": 9, **settings}
    try:
        return kind(**settings)
    except TypeError as error:
        raise UsageError(f"metric_settings of {recipe.metric}: {error}") from None
