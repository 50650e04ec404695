"""Teaching a network displacements in one contrast, and carrying it to another: p-EMD."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.metrics.discrepancy import (
    AbsoluteDiscrepancy,
    MeanOfDiscrepancies,
    ProjectedEarthMover,
    SlicedWasserstein,
)
from inforeg.nets.displacement_net import DisplacementNet
from inforeg.nets.files import read_model
from inforeg.train.consensus import Consensus
from inforeg.train.displaced_patches import Displaced, DisplacedPatches, Domain, Windows, around
from inforeg.train.listing import Scan, Split
from inforeg.train.machine import features_in
from inforeg.train.pictures import beside, three_times
from inforeg.train.recipes import DisplacementRecipe
from inforeg.train.source import seeded
from inforeg.train.task import Objective

# Pairs of patches to validate on, in each contrast.
_ASKED = 512
_TEACH, _APART, _TOGETHER, _WINDOWS = 0, 1, 2, 3


class DisplacementCost(NamedTuple):
    """What a step minimises; how often the first classifier was right when it was last taught, and how far the two, or
    windows and what they say together, were apart about what is not known when they were last asked."""

    cost: Tensor
    right: Tensor
    apart: Tensor

    def parts(self) -> dict[str, Tensor]:
        """All three, by name."""
        return self._asdict()


@dataclass(frozen=True)
class DisplacementFigures:
    """Figures on pairs held back; those of the target need no displacement to be known.

    `right` is the share of source pairs that the first classifier tells rightly. Of the target, `agreement` is the
    share of pairs of windows onto one patch for which it names the same displacement, their shifts undone, and
    `evenness` the entropy of what it names, as a share of that of an even draw, which it was; both are 1 where nothing
    is adapted.
    """

    right: float
    agreement: float
    evenness: float
    pairs: int

    @property
    def score(self) -> float:
        """The product of the three: more is better."""
        return self.right * self.agreement * self.evenness

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def in_words(self) -> str:
        """How often it is right, and they agree."""
        return f"{100 * self.right:.0f} % told rightly, {100 * self.agreement:.0f} % of windows agree"

    def score_in_words(self, score: float) -> str:
        """The product, as a share."""
        return f"told rightly, agreed on and even: {score:.3f}"

    def doubts(self, step: int, steps: int) -> dict[str, str]:
        """Few displacements that are named for nearly all."""
        # Early on it is uneven for want of learning.
        if 2 * step < steps or self.evenness > 0.8:
            return {}
        return {
            "uneven": f"step {step}: few displacements are named for nearly all pairs of the target (evenness"
            f" {self.evenness:.2f}; 1 is right): raise evenness, or lower rate"
        }


class DisplacementObjective(Objective):
    """The network, the discrepancy, and which of the three kinds of step is due."""

    net: DisplacementNet

    def __init__(self, recipe: DisplacementRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = DisplacementNet(recipe.net, seeded(recipe.seed, 20))
        if recipe.begin_with:
            self.net.load_state_dict(_begun(recipe.begin_with, recipe))
        self.average = DisplacementNet(recipe.net)
        self.average.load_state_dict(self.net.state_dict())
        self.average.requires_grad_(False)
        by_classifiers = recipe.adapts and recipe.discrepancy != "windows"
        self.discrepancy = discrepancy_of(recipe) if by_classifiers else None
        self.consensus = Consensus(recipe.net.labels, around(recipe.net.ndim))
        self.phase, self.both = _TEACH, True
        self.right, self.apart = torch.zeros(()), torch.zeros(())

    @property
    def kept(self) -> DisplacementNet:
        """The running mean of the weights: what driving apart and bringing together does to them by turns is noise."""
        return self.average

    @torch.no_grad()
    def _follow(self) -> None:
        for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
            mean.lerp_(now, 1 / self.recipe.averaged)

    def begin(self, step: int) -> None:
        """What a step is for decides which weights it may change."""
        self._follow()
        self.phase = self.recipe.phase_of(step)
        for parameter in self.net.features.parameters():
            parameter.requires_grad_(self.phase != _APART)
        adapting = self.recipe.adapts and step >= self.recipe.head_start
        self.both = self.recipe.teach_both or self.phase == _WINDOWS or not adapting
        for classifier, taught in zip(self.net.classifiers, (True, self.both), strict=True):
            for parameter in classifier.parameters():
                parameter.requires_grad_(self.phase != _TOGETHER and (self.phase != _TEACH or taught))
        for part in self.modules():
            if isinstance(part, SlicedWasserstein):
                part.generator = seeded(self.recipe.seed, 21, step)

    def forward(
        self,
        fixed: Float[Tensor, " n *patch"],
        moving: Float[Tensor, " n *patch"],
        labels: Int[Tensor, " n"],
        windows: Windows | None = None,
    ) -> DisplacementCost:
        """The cost of a step. Where beliefs are driven apart the second half of the pairs is of the target, whose
        labels are not looked at; where they are brought together, all are. `windows` are of the target."""
        with features_in(self.recipe.precision, fixed.device):
            logits = self.net(fixed, moving)
            told = None if windows is None else told_of(self.net, windows)
        logits = logits.float()
        if self.phase in (_TEACH, _WINDOWS):
            cost = torch.stack([self._taught(one, labels) for one in logits[: 1 + self.both]]).mean()
            self.right = (logits[0].argmax(1) == labels).float().mean().detach()
            if told is not None and windows is not None:
                apart = self.consensus(torch.log_softmax(told.float(), -1), windows.shifts)
                self.apart = apart.detach()
                cost = cost + self.recipe.weight * apart
        elif self.phase == _APART:
            half = len(labels) // 2
            cost = -self.recipe.weight * self._apart(logits[:, half:])
            if self.recipe.anchored:
                cost = cost + sum(self._taught(logits[which, :half], labels[:half]) for which in (0, 1))
        else:
            apart = self._apart(logits)
            self.apart = apart.detach()
            cost = self.recipe.weight * apart
            if self.recipe.evenness:
                cost = cost + self.recipe.evenness * self._uneven(logits)
        return DisplacementCost(cost, self.right, self.apart)

    def _taught(self, logits: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(self.recipe.net.scale * logits, labels)

    def _apart(self, logits: Tensor) -> Tensor:
        assert self.discrepancy is not None
        found: Tensor = self.discrepancy(*self.net.beliefs(logits))
        return found

    def _uneven(self, logits: Tensor) -> Tensor:
        """How far the beliefs about all pairs together are from even, in nats."""
        mean = self.net.beliefs(logits).mean((0, 1))
        return log(len(mean)) + (mean * mean.log()).sum()


class DisplacementTask:
    """A `DisplacementNet` on patches of known displacements in one contrast, and unknown ones in another."""

    def __init__(self, recipe: DisplacementRecipe, scans: Sequence[Scan], device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.source = DisplacedPatches(recipe, scans, device)
        self.objective = DisplacementObjective(recipe).to(device)

    @property
    def summary(self) -> str:
        """The displacements, and which contrasts they were taught in and carried to."""
        recipe = self.recipe
        first = self.source.of("source", "train")[0].name.partition("_")[2]
        onto = f", carried to {'/'.join(recipe.target)} by {recipe.discrepancy}" if recipe.adapts else ""
        return f"{recipe.net.classes} displacements of up to {recipe.net.reach:g} voxels, {first}{onto}"

    @property
    def holds_back(self) -> bool:
        """Whether there are pairs to validate on."""
        return bool(self.source.of("source", "validation"))

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam, with decay of weights as a term of the slopes; which of them a step changes it is told before."""
        recipe = self.recipe
        group = {"params": list(self.objective.net.parameters()), "lr": recipe.rate, "base": recipe.rate}
        return torch.optim.Adam([group], betas=recipe.betas, weight_decay=recipe.weight_decay)

    def before(self, step: int, optimiser: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        """Which weights a step may change. Raises `UsageError` on several devices, which do not allow that."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            raise UsageError("a network of displacements is trained on one device; leave out --ranks")
        self.objective.begin(step)

    def batch(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """Patches of the pairs with these numbers, as many of the source and the target as the step takes."""
        recipe, phase = self.recipe, self.objective.phase
        domains: list[Domain] = [["source"], ["source", "target"], ["target"], ["source"]][phase]  # type: ignore[assignment]
        if recipe.target_known:
            domains = ["source", "target"]
        drawn = [
            self.source.draw(domain, "train", seeded(recipe.seed, 22, number, place))
            for place, domain in enumerate(domains)
            for number in numbers
        ]
        if phase != _WINDOWS:
            return tuple(_joined(drawn))
        return (*_joined(drawn), self._windows("train", [(22, number, 1) for number in numbers]))

    def doubts(self, done: int, lately: dict[str, float]) -> dict[str, str]:
        """Of the log none: what is taught rises slowly."""
        return {}

    @torch.no_grad()
    def validate(self) -> tuple[DisplacementFigures, NDArray[np.uint8]]:
        """Figures on patches of pairs held back, and how often each displacement is named, in source and target."""
        self.objective.eval()
        recipe = self.recipe
        one, labels = self._told("source")
        right = float((one[0].argmax(1) == labels).double().mean())
        agreement = evenness = 1.0
        named = [self._counted(one[0])]
        if recipe.adapts and self.source.of("target", "validation"):
            agreement = fmean(self._agreed(number) for number in range(self._draws))
            other, _ = self._told("target")
            named.append(self._counted(other[0]))
            share = named[-1] / named[-1].sum()
            # Even draws of so many are not quite even, either.
            evenness = float(-(share * share.clamp(min=1e-12).log()).sum() / log(len(share)))
        figures = DisplacementFigures(right, agreement, evenness, len(labels))
        side, last = recipe.net.labels, named[-1].max()
        flat = [(n / last.clamp(min=1)).reshape(side, -1).float() for n in named]
        self.objective.train()
        return figures, beside([three_times(three_times(tile)) for tile in flat])

    def _told(self, domain: Domain) -> tuple[Tensor, Tensor]:
        """The logits of both classifiers, and the displacements, of pairs held back."""
        found = []
        for number in range(self._draws):
            drawn = self.source.draw(domain, "validation", seeded(self.recipe.seed, 23, number))
            found.append((self.objective.kept(drawn.fixed, drawn.moving), drawn.labels))
        return torch.cat([logits for logits, _ in found], 1), torch.cat([labels for _, labels in found])

    def _agreed(self, number: int) -> float:
        """How often windows of a draw held back agree."""
        drawn = self._windows("validation", [(24, number)])
        named = told_of(self.objective.kept, drawn)[0].argmax(2)
        return self.objective.consensus.agreed(named, drawn.shifts)

    @property
    def _draws(self) -> int:
        return max(1, _ASKED // self.recipe.patches)

    def _windows(self, split: Split, draws: Sequence[tuple[int, ...]]) -> Windows:
        seen = [self.source.windows("target", split, seeded(self.recipe.seed, *draw)) for draw in draws]
        return Windows(*(torch.cat(parts) for parts in zip(*seen, strict=True)))

    def _counted(self, logits: Tensor) -> Tensor:
        return torch.bincount(logits.argmax(1), minlength=logits.shape[1]).double()


def told_of(net: DisplacementNet, windows: Windows) -> Float[Tensor, "two n k c"]:
    """What both classifiers tell of every window, as scaled logits; fixed patches are looked at once."""
    fixed, moving = net.maps(windows.fixed), net.maps(windows.moving.flatten(0, 1))
    fixed = fixed.repeat_interleave(windows.moving.shape[1], 0)
    logits = torch.stack([net.logits(fixed, moving, which) for which in (0, 1)])
    told: Tensor = net.settings.scale * logits.reshape(2, *windows.shifts.shape, -1)
    return told


def discrepancy_of(recipe: DisplacementRecipe) -> nn.Module:
    """The discrepancy that a recipe names."""
    places = recipe.net.displacements() / (2 * recipe.net.reach / (recipe.net.labels - 1))
    makes: dict[str, Callable[[], nn.Module]] = {
        "l1": AbsoluteDiscrepancy,
        "swd": lambda: SlicedWasserstein(recipe.projections),
        "pemd": lambda: ProjectedEarthMover(places, recipe.directions, recipe.span_deg),
    }
    parts = [makes[name]() for name in recipe.discrepancy.split("+")]
    # Each in units of its own mean: so the same rate serves all.
    return MeanOfDiscrepancies(parts)


def _begun(path: str, recipe: DisplacementRecipe) -> dict[str, Tensor]:
    """The weights of the model that a run begins with."""
    net = read_model(Path(path)).net
    if not isinstance(net, DisplacementNet) or net.settings != recipe.net:
        raise UsageError(
            f"begin_with: expected a model of displacements with the recipe's net, and {path} is another"
        )
    return net.state_dict()


def _joined(drawn: Sequence[Displaced]) -> Displaced:
    return Displaced(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))
