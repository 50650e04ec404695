"""Training a metric of patches by iterated maximum likelihood: DITR."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inforeg.methods.patch_run import PatchRun, PatchScene
from inforeg.nets.patch_net import PatchMetric, PatchNet, information_nats
from inforeg.train.listing import Scan
from inforeg.train.machine import features_in
from inforeg.train.pictures import beside, three_times
from inforeg.train.recipes import PatchRecipe
from inforeg.train.rough_pairs import PatchSource, read_pairs
from inforeg.train.source import seeded
from inforeg.train.task import Objective
from inforeg.transforms import Linear

# Patches of each pair to validate on, and how far a shift is drawn, in voxels of the stage, in so many steps a side.
_ASKED, _REACH, _SHIFTS = 256, 12.0, 12
# A classifier that tells less than this of pairs, in nats, half of a stage in, has learnt nothing.
_NOTHING = 0.05


class PatchCost(NamedTuple):
    """Cross-entropy in nats, and how often the class is told rightly."""

    cost: Tensor
    right: Tensor

    def parts(self) -> dict[str, Tensor]:
        """Both, by name."""
        return {"cost": self.cost, "right": self.right}


@dataclass(frozen=True)
class PatchFigures:
    """Figures on patches of pairs held back, where the run has them aligned by now.

    `cross_entropy` is in nats, a coin's is 0.693; `right` the share of patches told rightly; `information` the mean
    logit of patches of one place, the mutual information of patches, in nats. `stage` counts from 1.
    """

    stage: int
    cross_entropy: float
    right: float
    information: float
    pairs: int

    @property
    def score(self) -> float:
        """More is better; a later stage is better than any before it."""
        return self.stage - min(self.cross_entropy, 0.999)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def in_words(self) -> str:
        """How often it is right."""
        return f"stage {self.stage}, {100 * self.right:.0f} % of patches told rightly"

    def score_in_words(self, score: float) -> str:
        """The cross-entropy of the score's stage."""
        stage = int(np.ceil(score))
        return f"cross-entropy {stage - score:.3f} nats in stage {stage}"

    def doubts(self, step: int, steps: int) -> dict[str, str]:
        """None that the training costs do not tell sooner."""
        return {}


class PatchObjective(Objective):
    """The network of the stage that is trained, those that are finished, and how all pairs lie by now."""

    def __init__(self, recipe: PatchRecipe, pairs: int) -> None:
        super().__init__()
        self.recipe, d = recipe, recipe.ndim_of_images
        self.current = PatchNet(recipe.net.of_each, _generator(recipe, 0))
        self.finished = nn.ModuleList(PatchNet(recipe.net.of_each) for _ in recipe.stages[1:])
        for parameter in self.finished.parameters():
            parameter.requires_grad_(False)
        self.matrices: Tensor
        self.register_buffer("matrices", torch.eye(d + 1, dtype=torch.float64).repeat(pairs, 1, 1))
        self.stage = 0

    @property
    def net(self) -> PatchMetric:  # type: ignore[override]
        """The cascade as far as it is trained."""
        settings = self.recipe.net
        made = PatchMetric(settings.replace(stages=settings.stages[: self.stage + 1]))
        for net, own in zip(made.nets, [*self.finished[: self.stage], self.current], strict=True):
            net.load_state_dict(own.state_dict())
        return made.to(self.matrices.device)

    def advance(self) -> None:
        """Put the trained network by, and begin with a new one."""
        self.finished[self.stage].load_state_dict(self.current.state_dict())
        self.stage += 1
        fresh = PatchNet(self.recipe.net.of_each, _generator(self.recipe, self.stage))
        self.current.load_state_dict(fresh.state_dict())

    def forward(self, patches: Float[Tensor, "n two *patch"], registered: Float[Tensor, " n"]) -> PatchCost:
        """The cost of telling which patches are of one place."""
        with features_in(self.recipe.precision, patches.device):
            logits = self.current(patches)
        logits = logits.float()
        cost = functional.binary_cross_entropy_with_logits(logits, registered)
        return PatchCost(cost, ((logits > 0) == (registered > 0.5)).float().mean())


