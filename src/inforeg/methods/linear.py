"""The linear method: search all poses, then climb mutual information from coarse to fine by Newton steps."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from time import perf_counter
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.methods.judge import judge
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.result import Quality, Result, Stage
from inforeg.metrics import METRICS, MINE
from inforeg.models import LinearUnknowns
from inforeg.settings import Settings
from inforeg.solve.information import SampledInformation
from inforeg.solve.minimise import minimise
from inforeg.solve.newton import Climb, Status, climb
from inforeg.solve.objective import SampledObjective
from inforeg.solve.sampler import Stratified
from inforeg.solve.shading import Shading, estimate_shading, shade
from inforeg.solve.start import PoseSearch, Start, from_centres, from_header, from_mass
from inforeg.transforms import Linear, group

Group = Literal["translation", "rigid", "similarity", "affine", "projective"]
Metric = Literal["mi", "nmi", "mine", "mse", "ncc"]
Init = Literal["auto", "header", "centre", "mass", "moments", "search"]
Progress = Callable[[str, float], None]


class LinearMethod(Settings):
    """Registers by a linear transform: `LinearMethod(stages=("rigid", "affine"))(fixed, moving) -> Result`.

    All lengths are derived from the object in the images, none is given in voxels or millimetres, so the same values
    serve a mouse and a head. Colour images are compared by their first principal component.
    """

    stages: tuple[Group, ...] = ("rigid",)
    """Groups of transforms, each started from the one before."""
    choose: bool = False
    """Keep a later stage only where it explains clearly more of samples it was not fitted to."""
    init: Init = "auto"
    """Where to start: auto searches all poses and compares them with the header's and the centres'."""
    metric: Metric = "mi"
    """What is compared: mi by Newton steps, or another metric on samples by stochastic gradients, which is slower."""
    bins: int = 32
    """Intensity bins of the joint table."""
    shading: bool = True
    """Take smooth shading of both images out of the comparison; the images themselves stay as they are."""
    samples: int = 60_000
    """Positions looked at on the finest level."""
    seed: int = 0
    """Seed of all sampling."""

    def __call__(
        self,
        fixed: Image,
        moving: Image,
        start: Linear | None = None,
        *,
        fixed_mask: Image | None = None,
        moving_mask: Image | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Registers `moving` to `fixed`, both of one image in the batch; masks are images, inside above 0.5.

        Raises `PairError` where there is nothing to register: no object in one image, or a mask without any.
        """
        began = perf_counter()
        report = progress or (lambda _name, _share: None)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        report("search", 0.1)
        found = self._start(pair, start, generator)
        run = _Run(self, pair, generator)
        transform, notes = found.best.transform, list(pair.notes)
        stages: list[LinearStage] = []
        for number, name in enumerate(self.stages):
            report(name, 0.4 + 0.3 * number / len(self.stages))
            stage = run.stage(name, transform)
            if self.choose and number > 0:
                gain = run.gain(transform, stage.transform)
                kept = gain > 0.02
                notes.append(
                    f"{name} explains {100 * gain:.1f} % more of samples it was not fitted to than {stages[-1].name}"
                    f" and was {'kept' if kept else 'dropped'} (needed: 2 %)"
                )
                if not kept:
                    continue
            transform = stage.transform
            stages.append(stage)
        report("finest level", 0.75)
        stages[-1] = run.finish(stages[-1])
        transform = stages[-1].transform
        report("check", 0.95)
        quality = run.quality(transform, found, stages[-1].status)
        return Result(
            transform,
            stages[-1].status,
            stages,
            quality,
            fixed,
            moving,
            self.to_dict(),
            found,
            notes,
            perf_counter() - began,
        )

    def _start(self, pair: Pair, given: Linear | None, generator: torch.Generator) -> Start:
        if given is not None:
            return Start.given(given, "given")
        f, m = pair.fixed_view, pair.moving_view
        grids = pair.fixed[-1].grid, pair.moving[-1].grid
        if self.init == "header":
            return Start.given(from_header(grids[0]), "header")
        if self.init == "centre":
            return Start.given(from_centres(*grids), "centre")
        if self.init == "mass":
            return Start.given(from_mass(f.object, m.object), "mass")
        # Samples are drawn where the smaller object is: all of them then have something to say at the right pose.
        swapped = f.object.volume_mm > m.object.volume_mm
        may_scale = self.stages[0] not in ("translation", "rigid")
        search = PoseSearch(*((m, f) if swapped else (f, m)), generator, may_scale)
        found = search.moments() if self.init == "moments" else search.run(wide=self.init == "search")
        return found.inverse() if swapped else found


@dataclass(frozen=True, eq=False)
class LinearStage(Stage):
    """A stage whose transform is linear."""

    transform: Linear


