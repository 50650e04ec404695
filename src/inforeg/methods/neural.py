"""The steps of the improved DRMIME for one pair: a race of starts, the levels, the finish, and the result's figures."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from inforeg.methods.judge import judge, on_peak
from inforeg.methods.nearby import Nearby
from inforeg.methods.pair import Pair
from inforeg.methods.result import Quality, Response
from inforeg.methods.stages import LinearRun, LinearSettings, LinearStage
from inforeg.methods.views import Sights
from inforeg.solve.ascend import ascend
from inforeg.solve.neural import NeuralInformation
from inforeg.solve.newton import Status
from inforeg.solve.response import response
from inforeg.solve.start import Candidate
from inforeg.transforms import Linear, group

if TYPE_CHECKING:
    from inforeg.methods.drmime import DrmimeSettings

# A level is left when steps are shorter than this share of its spacing.
_TOLERANCE = 0.03
_MOST_STEPS = 40
_FINISH, _AVERAGED, _MORE = 14, 10, 4
# Starts that are compared, and after how many steps of the levels.
_MOST_IN_RACE, _RACED = 5, 2
# How far aside that is: voxels, and at most a share of the longest side.
_ASIDE, _MOST_ASIDE = 6, 1 / 12
# A lead that leaves no doubt of a start.
_CLEAR = 0.25
# Training steps for reading off what the images tell at a pose.
_READ, _READ_BATCH = 50, 1024


@dataclass(eq=False)
class Attempt:
    """Where one start has led so far, and the network that was trained on the way."""

    candidate: Candidate
    network: NeuralInformation
    transform: Linear
    status: Status = "steps"
    trace: list[float] = field(default_factory=list)
    path: list[Linear] = field(default_factory=list)
    spacing_mm: list[float] = field(default_factory=list)


class NeuralRun:
    """What the steps of one pair share."""

    def __init__(self, settings: "DrmimeSettings", pair: Pair, shown: Sights) -> None:
        self.settings, self.pair, self.shown = settings, pair, shown
        self.notes: list[str] = []
        # One channel on either side: what one network learns of intensities, a table holds exactly.
        self.scalar = settings.table and all(image.channels == 1 for image in pair.images)
        self.tabled: Linear | None = None
        generator = torch.Generator().manual_seed(settings.seed)
        self.linear = LinearRun(
            LinearSettings(stages=(settings.transform,), seed=settings.seed), pair, generator
        )
        top = len(shown.fixed) - 1
        # Two neighbouring levels at a time, from the coarsest: one network and one mean for both.
        self.levels: list[tuple[int, ...]] = [(k - 1, k) for k in range(top, 0, -1)] or [(0,)]

    def race(self, tabled: list[Candidate], starts: list[Candidate], margin: float) -> tuple[Attempt, float]:
        """The start that leads furthest, and its lead over the best one that leads elsewhere (1: there is none).

        The first one, which leads by `margin` so far, runs alone if that is clear, and wins where it ends on a peak.
        Otherwise all run, and are compared by what the images tell at their poses beyond what they tell a few voxels
        aside: by itself, information also grows with lighting, and where a network has little to learn from. Those
        that tables have led to run on the last of the levels only: coarser ones might lead them away again.
        """
        last = self._raced - 1
        level = self.levels[last][0]
        runners = [*((c, last) for c in tabled), *((c, 0) for c in starts)][:_MOST_IN_RACE]
        running: list[tuple[Attempt, float]] = []
        for candidate, first in runners:
            attempt = Attempt(candidate, self._network(), candidate.transform)
            for number in range(first, last + 1):
                self._climb(attempt, self._coarse(number), self.levels[number])
            here, aside = self._peak(attempt.transform, level, few=True)
            sure = on_peak(here, aside) and self._overlap(attempt.transform) > 0.5
            if len(runners) == 1 or (sure and not running and margin > _CLEAR):
                return attempt, margin
            running.append((attempt, here - aside))
        running.sort(key=lambda pair: -pair[1])
        (best, lead), *others = running
        rivals = [above for attempt, above in others if self._differ(attempt.transform, best.transform)]
        return best, 1 - max([0.0, *rivals]) / max(lead, 1e-9)

    @property
    def _raced(self) -> int:
        return min(_RACED, len(self.levels))

    def _coarse(self, number: int) -> str:
        """What may move on a level: the first sees too little for a stretch to be told from a turn."""
        name = self.settings.transform
        return "similarity" if number == 0 and name in ("affine", "projective") else name

    def by_tables(self, starts: list[Candidate], searched: bool) -> tuple[list[Candidate], float]:
        """Where starts lead by tables, the best two; and the lead of the best over all that end elsewhere.

        The first start is climbed from coarse to fine by the table of single intensities, and about all of them poses
        are searched on the level of the race. `searched` says that the coarsest level has been looked at.
        """
        shown, name = self.shown, self.settings.transform
        level = min(self.levels[self._raced - 1][0], len(self.pair.fixed) - 1)
        generator = torch.Generator().manual_seed(self.settings.seed)
        nearby = Nearby(self.pair, level, shown.sampler, shown.centre_mm, shown.radius_mm, name, generator)
        told: list[tuple[float, Candidate]] = []

        def tell(start: Candidate, ends: list[Linear]) -> None:
            told.extend((nearby.information(end), replace(start, transform=end)) for end in ends)
            told.sort(key=lambda pair: -pair[0])

        stage = self.linear.stage(name, starts[0].transform, searched)
        if stage.status not in ("no_overlap", "diverged"):
            tell(starts[0], [stage.transform])
        for number, start in enumerate(starts):
            # Of starts that lie close together, as the header's and the centres' often do, one search sees all.
            if all(self._differ(start.transform, other.transform) for other in starts[:number]):
                tell(start, nearby.about(start.transform))
        if not told:
            return [], 1.0
        tell(told[0][1], nearby.closer(told[0][1].transform))
        most, best = told[0]
        self.tabled = best.transform
        rivals = [(value, end) for value, end in told if self._differ(end.transform, best.transform)]
        lead = 1 - max([0.0, *(value for value, _ in rivals)]) / max(most, 1e-9)
        return [best, *(end for _, end in rivals[:1])], lead

    def agree(self, found: list[Candidate], other: Candidate) -> bool:
        """Whether all that were found lie where another one does."""
        return not any(self._differ(one.transform, other.transform) for one in found)

    def through(self, attempt: Attempt) -> list[LinearStage]:
        """The rest of the levels, the finish, and for scalar images the table's answer."""
        name = self.settings.transform
        for levels in self.levels[self._raced :]:
            self._climb(attempt, name, levels)
        self._climb(attempt, name, self.levels[-1], finish=True)
        metric = [-v for v in attempt.trace]
        stage = LinearStage(name, attempt.transform, attempt.status, attempt.spacing_mm, metric, attempt.path)
        lost = stage.status in ("no_overlap", "diverged")
        return [stage] if lost or not self.scalar else [stage, *self._finish_by_table(stage)]

    def _network(self) -> NeuralInformation:
        shown = self.shown
        return NeuralInformation(
            shown.fixed,
            shown.moving,
            shown.centre_mm,
            shown.radius_mm,
            shown.sampler,
            self.settings.learning,
            torch.Generator().manual_seed(self.settings.seed),
            self.pair.moving_mask,
        )

    def _climb(self, attempt: Attempt, name: str, levels: tuple[int, ...], finish: bool = False) -> None:
        if attempt.status in ("no_overlap", "diverged"):
            return
        spacing = self.shown.spacings_mm[levels[0]]
        more = _MORE if finish else 1
        count, batch = more * self.settings.samples, more * self.settings.learning.batch
        family = group(name, attempt.transform.ndim)
        result = ascend(
            lambda transform: attempt.network(transform, family, levels, count, batch),
            attempt.transform,
            family,
            self.shown.centre_mm,
            self.shown.radius_mm,
            steps=_FINISH if finish else _MOST_STEPS,
            tolerance_mm=_TOLERANCE * spacing,
            longest_mm=2 * spacing,
            averaged=_AVERAGED if finish else 1,
        )
        attempt.transform, attempt.status = result.transform, result.status
        attempt.trace += result.trace
        attempt.path += result.path
        attempt.spacing_mm += [spacing] * len(result.trace)

    def _differ(self, one: Linear, other: Linear) -> bool:
        return self.linear.apart_mm(one, other) > 0.1 * self.shown.radius_mm

    def _finish_by_table(self, stage: LinearStage) -> list[LinearStage]:
        """The finest level once more by the table of joint intensities, where that may be trusted.

        A table has no training noise, so where both agree to half a voxel its answer is the exacter one. They part
        where surroundings tell more than single intensities do; then the network is followed if it stands on a peak.
        """
        spacing = self.shown.spacings_mm[0]
        found = self.linear.finish(LinearStage(stage.name, stage.transform, "steps"))
        moved = self.linear.apart_mm(found.transform, stage.transform)
        if found.status in ("no_overlap", "diverged") or moved > 0.5 * spacing:
            here, aside = self._peak(stage.transform, self._read_off)
            if self.tabled is None or on_peak(here, aside):
                self.notes.append(
                    f"by single intensities alone the result would lie {moved:.2g} mm away; the network, which sees"
                    " local contrast too, was followed"
                )
                return []
            found = self.linear.finish(LinearStage(stage.name, self.tabled, "steps"))
            self.notes.append("the network found no peak; the table of single intensities was followed")
        return [
            LinearStage("table", found.transform, found.status, found.spacing_mm, found.metric, found.path)
        ]

    def quality(self, stages: list[LinearStage], attempt: Attempt, margin: float | None) -> Quality:
        """The figures of a result, and the verdict from them."""
        transform = stages[-1].transform
        last = attempt.path[-_AVERAGED:]
        here, aside = self._peak(transform, self._read_off, few=True)
        before = self._told(Linear.identity(transform.ndim), self._read_off)
        return judge(
            information=here,
            before=before,
            # Read off samples that were not learnt from, so chance adds nothing.
            chance=0.0,
            kept=here / max(before, 1e-9),
            overlap=self._overlap(transform),
            margin=margin,
            # Every one of the last transforms is from samples of its own.
            precision_mm=self.linear.apart_mm(last[0], last[-1]) / len(last) ** 0.5,
            status=stages[-1].status,
            spacing_mm=self.pair.spacings_mm[0],
            aside=aside,
        )

    def _overlap(self, transform: Linear) -> float:
        whole = self.shown.sampler
        seen = whole.seen_by(transform, self.pair.moving[0].grid, 0.0)
        return len(seen.cells) / max(1, len(whole.cells))

    def _peak(self, transform: Linear, level: int, few: bool = False) -> tuple[float, float]:
        """What the images tell at a pose, and the most of what they tell a few voxels aside.

        Lighting, vignettes and other smooth things tell of each other at any pose. Only structures that meet make a
        difference of six voxels.
        """
        d, longest = transform.ndim, float(self.pair.fixed[0].grid.extent_mm.max())
        aside = min(_ASIDE * self.shown.spacings_mm[level], _MOST_ASIDE * longest)
        steps = aside * torch.eye(d, dtype=torch.float64)
        moves = [Linear.translation(step) for step in (steps if few else torch.cat((steps, -steps)))]
        told = [self._told(Linear(move.matrix @ transform.matrix), level) for move in moves]
        return self._told(transform, level), max(0.0, *told)

    @property
    def _read_off(self) -> int:
        """The level that figures are read off: the second finest, where there is less noise."""
        return min(1, len(self.shown.fixed) - 1)

    def _told(self, transform: Linear, level: int) -> float:
        """What a network of its own, trained at this pose alone, finds in samples it was not trained on."""
        network = self._network()
        levels = (level,)
        seen = network.see(transform, levels, 8192)
        if len(seen[0].points) < 2:
            return 0.0
        network.learn(seen, _READ, _READ_BATCH)
        fresh = network.see(transform, levels, 8192)[0]
        return fresh.overlap * network.information(fresh)

    @torch.no_grad()
    def response(self, attempt: Attempt, transform: Linear) -> Response | None:
        """What the network makes of intensities of the finest level, at the usual local contrast, which is none."""
        network = attempt.network
        seen = network.see(transform, (0,), 20_000)[0]
        if len(seen.points) < 2:
            return None
        c, k = seen.fixed.shape[1] // 2, seen.moving.shape[1] // 2

        def score(fixed: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
            shown = [torch.cat((v, torch.zeros_like(v)), dim=1) for v in (fixed, moving)]
            found: torch.Tensor = network.metric.network(*shown)
            return found

        sights = self.shown.fixed[0], self.shown.moving[0]
        scales = [(float(s.mean.mean()), float(s.spread.mean())) for s in sights]
        return Response(
            *response(
                score, seen.fixed[:, :c], seen.moving[:, :k], fixed_scale=scales[0], moving_scale=scales[1]
            )
        )
