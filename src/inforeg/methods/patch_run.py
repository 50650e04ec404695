"""One pair under a learnt metric of patches: its likelihood at every stage, and climbs by it."""

from dataclasses import dataclass
from typing import Literal

import torch

from inforeg.image import Image
from inforeg.methods.stages import apart_mm
from inforeg.nets.patch_net import PatchMetric
from inforeg.solve.newton import Climb, climb
from inforeg.solve.patches import PatchLikelihood
from inforeg.solve.powell import powell
from inforeg.solve.sampler import Stratified
from inforeg.transforms import Linear, group

Optimiser = Literal["newton", "powell"]
# A climb ends when its steps move the rim by less than this share of the stage's voxels, and after so many steps.
_TOLERANCE, _STEPS = 0.05, 20
# Or when a step promises less than this (nats per patch); where another network follows, less exactly.
_GAIN, _GAIN_BEFORE = 1e-4, 1e-3
_DAMPING = 0.05
# Transforms further apart than this share of the object's radius are two answers.
_ELSEWHERE = 0.1
# The longest step, in the stage's voxels.
_LONGEST = 3.0


@dataclass(frozen=True, eq=False)
class PatchScene:
    """Both images at the resolution of every stage, where the fixed one has its object, and that object's frame."""

    fixed: list[Image]
    moving: list[Image]
    places: Stratified
    centre_mm: torch.Tensor
    radius_mm: float
    moving_mask: Image | None = None


class PatchRun:
    """The stages of one pair: what they share. The same patches are looked at throughout a climb."""

    def __init__(
        self, metric: PatchMetric, scene: PatchScene, places: int, generator: torch.Generator
    ) -> None:
        self.metric, self.scene, self.places = metric.requires_grad_(False).eval(), scene, places
        self.seed = int(torch.randint(1 << 62, (), generator=generator))

    @property
    def stages(self) -> int:
        """How many networks there are."""
        return len(self.metric.settings.stages)

    def seen_later(self, stage: int) -> bool:
        """Whether the next stage sees alike: it has then learnt the same from pairs that lay better."""
        stages = self.metric.settings.stages
        return stage + 1 < len(stages) and stages[stage] == stages[stage + 1]

    def likelihood(self, stage: int, name: str, places: int | None = None) -> PatchLikelihood:
        """That of a stage, along a group of transforms."""
        scene, count = self.scene, places or self.places
        generator = torch.Generator().manual_seed(self.seed)
        drawn = scene.places.draw(max(count, len(scene.places.cells)), generator)
        drawn = drawn[torch.randperm(len(drawn), generator=generator)[:count]]
        net = self.metric.of_stage(stage)
        return PatchLikelihood(
            net,
            net.settings.patch,
            self.metric.settings.spacings_mm[stage],
            scene.fixed[stage],
            scene.moving[stage],
            drawn,
            group(name, scene.fixed[stage].grid.ndim),
            scene.centre_mm,
            scene.radius_mm,
            scene.moving_mask,
            precision(scene.moving[stage].data.device),
        )

    def climbed(
        self, stage: int, start: Linear, name: str, optimiser: Optimiser = "newton", places: int | None = None
    ) -> Climb:
        """Where a stage leads from a start."""
        likelihood = self.likelihood(stage, name, places)
        spacing = self.metric.settings.spacings_mm[stage]
        if optimiser == "newton":
            least = _GAIN if stage == self.stages - 1 else _GAIN_BEFORE
            return self.climb(likelihood, start, spacing, least)
        frame = likelihood.group, self.scene.centre_mm, self.scene.radius_mm
        found = powell(likelihood.told, start, *frame)
        return Climb(found.transform, likelihood(found.transform), "converged", found.trace, found.path)

    def climb(
        self, likelihood: PatchLikelihood, start: Linear, spacing_mm: float, least_gain: float = _GAIN
    ) -> Climb:
        """Where Newton steps lead from a start, by images of that spacing."""
        return climb(
            likelihood,
            start,
            likelihood.group,
            self.scene.centre_mm,
            self.scene.radius_mm,
            steps=_STEPS,
            tolerance_mm=_TOLERANCE * spacing_mm,
            longest_mm=_LONGEST * spacing_mm,
            value=likelihood.told,
            damping=_DAMPING,
            least_gain=least_gain,
        )

    def elsewhere(self, one: Linear, other: Linear) -> bool:
        """Whether two transforms lie so far apart that they are two answers."""
        return self.apart_mm(one, other) > _ELSEWHERE * self.scene.radius_mm

    def apart_mm(self, one: Linear, other: Linear) -> float:
        """Root mean square distance between where two transforms take the points of the object's ball."""
        return apart_mm(one, other, self.scene.centre_mm, self.scene.radius_mm)


def precision(device: torch.device) -> torch.dtype:
    """What slopes are computed in: bfloat16 on processors that have it, which halves the time."""
    try:
        quick = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    except (AttributeError, RuntimeError):
        # A torch without oneDNN.
        quick = False
    return torch.bfloat16 if quick else torch.float32
