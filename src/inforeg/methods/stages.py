"""The stages of the linear method for one pair: levels, metrics, and the figures a result is judged by."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from inforeg.methods.judge import judge
from inforeg.methods.landing import landing
from inforeg.methods.pair import Pair
from inforeg.methods.result import Quality, Stage
from inforeg.methods.starting import Init
from inforeg.metrics import METRICS, DonskerVaradhan
from inforeg.models import LinearUnknowns
from inforeg.settings import Settings
from inforeg.solve.information import SampledInformation
from inforeg.solve.minimise import minimise
from inforeg.solve.newton import Climb, climb
from inforeg.solve.objective import SampledObjective
from inforeg.solve.sampler import Stratified
from inforeg.solve.shading import Shading, estimate_shading, shade
from inforeg.transforms import Linear, Transform, group

Group = Literal["translation", "rigid", "similarity", "affine", "projective"]
Metric = Literal["mi", "nmi", "mine", "mse", "ncc"]


# A climb ends when its steps move the object's rim by less than this share of the level's spacing.
TOLERANCE = 0.004


class LinearSettings(Settings):
    """What the linear method can be told; all of it has a default that serves."""

    stages: Annotated[tuple[Group, ...], Field(min_length=1)] = ("rigid",)
    """Groups of transforms, each started from the one before."""
    choose: bool = False
    """Keep a later stage only where it explains clearly more of samples it was not fitted to."""
    init: Init = "auto"
    """Where to start: auto searches all poses and compares them with the header's and the centres'."""
    metric: Metric = "mi"
    """What is compared: mi by Newton steps, or another metric on samples by stochastic gradients, which is slower."""
    bins: Annotated[int, Field(ge=4, le=1024)] = 32
    """Intensity bins of the joint table."""
    shading: bool = True
    """Take smooth shading of both images out of the comparison; the images themselves stay as they are."""
    samples: Annotated[int, Field(ge=1000, le=100_000_000)] = 100_000
    """Positions looked at on the finest level."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


@dataclass(frozen=True, eq=False)
class LinearStage(Stage):
    """A stage whose transform is linear."""

    transform: Linear


