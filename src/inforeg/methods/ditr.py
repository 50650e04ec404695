"""DITR: linear registration by a learnt metric of patches."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.patches import patch_levels
from inforeg.methods.choosing import of_one_group
from inforeg.methods.judge import judge
from inforeg.methods.learnt import bytes_of, model_for
from inforeg.methods.method import Progress
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.patch_run import Optimiser, PatchRun, PatchScene, precision
from inforeg.methods.result import Quality, Result
from inforeg.methods.stages import LinearStage
from inforeg.methods.starting import Init, find_start
from inforeg.nets import PatchMetric
from inforeg.settings import Settings
from inforeg.solve.dense.learnt import PatchScore
from inforeg.solve.sampler import Stratified
from inforeg.solve.search import rotations_2d, rotations_3d
from inforeg.solve.start import Candidate, Start, centre_to_centre, from_centres, from_header
from inforeg.transforms import Linear

NAME = "ditr"
KINDS = ("translation", "rigid", "similarity", "affine")
# Patches that starts are compared by, how many starts are climbed from, those that at a glance come within a share of
# the best one, and the rotations of a wide search.
_FEW, _TRIED, _WITHIN = 200, 3, 0.4
_TURNS = {2: 72, 3: 600}
_AT_A_GLANCE = 60
# How far aside a peak is compared with, in the last network's voxels.
_ASIDE = 6
# Voxels larger than the last network's by more than this are worth a note.
_COARSER = 1.5
# Patches that are looked at together.
_BATCH = 256


class DitrSettings(Settings):
    """What registering by a learnt metric can be told; all but the metric has a default that serves."""

    model: str
    """The metric: a file that `inforeg train` wrote of a recipe with `network = "patches"`."""
    transform: Literal["translation", "rigid", "similarity", "affine"] = "affine"
    """What is looked for."""
    optimiser: Optimiser = "newton"
    """`newton` follows the slopes through the network, `powell` searches without them, as published."""
    networks: Literal["cascade", "last"] = "cascade"
    """All networks of the metric, from coarse to fine, or the last one alone, as published."""
    init: Init = "auto"
    """Where to start: auto compares, by the coarsest network, the header, the centres and where mutual information
    would start; search looks at all rotations by that network."""
    places: Annotated[int, Field(ge=16, le=1_000_000)] = 500
    """Patches that are looked at, spread over the fixed image's object; half as many by all but the last network."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