class PatchTask:
    """A `PatchMetric` on roughly aligned pairs, stage by stage."""

    def __init__(self, recipe: PatchRecipe, scans: Sequence[Scan], device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.pairs = read_pairs(recipe, scans, device)
        self.learnt = [n for n, pair in enumerate(self.pairs) if pair.split == "train"]
        self.held = [n for n, pair in enumerate(self.pairs) if pair.split == "validation"]
        self.held = self.held[: recipe.validation_pairs]
        self.source = PatchSource(recipe)
        self.objective = PatchObjective(recipe, len(self.pairs)).to(device)

    @property
    def summary(self) -> str:
        """What is compared, and the schedule."""
        names = dict.fromkeys(pair.name.partition("_")[2] for pair in self.pairs)
        stages = ", ".join(f"IML({c},{v:g})" for c, v in self.recipe.stages[: self.objective.stage + 1])
        return f"metric of patches, {'/'.join(names)}, {stages}"

    @property
    def holds_back(self) -> bool:
        """Whether there are pairs to validate on."""
        return bool(self.held)

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam, with decay of weights as a term of the slopes."""
        recipe = self.recipe
        group = {"params": list(self.objective.current.parameters()), "lr": recipe.rate, "base": recipe.rate}
        return torch.optim.Adam([group], betas=recipe.betas, weight_decay=recipe.weight_decay)

    def before(self, step: int, optimiser: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        """Between two stages all pairs are aligned by the network that is finished, and a new one begins."""
        objective, stage = self.objective, step // self.recipe.of_each
        # A run that is gone on with is in the stage of the step before.
        objective.stage = max(objective.stage, (step - 1) // self.recipe.of_each)
        if stage == objective.stage:
            return
        moved = self._align(say)
        say(f"stage {stage} is done: pairs were moved by {moved:.2g} mm on average [{len(self.pairs)} pairs]")
        objective.advance()
        optimiser.state.clear()

    def batch(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """Patches of the pairs with these numbers, and which of them are of one place."""
        drawn = []
        for number in numbers:
            generator = seeded(self.recipe.seed, 11, number)
            pair = self.learnt[int(torch.randint(len(self.learnt), (), generator=generator))]
            drawn.append(self._patches(pair, generator))
        half = self.recipe.patches
        registered = torch.cat((torch.ones(half), torch.zeros(half))).repeat(len(drawn))
        return torch.cat(drawn), registered.to(self.device)

    def doubts(self, done: int, lately: dict[str, float]) -> dict[str, str]:
        """A classifier that tells nothing."""
        told = 0.6931 - lately["cost"]
        if done % self.recipe.of_each < self.recipe.of_each // 2 or told > _NOTHING:
            return {}
        return {
            "nothing": f"step {done}: patches of one place are told from others hardly better than by a coin: are the"
            " pairs roughly aligned, within twice the dithering? Train for longer, or raise rate"
        }

    @torch.no_grad()
    def validate(self) -> tuple[PatchFigures, NDArray[np.uint8]]:
        """Figures on patches of pairs held back, and the response to shifts in a plane of the first of them."""
        objective, recipe = self.objective, self.recipe
        objective.eval()
        entropy, right, told = [], [], []
        for number in self.held:
            for draw in range(max(1, _ASKED // recipe.patches)):
                patches = self._patches(number, seeded(recipe.seed, 12, number, draw))
                logits = objective.current(patches).double()
                of_one, of_two = logits.chunk(2)
                entropy.append(float((functional.softplus(-of_one) + functional.softplus(of_two)).mean() / 2))
                right.append(float(((of_one > 0).double() + (of_two <= 0).double()).mean() / 2))
                told.append(float(information_nats(of_one)))
        figures = PatchFigures(
            objective.stage + 1,
            float(np.mean(entropy)),
            float(np.mean(right)),
            float(np.mean(told)),
            len(self.held),
        )
        picture = self._response(self.held[0])
        objective.train()
        return figures, picture

    def _patches(self, pair: int, generator: torch.Generator) -> Tensor:
        matrix = self.objective.matrices[pair].cpu()
        return self.source.draw(self.pairs[pair], matrix, self.objective.stage, generator)

    def _align(self, say: Callable[[str], None]) -> float:
        """All pairs aligned by the network that was trained last; how far they moved, in mm at the object's rim."""
        moved = []
        for number in range(len(self.pairs)):
            run = self._run(number)
            before = Linear(self.objective.matrices[number].cpu())
            after = run.climbed(self.objective.stage, before, self.recipe.transform, self.recipe.optimiser)
            moved.append(run.apart_mm(before, after.transform))
            self.objective.matrices[number] = after.transform.matrix.to(self.objective.matrices)
        return float(np.mean(moved))

    def _run(self, number: int) -> PatchRun:
        pair = self.pairs[number]
        scene = PatchScene(pair.fixed, pair.moving, pair.places, pair.centre_mm, pair.radius_mm)
        generator = seeded(self.recipe.seed, 13, number)
        return PatchRun(self.objective.net, scene, self.recipe.places, generator)

    def _response(self, number: int) -> NDArray[np.uint8]:
        """The mean logit under shifts along the first two axes, black to white, the least to the most."""
        run, stage = self._run(number), self.objective.stage
        step = _REACH * self.recipe.net.spacings_mm[stage] / _SHIFTS
        likelihood = run.likelihood(stage, "translation", 64)
        matrix = Linear(self.objective.matrices[number].cpu())
        told = torch.zeros(2 * _SHIFTS + 1, 2 * _SHIFTS + 1)
        for i in range(-_SHIFTS, _SHIFTS + 1):
            for j in range(-_SHIFTS, _SHIFTS + 1):
                shift = torch.zeros(matrix.ndim, dtype=torch.float64)
                shift[:2] = torch.tensor([i * step, j * step])
                shifted = Linear(Linear.translation(shift).matrix @ matrix.matrix)
                told[i + _SHIFTS, j + _SHIFTS] = likelihood.told(shifted)
        span = (told.max() - told.min()).clamp(min=1e-6)
        return beside([three_times((told - told.min()) / span)])


def _generator(recipe: PatchRecipe, stage: int) -> torch.Generator:
    return seeded(recipe.seed, 14, stage)