class LinearRun:
    """The stages of one pair: what they share."""

    def __init__(self, settings: LinearSettings, pair: Pair, generator: torch.Generator) -> None:
        self.settings, self.pair, self.generator = settings, pair, generator
        self.object = pair.fixed_view.object
        self.sampler = Stratified.around(self.object, pair.fixed_view.coarse, rim=1)
        if pair.fixed_mask is not None:
            self.sampler = self.sampler.within(pair.fixed_mask)
        self.shading: Shading | None = None
        self._held_out: SampledInformation | None = None
        metric = METRICS[settings.metric]()
        if isinstance(metric, DonskerVaradhan):
            metric.reset(generator)
        self.metric = metric.to(pair.moving[0].data.device)

    def objective(self, level: int, name: str, count: int, near: Linear) -> SampledInformation:
        """Samples of one level, drawn where the moving image is, as far as the transform so far can tell."""
        margin = 2 * float(self.pair.fixed_view.coarse.grid.spacing_mm.max())
        plain = self._objective_at(level, name, count, self._seen(near, margin))
        return plain if self.shading is None else shade(plain, self.shading)

    def _seen(self, near: Linear, margin: float) -> Stratified:
        """Where the moving image is; everywhere if the transform so far leads wholly past it."""
        seen = self.sampler.seen_by(near, self.pair.moving[0].grid, margin)
        return seen if len(seen.cells) else self.sampler

    def _objective_at(self, level: int, name: str, count: int, sampler: Stratified) -> SampledInformation:
        pair = self.pair
        return SampledInformation(
            pair.fixed[level],
            pair.moving[level],
            sampler.draw(count, self.generator),
            group(name, pair.fixed[0].grid.ndim),
            self.object.centre_mm,
            self.object.radius_mm,
            bins=self.settings.bins,
            fixed_window=pair.fixed_view.window,
            moving_window=pair.moving_view.window,
            moving_mask=pair.moving_mask,
        )

    def climb(self, objective: SampledInformation, start: Linear, spacing: float, steps: int) -> Climb:
        return climb(
            objective,
            start,
            objective.group,
            self.object.centre_mm,
            self.object.radius_mm,
            steps=steps,
            tolerance_mm=TOLERANCE * spacing,
            longest_mm=4 * spacing,
        )

    def stage(self, name: str, start: Linear, searched: bool) -> LinearStage:
        """One group of transforms, from coarse to the second finest level; a search has done the coarsest already."""
        # Shading read off before a stretch was known would bend the answer towards there being none.
        self.shading = None
        stage = LinearStage(name, start, "steps")
        coarse = self.pair.coarse
        for level in list(reversed(range(1, coarse if searched else coarse + 1))) or [min(1, coarse)]:
            stage = self._level(stage, level)
        return stage

    def finish(self, stage: LinearStage) -> LinearStage:
        """The finest level: visited once, by the last stage."""
        return self._level(stage, 0)

    def _level(self, stage: LinearStage, level: int) -> LinearStage:
        """The stage after one level more."""
        visit = self._climb_level if self.settings.metric == "mi" else self._descend_level
        seen = visit(stage, level)
        return LinearStage(
            stage.name,
            seen.transform,
            seen.status,
            stage.spacing_mm + seen.spacing_mm,
            stage.metric + seen.metric,
            stage.path + seen.path,
        )

    def _climb_level(self, stage: LinearStage, level: int) -> LinearStage:
        spacing = self.pair.spacings_mm[level]
        # Every finer level holds more detail to look at, up to where more samples no longer change the answer.
        count = max(8_000, self.settings.samples >> level)
        objective = self.objective(level, stage.name, count, stage.transform)
        result = self.climb(objective, stage.transform, spacing, steps=40)
        trace, path = result.trace, result.path
        # Coarser voxels mix tissue with shading: it is read off a level well below the one the search looked at.
        if self.settings.shading and (level == 0 or (level == 1 and self.pair.coarse >= 3)):
            self.shading = estimate_shading(objective, result.transform, self.shading)
            result = self.climb(shade(objective, self.shading), result.transform, spacing, steps=40)
            trace, path = trace + result.trace, path + result.path
        metric = [-v for v in trace]
        return LinearStage(stage.name, result.transform, result.status, [spacing] * len(metric), metric, path)

    def _descend_level(self, stage: LinearStage, level: int) -> LinearStage:
        pair, spacing = self.pair, self.pair.spacings_mm[level]
        margin = 2 * pair.spacings_mm[pair.coarse]
        objective = SampledObjective(
            self.metric,
            pair.fixed[level],
            pair.moving[level],
            self._seen(stage.transform, margin),
            8_192,
            self.generator,
            fixed_window=pair.fixed_view.window,
            moving_window=pair.moving_view.window,
            moving_mask=pair.moving_mask,
        )
        unknowns = LinearUnknowns(
            group(stage.name, stage.transform.ndim),
            stage.transform,
            self.object.centre_mm,
            self.object.radius_mm,
        )
        path: list[Linear] = []

        def followed(transform: Transform) -> Tensor:
            assert isinstance(transform, Linear)
            path.append(Linear(transform.matrix.detach()))
            return objective(transform)

        trace, status = minimise(
            unknowns, followed, steps=300, lr=0.2 * spacing / self.object.radius_mm, weights=self.metric
        )
        end = Linear(unknowns().matrix.detach())
        # The cost of a step that was no number is in no trace.
        return LinearStage(stage.name, end, status, [spacing] * len(trace), trace, path[: len(trace)])

    def explained(self, transform: Linear) -> float:
        """Information on samples of the whole object that no stage was fitted to, the same ones at every call."""
        if self._held_out is None:
            level = min(1, self.pair.coarse)
            self._held_out = self._objective_at(level, "rigid", self.settings.samples // 2, self.sampler)
        return self._held_out(transform).information

    def apart_mm(self, one: Linear, other: Linear) -> float:
        """Root mean square distance between where two transforms take the points of the object's ball."""
        return apart_mm(one, other, self.object.centre_mm, self.object.radius_mm)

    def quality(self, stage: LinearStage, start: Linear, margin: float | None) -> Quality:
        """The figures of a result, and the verdict from them."""
        pair, level, transform, name = self.pair, 0, stage.transform, stage.name
        whole = self.sampler
        seen = self.sampler.seen_by(transform, pair.moving[0].grid, 0.0)
        overlap = len(seen.cells) / max(1, len(whole.cells))
        objective = self.objective(level, name, self.settings.samples, transform)
        halves = [
            self.climb(part, transform, pair.spacings_mm[level], steps=2).transform
            for part in objective.split()
        ]
        # A climb stops within its tolerance of the top, and no two of them can tell less than that.
        precision = max(0.5 * self.apart_mm(halves[0], halves[1]), TOLERANCE * pair.spacings_mm[level])
        end = objective(transform).information
        before = objective(Linear.identity(transform.ndim)).information
        # What chance alone would give a table of this size, counted from as many voxels as there are to look at.
        d = transform.ndim
        volume = len(whole.cells) * float(torch.linalg.det(whole.grid.voxel_to_world[:d, :d]).abs())
        voxels = volume / float(torch.linalg.det(pair.fixed[0].grid.voxel_to_world[:d, :d]).abs())
        chance = self.settings.bins**2 / max(1.0, voxels)
        kept = self.explained(transform) / max(self.explained(start), 1e-9)
        landed, spacing = landing(pair, transform), pair.spacings_mm[0]
        return judge(
            end, before, chance, kept, overlap, margin, precision, stage.status, spacing, landed=landed
        )


def apart_mm(one: Linear, other: Linear, centre_mm: Tensor, radius_mm: float) -> float:
    """Root mean square distance between where two transforms take the points of a ball."""
    points = centre_mm + radius_mm * _ball(one.ndim)
    return float((one(points) - other(points)).square().sum(-1).mean().sqrt())


def _ball(d: int) -> Tensor:
    """Points spread through the unit ball, the same every time."""
    axis = torch.linspace(-1, 1, 7, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * d)
    return points[points.norm(dim=1) <= 1]