class Ditr(DitrSettings):
    """Registers by a classifier of patches: `Ditr(model="metric.safetensors")(fixed, moving) -> Result`.

    The objective is the mean logit of a network that tells patches of one place from patches thrown together, over
    places in the fixed image's object (Sedghi, Luo, Mehrtash, Pieper, Tempany, Kapur, Mousavi and Wells, arXiv
    1901.00040): the likelihood of the alignment, where single voxels need tell nothing of each other. The paper
    climbs by Powell's method, with the last network alone and from where the images lie (`optimiser="powell"`,
    `networks="last"`, `init="header"`). Here all networks are climbed, from the coarsest, which sees far, to the last,
    by Newton steps on exact slopes, from the best of several starts.

    The information in `quality` is that of patches, and much more than a voxel's: the mean logit, less what the same
    patches tell when they are dealt anew, so that images of another kind than those learnt from are seen for what they
    are (`PatchLikelihood.by_chance`).
    """

    name: ClassVar[str] = NAME

    def model_bytes(self) -> int:
        """What the network takes at most while it looks, by what its file says. Raises `ReadError` for no model."""
        return _BATCH * bytes_of(self.model)

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

        Raises `PairError` where there is nothing to register, or images of another dimension than the metric's;
        `ReadError` for a file that is no model, `UsageError` for a model of another kind, and for a projective start.
        """
        if start is not None and not start.is_affine:
            raise UsageError(
                f"expected an affine transform to start from, got a projective one; give {NAME} another"
            )
        began = perf_counter()
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        return replace(self.on(pair, start, generator, progress), seconds=perf_counter() - began)

    def on(
        self,
        pair: Pair,
        start: Linear | None,
        generator: torch.Generator,
        progress: Progress | None = None,
    ) -> Result:
        """Registers a pair that has been prepared; the seconds are left to whoever prepared it."""
        report = progress or (lambda _name, _share: None)
        metric = patch_metric(self.model, pair.images[0])
        report("search", 0.1)
        run = PatchRun(metric, _scene(pair, metric), self.places, generator)
        first = 0 if self.networks == "cascade" else run.stages - 1
        tried = [
            self._first(run, candidate, first) for candidate in self._starts(run, pair, start, generator)
        ]
        tried.sort(key=lambda attempt: -attempt.told)
        later = [n for n in range(first + 1, run.stages) if not run.seen_later(n)]
        apart = [a for a in tried if a is tried[0] or run.elsewhere(a.end, tried[0].end)]
        if len(apart) > 1 and later:
            # What the coarsest network takes for likely in two places, the next one tells apart.
            tried = [self._next(run, attempt, later[0]) for attempt in apart]
            tried.sort(key=lambda attempt: -attempt.told)
            later = later[1:]
        margin = _margin(run, tried) if start is None and self.init in ("auto", "search", "moments") else None
        stages = [*tried[0].stages]
        for number in later:
            report("stages", 0.2 + 0.7 * number / run.stages)
            stages.append(self._stage(run, number, stages[-1].transform))
        report("check", 0.95)
        poses = [Candidate(a.start.transform, a.told, a.start.origin) for a in tried]
        return Result(
            stages[-1].transform,
            stages[-1].status,
            stages,
            self._quality(run, pair, stages[-1], margin),
            pair.images[0],
            pair.images[1],
            self.to_dict(),
            Start(poses[0], poses[1:], len(poses) if len(poses) > 1 else 0),
            [*pair.notes, *_coarse(pair, metric)],
            method=NAME,
        )

    def _starts(
        self, run: PatchRun, pair: Pair, given: Linear | None, generator: torch.Generator
    ) -> list[Candidate]:
        """Where to climb from: what was given or named, or the most promising of several."""
        motion = "translation" if self.transform == "translation" else "rigid"
        if given is not None or self.init not in ("auto", "search"):
            return [find_start(pair, self.init, motion, given, generator).best]
        first = 0 if self.networks == "cascade" else run.stages - 1
        glance = run.likelihood(first, "rigid", _AT_A_GLANCE if self.init == "search" else _FEW)
        grids = pair.fixed[-1].grid, pair.moving[-1].grid
        if self.init == "search":
            all_turns = rotations_2d(_TURNS[2]) if grids[0].ndim == 2 else rotations_3d(_TURNS[3])
            middles = pair.fixed_view.object.centre_mm, pair.moving_view.object.centre_mm
            turned = centre_to_centre(*middles, all_turns if motion == "rigid" else None)
            poses = [(Linear(matrix), "search") for matrix in turned]
        else:
            wanted = find_start(pair, "auto", motion, None, generator)
            poses = [(c.transform, c.origin) for c in wanted.contenders()]
        poses += [(from_header(grids[0]), "header"), (from_centres(*grids), "centre")]
        told = sorted(
            (Candidate(pose, glance.told(pose), origin) for pose, origin in poses),
            key=lambda candidate: -candidate.information,
        )
        kept: list[Candidate] = []
        for candidate in told:
            close = candidate.information > told[0].information - _WITHIN * abs(told[0].information)
            # Where the header puts the images is likely whatever a coarse network makes of it.
            likely = candidate.origin == "header" or (close and len(kept) < _TRIED)
            if likely and all(run.elsewhere(candidate.transform, other.transform) for other in kept):
                kept.append(candidate)
        return kept

    def _first(self, run: PatchRun, start: Candidate, stage: int) -> "_Attempt":
        made = self._stage(run, stage, start.transform)
        return _Attempt(start, [made], run.likelihood(stage, "rigid", _FEW).told(made.transform))

    def _next(self, run: PatchRun, attempt: "_Attempt", stage: int) -> "_Attempt":
        made = self._stage(run, stage, attempt.end)
        told = run.likelihood(stage, "rigid", _FEW).told(made.transform)
        return _Attempt(attempt.start, [*attempt.stages, made], told)

    def _stage(self, run: PatchRun, number: int, start: Linear) -> LinearStage:
        """One network. The coarsest of several sees too little for a stretch to be told from a turn."""
        name = self.transform
        if number == 0 and run.stages > 1 and name in ("similarity", "affine"):
            name = "rigid"
        last = number == run.stages - 1
        end = run.climbed(
            number, start, name, self.optimiser, self.places if last else max(16, self.places // 2)
        )
        spacing = run.metric.settings.spacings_mm[number]
        trace = [-value for value in end.trace]
        return LinearStage(name, end.transform, end.status, [spacing] * len(trace), trace, end.path)

    def _quality(self, run: PatchRun, pair: Pair, stage: LinearStage, margin: float | None) -> Quality:
        """The figures of a result, and the verdict from them."""
        likelihood, transform = run.likelihood(run.stages - 1, self.transform), stage.transform
        spacing = run.metric.settings.spacings_mm[-1]
        chance, d = likelihood.by_chance(transform), transform.ndim
        here = likelihood.told(transform) - chance
        steps = _ASIDE * spacing * torch.eye(d, dtype=torch.float64)
        aside = max(
            likelihood.told(Linear(Linear.translation(step).matrix @ transform.matrix)) - chance
            for step in steps
        )
        halves = [
            run.climb(half, transform, spacing, least_gain=0.0).transform for half in likelihood.split()
        ]
        return judge(
            information=here,
            before=likelihood.told(Linear.identity(d)) - chance,
            # It is taken off already.
            chance=0.0,
            kept=1.0,
            overlap=likelihood.overlap(transform),
            margin=margin,
            precision_mm=0.5 * run.apart_mm(*halves),
            status=stage.status,
            spacing_mm=pair.spacings_mm[0],
            aside=max(0.0, aside),
        )


@dataclass(frozen=True, eq=False)
class _Attempt:
    """Where a start has led by the first networks, and what the last of them tells there."""

    start: Candidate
    stages: list[LinearStage]
    told: float

    @property
    def end(self) -> Linear:
        """Where it is by now."""
        return self.stages[-1].transform


def _margin(run: PatchRun, tried: list[_Attempt]) -> float:
    """The best attempt's lead over those that ended elsewhere."""
    best = tried[0]
    rivals = [other.told for other in tried[1:] if run.elsewhere(best.end, other.end)]
    return 1 - max([0.0, *rivals]) / max(best.told, 1e-9)