class _Run:
    """The stages of one pair: what they share."""

    def __init__(self, method: LinearMethod, pair: Pair, generator: torch.Generator) -> None:
        self.method, self.pair, self.generator = method, pair, generator
        self.object = pair.fixed_view.object
        self.sampler = Stratified.around(self.object, pair.fixed_view.coarse, rim=1)
        if pair.fixed_mask is not None:
            self.sampler = Stratified.around(self.object, pair.fixed_view.coarse, rim=0)
        self.shading: Shading | None = None
        metric = METRICS[method.metric]()
        if isinstance(metric, MINE):
            metric.reset(generator)
        self.metric = metric.to(pair.moving[0].data.device)

    def objective(self, level: int, name: str, count: int, near: Linear) -> SampledInformation:
        """Samples of one level, drawn where the moving image is, as far as the transform so far can tell."""
        plain = self._plain_objective(level, name, count, near)
        return plain if self.shading is None else shade(plain, self.shading)

    def _plain_objective(self, level: int, name: str, count: int, near: Linear) -> SampledInformation:
        pair = self.pair
        margin = 2 * float(pair.fixed_view.coarse.grid.spacing_mm.max())
        sampler = self.sampler.seen_by(near, pair.moving[0].grid, margin)
        return SampledInformation(
            pair.fixed[level],
            pair.moving[level],
            sampler.draw(count, self.generator),
            group(name, pair.fixed[0].grid.ndim),
            self.object.centre_mm,
            self.object.radius_mm,
            bins=self.method.bins,
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
            tolerance_mm=0.004 * spacing,
            longest_mm=4 * spacing,
        )

    def stage(self, name: str, start: Linear) -> LinearStage:
        """One group of transforms, from coarse to the second finest level."""
        stage = LinearStage(name, start, "steps", [], [])
        for level in reversed(range(1, self.pair.coarse)):
            stage = self._level(stage, level)
        return stage

    def finish(self, stage: LinearStage) -> LinearStage:
        """The finest level: visited once, by the last stage."""
        return self._level(stage, 0)

    def _level(self, stage: LinearStage, level: int) -> LinearStage:
        if self.method.metric == "mi":
            transform, status, trace = self._climb_level(stage, level)
        else:
            transform, status, trace = self._descend_level(stage, level)
        where = [self.pair.spacings_mm[level]] * len(trace)
        return LinearStage(stage.name, transform, status, stage.spacing_mm + where, stage.metric + trace)

    def _climb_level(self, stage: LinearStage, level: int) -> tuple[Linear, Status, list[float]]:
        spacing = self.pair.spacings_mm[level]
        # Every finer level holds more detail to look at, up to where more samples no longer change the answer.
        count = max(8_000, self.method.samples >> level)
        objective = self.objective(level, stage.name, count, stage.transform)
        result = self.climb(objective, stage.transform, spacing, steps=15)
        trace = result.trace
        if self.method.shading and (level == 1 or (level == 0 and self.shading is None)):
            self.shading = estimate_shading(objective, result.transform)
            result = self.climb(shade(objective, self.shading), result.transform, spacing, steps=15)
            trace = trace + result.trace
        return result.transform, result.status, [-v for v in trace]

    def _descend_level(self, stage: LinearStage, level: int) -> tuple[Linear, Status, list[float]]:
        pair, spacing = self.pair, self.pair.spacings_mm[level]
        margin = 2 * pair.spacings_mm[pair.coarse]
        objective = SampledObjective(
            self.metric,
            pair.fixed[level],
            pair.moving[level],
            self.sampler.seen_by(stage.transform, pair.moving[0].grid, margin),
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
        trace, status = minimise(
            unknowns, objective, steps=300, lr=0.2 * spacing / self.object.radius_mm, weights=self.metric
        )
        return Linear(unknowns().matrix.detach()), status, trace

    def gain(self, before: Linear, after: Linear) -> float:
        """Relative gain in information on samples neither was fitted to."""
        level = min(1, self.pair.coarse)
        held_out = self.objective(level, "rigid", self.method.samples // 2, after)
        low, high = held_out(before).information, held_out(after).information
        return (high - low) / max(low, 1e-9)

    def quality(self, transform: Linear, start: Start, status: Status) -> Quality:
        pair, level = self.pair, 0
        name = self.method.stages[-1]
        whole = self.sampler.seen_by(Linear.identity(transform.ndim), None, 0.0)
        seen = self.sampler.seen_by(transform, pair.moving[0].grid, 0.0)
        overlap = len(seen.cells) / max(1, len(whole.cells))
        objective = self.objective(level, name, self.method.samples, transform)
        halves = [
            self.climb(part, transform, pair.spacings_mm[level], steps=2).transform
            for part in objective.split()
        ]
        points = self.object.centre_mm + self.object.radius_mm * _ball(transform.ndim)
        spread = (halves[0](points) - halves[1](points)).square().sum(-1).mean().sqrt()
        precision = 0.5 * float(spread)
        end = objective(transform).information
        before = objective(Linear.identity(transform.ndim)).information
        margin = start.margin if start.others or start.poses_scored else None
        return judge(end, before, overlap, margin, precision, status, pair.spacings_mm[0])


def _ball(d: int) -> Tensor:
    """Points spread through the unit ball, the same every time."""
    axis = torch.linspace(-1, 1, 7, dtype=torch.float64)
    points = torch.cartesian_prod(*[axis] * d)
    return points[points.norm(dim=1) <= 1]


def linear_method(transform: str = "auto", **settings: Any) -> LinearMethod:
    """The linear method for a transform's name: a group, a chain such as `rigid+affine`, or `auto`.

    A group beyond similarity is preceded by similarity, which has less to go wrong far from the answer. Raises
    `UsageError` for a name that is not known.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if transform == "auto":
        return LinearMethod(stages=("rigid", "affine"), choose=True, **chosen)
    stages = tuple(transform.split("+"))
    unknown = [name for name in stages if name not in get_args(Group)]
    if unknown:
        near = get_close_matches(unknown[0], [*get_args(Group), "auto"], n=2, cutoff=0.5)
        hint = (
            f"did you mean {' or '.join(near)}?" if near else f"expected auto or {', '.join(get_args(Group))}"
        )
        raise UsageError(f"unknown transform {unknown[0]!r}; {hint}")
    if stages in (("affine",), ("projective",)):
        stages = ("similarity", *stages)
    return LinearMethod(stages=stages, **chosen)
