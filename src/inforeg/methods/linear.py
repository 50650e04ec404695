"""The linear method: search all poses, then climb mutual information from coarse to fine by Newton steps."""

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, ClassVar, get_args

import torch

from inforeg.errors import UsageError, did_you_mean
from inforeg.image import Image
from inforeg.methods.method import Progress
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.result import Result
from inforeg.methods.stages import Group, LinearRun, LinearSettings, LinearStage
from inforeg.methods.starting import find_start
from inforeg.solve.shading import Shading
from inforeg.solve.start import Candidate, Start
from inforeg.transforms import Linear


class LinearMethod(LinearSettings):
    """Registers by a linear transform: `LinearMethod(stages=("rigid", "affine"))(fixed, moving) -> Result`.

    All lengths are derived from the object in the images, none is given in voxels or millimetres, so the same values
    serve a mouse and a head. Colour images are compared by their first principal component.
    """

    name: ClassVar[str] = "linear"

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
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        found = self.on(pair, start, generator, progress)
        return replace(found, seconds=perf_counter() - began)

    def on(
        self,
        pair: Pair,
        start: Linear | None,
        generator: torch.Generator,
        progress: Progress | None = None,
    ) -> Result:
        """Registers a pair that has been prepared; the seconds are left to whoever prepared it."""
        report = progress or (lambda _name, _share: None)
        report("search", 0.1)
        found = find_start(pair, self.init, self.stages[0], start, generator)
        run = LinearRun(self, pair, generator)
        report("stages", 0.4)
        # Poses that come close are taken through the same stages: a coarse rigid look may not tell them apart.
        tried = [self._through(run, candidate, found.poses_scored > 0) for candidate in found.contenders()]
        tried.sort(key=lambda attempt: -attempt.explained)
        best = tried[0]
        stages, notes, run.shading = best.stages, [*pair.notes, *best.notes], best.shading
        margin = self._margin(run, found, tried)
        found = found.led_by(best.candidate)
        report("finest level", 0.75)
        stages[-1] = run.finish(stages[-1])
        transform = stages[-1].transform
        report("check", 0.95)
        quality = run.quality(stages[-1], best.candidate.transform, margin)
        return Result(
            transform,
            stages[-1].status,
            stages,
            quality,
            pair.images[0],
            pair.images[1],
            self.to_dict(),
            found,
            notes,
        )

    def _margin(self, run: LinearRun, found: Start, tried: "list[_Attempt]") -> float | None:
        """The winner's lead over the best attempt that ended elsewhere, or else over the poses not tried."""
        if not found.poses_scored:
            return None
        best = tried[0]
        leads = [
            1 - max(0.0, other.explained) / max(best.explained, 1e-9)
            for other in tried[1:]
            if run.apart_mm(best.stages[-1].transform, other.stages[-1].transform)
            > 0.1 * run.object.radius_mm
        ]
        untried = found.others[len(tried) - 1 :]
        leads += [1 - max(0.0, c.information) / max(found.best.information, 1e-9) for c in untried]
        return min(leads, default=1.0)

    def _through(self, run: LinearRun, candidate: Candidate, searched: bool) -> "_Attempt":
        """All stages from one start, but for the finest level."""
        shading: Shading | None = None
        transform = candidate.transform
        stages: list[LinearStage] = []
        notes: list[str] = []
        for number, name in enumerate(self.stages):
            stage = run.stage(name, transform, searched)
            if self.choose and number > 0:
                gain = run.explained(stage.transform) / max(run.explained(transform), 1e-9) - 1
                kept = gain > 0.02
                notes.append(
                    f"{name} explains {100 * gain:.1f} % more of samples it was not fitted to than {stages[-1].name}"
                    f" and was {'kept' if kept else 'dropped'} (needed: 2 %)"
                )
                if not kept:
                    run.shading = shading
                    continue
            transform = stage.transform
            stages.append(stage)
            shading = run.shading
        return _Attempt(candidate, run.explained(transform), stages, notes, run.shading)


@dataclass(frozen=True, eq=False)
class _Attempt:
    """Where one starting pose led, and the information it explains there."""

    candidate: Candidate
    explained: float
    stages: list[LinearStage]
    notes: list[str]
    shading: Shading | None


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
        expected = f"expected auto or {', '.join(get_args(Group))}"
        hint = did_you_mean(unknown[0], [*get_args(Group), "auto"], expected)
        raise UsageError(f"unknown transform {unknown[0]!r}; {hint}")
    if stages in (("affine",), ("projective",)):
        stages = ("similarity", *stages)
    return LinearMethod(stages=stages, **chosen)