def _coarse(pair: Pair, metric: PatchMetric) -> list[str]:
    """What to tell where images have fewer voxels than the last network was trained for."""
    finest, wanted = pair.spacings_mm[0], metric.settings.spacings_mm[-1]
    if finest <= _COARSER * wanted:
        return []
    return [
        f"the metric was trained on voxels of {wanted:g} mm, and these images have {finest:.3g} mm: it sees them"
        " blurred"
    ]


def _scene(pair: Pair, metric: PatchMetric) -> PatchScene:
    there = pair.fixed_view.object
    places = Stratified.around(there, pair.fixed_view.coarse, rim=1)
    if pair.fixed_mask is not None:
        places = places.within(pair.fixed_mask)
    fixed, moving = (patch_levels(image, metric.settings.spacings_mm) for image in pair.images)
    return PatchScene(fixed, moving, places, there.centre_mm, there.radius_mm, pair.moving_mask)


def patch_metric(model: str, fixed: Image) -> PatchMetric:
    """The networks of a metric's file, for images like this one. Raises as `model_for` does."""
    net = model_for(model, PatchMetric, "tells whether patches are of one place", fixed).net
    assert isinstance(net, PatchMetric)
    return net


def patch_score(model: str, fixed: Image) -> PatchScore:
    """A metric's last network, which sees finest, as the deformable method asks it. Raises as `model_for` does."""
    net = patch_metric(model, fixed).requires_grad_(False).of_stage(-1)
    kind = precision(fixed.data.device)

    def dense(pair: Tensor) -> Tensor:
        with torch.autocast(pair.device.type, kind, enabled=kind != torch.float32):
            return net.dense(pair).float()

    return PatchScore(dense, net.settings.patch)


def ditr(transform: str = "auto", **settings: Any) -> Ditr:
    """The method for a transform's name; `auto` is affine. Raises `UsageError` for one it does not know."""
    return of_one_group(Ditr, NAME, KINDS, transform, settings)
