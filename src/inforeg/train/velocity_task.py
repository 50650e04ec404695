"""Training a network that looks at a pair and says how one is to be bent onto the other: VM-MINE and its kin."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.metrics import DonskerVaradhan
from inforeg.train.objective import VelocityObjective
from inforeg.train.pairs import PairSource, held_back
from inforeg.train.prepared import Prepared
from inforeg.train.recipes import VelocityRecipe
from inforeg.train.source import seeded
from inforeg.train.validate import VelocityFigures, validate

# A bound on information below this many nats, a quarter of the run in, says that a learnt metric has seen nothing.
_NOTHING = 0.002


class VelocityTask:
    """A `VelocityNet` on pairs drawn as a recipe says."""

    def __init__(self, recipe: VelocityRecipe, scans: Sequence[Prepared], device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.source = PairSource(scans, recipe, "train", device)
        self.held = held_back(scans, recipe, device)
        self.objective = VelocityObjective(recipe).to(device)

    @property
    def summary(self) -> str:
        """The contrasts, and what they are compared by."""
        by = self.recipe.metric if self.recipe.alpha > 0 else "labels"
        return f"{'/'.join(self.source.fixed)} and {'/'.join(self.source.moving)}, {by}"

    @property
    def holds_back(self) -> bool:
        """Whether there are pairs to validate on."""
        return bool(self.held)

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam for network and metric, each at its own rate."""
        return self.objective.optimiser()

    def before(self, step: int, optimiser: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        """The head start of the metric. Every rank takes the same steps on the same pairs, by itself."""
        if step > 0:
            return
        drawn = ((number, self.source.draw(number)) for number in range(self.recipe.head_start))
        seed = self.recipe.seed
        self.objective.lead((p.fixed, p.moving, seeded(seed, 8, n, device=self.device)) for n, p in drawn)

    def batch(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """Images, what is random about each pair, and shares of structures where they are asked for."""
        drawn = [self.source.draw(number) for number in numbers]
        generators = [seeded(self.recipe.seed, 7, number, device=self.device) for number in numbers]
        fixed = torch.stack([pair.fixed for pair in drawn])
        moving = torch.stack([pair.moving for pair in drawn])
        shares = [torch.stack(side) for side in zip(*[p.shares for p in drawn if p.shares], strict=True)]
        return fixed, moving, generators, tuple(shares) or None

    def doubts(self, done: int, lately: dict[str, float]) -> dict[str, str]:
        """A learnt metric that has seen nothing."""
        learnt, known = isinstance(self.objective.metric, DonskerVaradhan), -lately["metric"]
        if not learnt or done < self.recipe.steps // 4 or known >= _NOTHING:
            return {}
        return {
            "collapse": f"step {done}: the learnt metric finds {known:.3f} nats, next to nothing: are the images"
            " aligned at the start, and is metric_rate high enough?"
        }

    def validate(self) -> tuple[VelocityFigures, NDArray[np.uint8]]:
        """Figures on pairs held back, and a picture of some."""
        return validate(self.objective, self.held)
