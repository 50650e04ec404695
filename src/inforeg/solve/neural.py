"""Mutual information by a network that learns while the transform moves, with the derivatives a Newton step needs.

For a trained network F, the logarithm of p(f, m) / p(f) p(m) up to a constant, the slope of mutual information by a
sample's moving intensities is the slope of F by them: the terms through the network sum to zero where it is trained,
and so do, there, those through the logarithm of the mean (they are the mean of a score). The curvature is the outer
product of the samples' slopes (Berndt, Hall, Hall and Hausman 1974): Fisher's information where F is right, and never
negative where it is not. All levels that are looked at stand in one mean, as in DRMIME; the one whose samples say most
weighs most by itself.
"""

from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from inforeg.image import Image
from inforeg.image.sample import in_mask
from inforeg.metrics import MINE
from inforeg.settings import Settings
from inforeg.solve.information import Evaluation
from inforeg.solve.placing import lift
from inforeg.solve.sampler import Stratified
from inforeg.solve.sight import Sight
from inforeg.transforms import Linear, LinearGroup
from inforeg.transforms.groups import centred_frame


class Learning(Settings):
    """How the network is trained between two steps of the transform."""

    hidden: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Units in each of its two hidden layers."""
    rate: Annotated[float, Field(gt=0)] = 3e-3
    """Adam's learning rate."""
    batch: Annotated[int, Field(ge=16)] = 512
    """Samples of each level in one training step; four times as many in the last steps."""
    warm_up: Annotated[int, Field(ge=0)] = 40
    """Training steps before the first step of the transform."""
    between: Annotated[int, Field(ge=1)] = 5
    """Training steps between two steps of the transform."""


@dataclass(frozen=True, eq=False)
class Seen:
    """Samples of one level: what the network is shown of both images, the moving one's slopes, and where."""

    fixed: Tensor
    moving: Tensor
    slopes: Tensor
    points: Tensor
    overlap: float


@dataclass(eq=False)
class NeuralInformation:
    """Mutual information of a pair at some of its levels, by a network of its own that goes on learning.

    `fixed` and `moving` are all levels, fine to coarse. Information is per sample drawn: what lies outside the moving
    image tells nothing. The frame of the group's parameters is `centre_mm`, `radius_mm`. Everything random is drawn
    from `generator`.
    """

    fixed: list[Sight]
    moving: list[Sight]
    centre_mm: Tensor
    radius_mm: float
    sampler: Stratified
    learning: Learning
    generator: torch.Generator
    moving_mask: Image | None = None
    metric: MINE = field(init=False)

    def __post_init__(self) -> None:
        channels = (self.fixed[0].channels, self.moving[0].channels)
        self.device = self.moving[0].image.data.device
        self.metric = MINE(
            channels=channels, hidden=self.learning.hidden, marginal="derangement", generator=self.generator
        ).to(self.device)
        self.optimiser = torch.optim.Adam(self.metric.parameters(), lr=self.learning.rate, amsgrad=True)
        self._warm = False

    def __call__(
        self, transform: Linear, group: LinearGroup, levels: tuple[int, ...], count: int, batch: int
    ) -> Evaluation:
        """Draw samples, learn from them, and say what they tell where a small step of `group` comes first."""
        seen = self.see(transform, levels, count)
        seen = [part for part in seen if len(part.points) > 1]
        size = group.size
        if not seen:
            return Evaluation(0.0, torch.zeros(size).double(), torch.eye(size).double(), 0.0)
        self.learn(seen, self.learning.between if self._warm else self.learning.warm_up, batch)
        self._warm = True
        directions = group.generators.reshape(size, -1).to(self.device, torch.float32)
        gradient, curvature = torch.zeros(size).double(), torch.zeros(size, size).double()
        information = 0.0
        for part in seen:
            pulls = lift(self._pull(part), part.points) @ directions.T
            share = part.overlap / (len(pulls) * len(seen))
            gradient += share * pulls.sum(0).double().cpu()
            curvature += share * (pulls.T @ pulls).double().cpu()
            information += part.overlap * self.information(part) / len(seen)
        return Evaluation(information, gradient, curvature, sum(p.overlap for p in seen) / len(seen))

    def see(self, transform: Linear, levels: tuple[int, ...], count: int) -> list[Seen]:
        """Fresh samples of each level, the same places on all of them, without those outside the moving image."""
        frame = centred_frame(self.centre_mm, self.radius_mm)
        drawn = self.sampler.draw(count, self.generator)
        points = ((drawn - self.centre_mm) / self.radius_mm).to(self.device, torch.float32)
        parts = []
        for level in levels:
            shown, in_fixed = self.fixed[level].values(frame, points)
            moved, slopes, inside, voxel = self.moving[level].at(transform, frame, points)
            inside = inside & in_fixed
            if self.moving_mask is not None:
                world = self.moving[level].image.grid.to_world(voxel.double())
                inside = inside & in_mask(self.moving_mask, world)
            overlap = float(inside.sum()) / max(1, int(in_fixed.sum()))
            parts.append(Seen(shown[inside], moved[inside], slopes[inside], points[inside], overlap))
        return parts

    def learn(self, seen: list[Seen], steps: int, batch: int) -> None:
        """Training steps on batches of samples, the mean over levels."""
        for _ in range(steps):
            self.optimiser.zero_grad()
            cost = torch.zeros((), device=self.device)
            for part in seen:
                n = len(part.points)
                chosen = torch.randint(n, (min(batch, n),), generator=self.generator)
                chosen = chosen.to(self.device)
                cost = cost + self.metric(part.fixed[chosen].T[None], part.moving[chosen].T[None]) / len(seen)
            cost.backward()  # type: ignore[no-untyped-call]
            self.optimiser.step()

    @torch.no_grad()
    def information(self, part: Seen) -> float:
        """Nats per sample inside, by the network as it is."""
        return -float(self.metric(part.fixed.T[None], part.moving.T[None]))

    def _pull(self, part: Seen) -> Float[Tensor, "n d"]:
        """How the network's score of every sample changes as its point moves."""
        moving = part.moving.detach().requires_grad_()
        score = self.metric.network(part.fixed, moving).sum()
        (slope,) = torch.autograd.grad(score, moving)
        return torch.einsum("nc,ncd->nd", slope, part.slopes)
