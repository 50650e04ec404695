"""The linear method: search all poses, then climb mutual information from coarse to fine by Newton steps."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from difflib import get_close_matches
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from inforeg.errors import PairError, UsageError
from inforeg.image import Foreground, Image, find_foreground, normalise, sample, to_scalar
from inforeg.image.intensity import window
from inforeg.image.pyramid import pyramid, spacings
from inforeg.metrics import METRICS, MINE
from inforeg.models import LinearUnknowns
from inforeg.methods.result import Quality, Result, Stage
from inforeg.settings import Settings
from inforeg.solve.information import SampledInformation
from inforeg.solve.minimise import minimise
from inforeg.solve.newton import Climb, Status, climb
from inforeg.solve.objective import SampledObjective
from inforeg.solve.shading import Shading, estimate_shading, shade
from inforeg.solve.sampler import Stratified
from inforeg.solve.start import PoseSearch, Start, View, from_centres, from_header, from_mass
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
        pair = _prepare(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        report("search", 0.1)
        found = self._start(pair, start, generator)
        run = _Run(self, pair, generator)
        transform, stages, notes = found.best.transform, [], list(pair.notes)
        for number, name in enumerate(self.stages):
            report(name, 0.4 + 0.5 * number / len(self.stages))
            stage = run.stage(name, transform)
            if self.choose and number > 0 and isinstance(stage.transform, Linear):
                gain = run.gain(transform, stage.transform)
                kept = gain > 0.02
                notes.append(
                    f"{name} explains {100 * gain:.1f} % more of samples it was not fitted to than {self.stages[number - 1]}"
                    f" and was {'kept' if kept else 'dropped'} (needed: 2 %)"
                )
                if not kept:
                    continue
            assert isinstance(stage.transform, Linear)
            transform = stage.transform
            stages.append(stage)
        report("check", 0.95)
        quality = run.quality(transform, found, stages[-1].status)
        return Result(
            transform, stages[-1].status, stages, quality, fixed, moving, self.to_dict(), found, notes, perf_counter() - began
        )

    def _start(self, pair: "_Pair", given: Linear | None, generator: torch.Generator) -> Start:
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
        search = PoseSearch(*((m, f) if swapped else (f, m)), generator)
        found = search.moments() if self.init == "moments" else search.run(wide=self.init == "search")
        return found.inverse() if swapped else found


@dataclass(frozen=True, eq=False)
class _Pair:
    """Both images, scalar, at all resolutions (fine to coarse), and where their objects are."""

    fixed: list[Image]
    moving: list[Image]
    spacings_mm: list[float]
    coarse: int
    fixed_view: View
    moving_view: View
    fixed_mask: Image | None
    moving_mask: Image | None
    notes: list[str]


def _prepare(fixed: Image, moving: Image, fixed_mask: Image | None, moving_mask: Image | None) -> _Pair:
    notes = [
        f"{name} has {image.channels} channels and is compared by their first principal component"
        for name, image in (("the fixed image", fixed), ("the moving image", moving))
        if image.channels > 1
    ]
    fixed, moving = to_scalar(fixed), to_scalar(moving)
    d = fixed.grid.ndim
    # Beyond the coarser image's own resolution there is nothing to compare.
    finest = max(float(fixed.grid.spacing_mm.min()), float(moving.grid.spacing_mm.min()))
    longest = max(float(fixed.grid.extent_mm.max()), float(moving.grid.extent_mm.max()))
    steps = spacings(finest, longest / (20 if d == 3 else 60))
    levels = [[level.image for level in pyramid(image, steps)] for image in (fixed, moving)]
    objects = [_object(images[-1], mask, name) for images, mask, name in
               zip(levels, (fixed_mask, moving_mask), ("fixed", "moving"), strict=True)]
    radius = min(o.radius_mm for o in objects)
    wanted = radius / (9 if d == 3 else 30)
    coarse = min(range(len(steps)), key=lambda k: abs(torch.log(torch.tensor(steps[k] / wanted)).item()))
    views = []
    for images, mask, name in zip(levels, (fixed_mask, moving_mask), ("fixed", "moving"), strict=True):
        scaled, finer = normalise(images[coarse]), normalise(images[max(coarse - 1, 0)])
        views.append(View(scaled, finer, _object(scaled, mask, name), window(images[coarse])))
    return _Pair(levels[0], levels[1], steps, coarse, views[0], views[1], fixed_mask, moving_mask, notes)


def _object(image: Image, mask: Image | None, name: str) -> Foreground:
    found = find_foreground(image)
    if mask is not None:
        seen, inside = sample(mask, image.grid.points_mm()[None].float(), mode="nearest")
        allowed = ((seen[0, 0] > 0.5) & inside[0]).reshape(image.grid.shape)
        found = found.within(allowed, image)
    if found.is_empty:
        what = "inside its mask" if mask is not None else "that differs from the background"
        raise PairError(f"expected something to register in the {name} image, found nothing {what}")
    return found


class _Run:
    """The stages of one pair: what they share."""

    def __init__(self, method: LinearMethod, pair: _Pair, generator: torch.Generator) -> None:
        self.method, self.pair, self.generator = method, pair, generator
        self.object = pair.fixed_view.object
        self.sampler = Stratified.around(self.object, pair.fixed_view.coarse, rim=1)
        if pair.fixed_mask is not None:
            self.sampler = Stratified.around(self.object, pair.fixed_view.coarse, rim=0)
        self.shading: Shading | None = None

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

    def stage(self, name: str, start: Linear) -> Stage:
        """One group of transforms, from coarse to fine."""
        return self._climbed(name, start) if self.method.metric == "mi" else self._descended(name, start)

    def _descended(self, name: str, start: Linear) -> Stage:
        pair, transform, status = self.pair, start, "steps"
        metric = METRICS[self.method.metric]()
        if isinstance(metric, MINE):
            metric.reset(self.generator)
        metric = metric.to(pair.moving[0].data.device)
        values: list[float] = []
        where: list[float] = []
        for level in reversed(range(max(1, pair.coarse))):
            spacing = pair.spacings_mm[level]
            near = self.sampler.seen_by(transform, pair.moving[0].grid, 2 * pair.spacings_mm[pair.coarse])
            objective = SampledObjective(
                metric,
                pair.fixed[level],
                pair.moving[level],
                near,
                8_192,
                self.generator,
                fixed_window=pair.fixed_view.window,
                moving_window=pair.moving_view.window,
                moving_mask=pair.moving_mask,
            )
            linear_group = group(name, transform.ndim)
            unknowns = LinearUnknowns(linear_group, transform, self.object.centre_mm, self.object.radius_mm)
            trace, status = minimise(
                unknowns, objective, steps=300, lr=0.2 * spacing / self.object.radius_mm, weights=metric
            )
            transform = Linear(unknowns().matrix.detach())
            values += trace
            where += [spacing] * len(trace)
        return Stage(name, transform, status, where, values)  # type: ignore[arg-type]

    def _climbed(self, name: str, start: Linear) -> Stage:
        transform, status = start, "steps"
        values: list[float] = []
        where: list[float] = []
        for level in reversed(range(max(1, self.pair.coarse))):
            spacing = self.pair.spacings_mm[level]
            # Every finer level holds more detail to look at, up to where more samples no longer change the answer.
            count = max(8_000, self.method.samples >> level)
            objective = self.objective(level, name, count, transform)
            result = self.climb(objective, transform, spacing, steps=15)
            transform, status = result.transform, result.status
            if self.method.shading and level <= 1:
                self.shading = estimate_shading(objective, transform)
            if self.method.shading and level == 0:
                result = self.climb(shade(objective, self.shading), transform, spacing, steps=15)
                transform, status = result.transform, result.status
            values += [-v for v in result.trace]
            where += [spacing] * len(result.trace)
        return Stage(name, transform, status, where, values)  # type: ignore[arg-type]

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
        halves = [self.climb(part, transform, pair.spacings_mm[level], steps=3).transform for part in objective.split()]
        points = self.object.centre_mm + self.object.radius_mm * _ball(transform.ndim)
        spread = (halves[0](points) - halves[1](points)).square().sum(-1).mean().sqrt()
        precision = 0.5 * float(spread)
        end = objective(transform).information
        before = objective(Linear.identity(transform.ndim)).information
        margin = start.margin if start.others or start.poses_scored else None
        return judge(end, before, overlap, margin, precision, status, pair.spacings_mm[0])


def judge(
    information: float,
    before: float,
    overlap: float,
    margin: float | None,
    precision_mm: float,
    status: Status,
    spacing_mm: float,
) -> Quality:
    """The verdict on a result from its figures; every rule that fires is one sentence."""
    reasons: list[str] = []
    failed = False
    if status in ("diverged", "no_overlap"):
        reasons.append(f"the optimisation ended with {status.replace('_', ' ')}")
        failed = True
    if information < 0.02:
        reasons.append(f"the images share almost no information ({information:.3f} nats per sample)")
        failed = True
    if overlap < 0.2:
        reasons.append(f"only {100 * overlap:.0f} % of the fixed object lies inside the moving image")
    if margin is not None and margin < 0.08:
        reasons.append(
            f"a clearly different pose explains the images almost as well (it reaches {100 * (1 - margin):.0f} % of the"
            " winner's information)"
        )
    if precision_mm > 0.5 * spacing_mm:
        reasons.append(f"other samples of the same images move the result by {precision_mm:.2g} mm")
    verdict: Literal["good", "check", "failed"] = "failed" if failed else "check" if reasons else "good"
    return Quality(verdict, reasons, overlap, information, before, margin, precision_mm)


def _ball(d: int) -> Tensor:
    """Points spread through the unit ball, the same every time."""
    points = torch.quasirandom.SobolEngine(d, seed=0).draw(256).to(torch.float64) * 2 - 1
    return points[points.norm(dim=1) <= 1]


def linear_method(transform: str = "auto", **settings: Any) -> LinearMethod:
    """The linear method for a transform's name: a group, a chain such as `rigid+affine`, or `auto`.

    A group beyond rigid is preceded by rigid, which has less to go wrong far from the answer. Raises `UsageError`
    for a name that is not known.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if transform == "auto":
        return LinearMethod(stages=("rigid", "affine"), choose=True, **chosen)
    stages = tuple(transform.split("+"))
    unknown = [name for name in stages if name not in get_args(Group)]
    if unknown:
        near = get_close_matches(unknown[0], [*get_args(Group), "auto"], n=2, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"expected auto or {', '.join(get_args(Group))}"
        raise UsageError(f"unknown transform {unknown[0]!r}; {hint}")
    if len(stages) == 1 and stages[0] not in ("translation", "rigid"):
        stages = ("rigid", *stages)
    return LinearMethod(stages=stages, **chosen)
