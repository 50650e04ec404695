"""DRMIME, improved: neural mutual information of sampled positions, climbed by Newton steps from a searched start."""

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, get_args

import torch
from pydantic import Field

from inforeg.image import Image
from inforeg.methods.choosing import of_one_group
from inforeg.methods.method import Progress
from inforeg.methods.neural import NeuralRun
from inforeg.methods.pair import prepare_pair
from inforeg.methods.result import Result
from inforeg.methods.stages import Group
from inforeg.methods.starting import Init, find_start
from inforeg.methods.views import by_contrast, sights_of
from inforeg.settings import Settings
from inforeg.solve.neural import Learning
from inforeg.solve.start import Candidate, from_centres, from_header
from inforeg.transforms import Linear


class DrmimeSettings(Settings):
    """What the improved method can be told; all of it has a default that serves."""

    transform: Group = "affine"
    """What may be done to the moving image."""
    init: Init = "auto"
    """Where to start: auto searches all poses, by intensity and by local contrast, and compares them with the
    header's and the centres'."""
    samples: Annotated[int, Field(ge=256, le=10_000_000)] = 4096
    """Positions looked at on each level in one step; four times as many in the last steps."""
    learning: Learning = Learning()
    """How the network is trained."""
    table: bool = True
    """Search about the starts of scalar images by tables of what is met with what, and finish them by the table of
    intensities where it agrees with the network."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling and of the network."""


class Drmime(DrmimeSettings):
    """Registers by neural mutual information: `Drmime(transform="affine")(fixed, moving) -> Result`.

    After Nan, Tennant, Rubin and Ray (MIDL 2020), whose method as published is `DrmimePaper`: one statistics network
    for all levels, and transforms as matrix exponentials. Here only sampled positions are read; the frame is in
    millimetres about the object; the network also sees local contrast, and learns before the transform moves; the
    transform moves by Newton steps, two levels of the pyramid in one mean, from coarse to fine; starts are searched
    for and raced; the last transforms are averaged. Of scalar images, poses about each start are searched on a fine
    level by the tables of intensity and of local contrast, and the table of intensities has the last word where it
    agrees. Colours stay colours. The first stage of the result is the network's, `table` the table's.
    """

    name: ClassVar[str] = "drmime"

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
        motion = self.transform if self.transform in ("translation", "rigid") else "similarity"
        found = find_start(pair, self.init, motion, start, generator)
        others: list[Candidate] = []
        lead = 1.0
        if found.poses_scored:
            other = find_start(by_contrast(pair), self.init, motion, None, generator)
            if other.margin > found.margin:
                found, other = other, found
            lead = found.margin
            scored = found.poses_scored + other.poses_scored
            # The other search's poses are scored on another scale: they are tried, and not listed beside these.
            found = replace(found, poses_scored=scored)
            named = [("header", from_header(fixed.grid)), ("centre", from_centres(fixed.grid, moving.grid))]
            others = [other.best, *found.contenders()[1:2]]
            others += [Candidate(pose, 0.0, origin) for origin, pose in named]
        run = NeuralRun(self, pair, sights_of(pair, fixed, moving))
        starts = _distinct([found.best, *others])
        tabled: list[Candidate] = []
        if run.scalar:
            tabled, ahead = run.by_tables(starts, searched=found.poses_scored > 0)
            # A search that led to the same place has looked further round than tables do about a start.
            if not (found.poses_scored and run.agree(tabled[:1], found.best)):
                lead = min(lead, ahead)
        report("coarse levels", 0.3)
        best, margin = run.race(tabled, starts, lead)
        report("all levels", 0.5)
        stages = run.through(best)
        report("check", 0.9)
        transform = stages[-1].transform
        quality = run.quality(stages, best, margin if found.poses_scored else None)
        return Result(
            transform,
            stages[-1].status,
            stages,
            quality,
            fixed,
            moving,
            self.to_dict(),
            found.led_by(best.candidate),
            run.notes,
            perf_counter() - began,
            self.name,
            run.response(best, transform),
        )


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Without those that repeat an earlier one to the last digit, as the header often does the centres."""
    kept: list[Candidate] = []
    for candidate in candidates:
        if not any(torch.allclose(candidate.transform.matrix, c.transform.matrix, atol=1e-6) for c in kept):
            kept.append(candidate)
    return kept


def drmime(transform: str = "auto", **settings: Any) -> Drmime:
    """The improved method for a group's name; `auto` is affine.

    Settings that are None keep their defaults. Raises `UsageError` for a name that is not known, or of a chain.
    """
    return of_one_group(Drmime, Drmime.name, get_args(Group), transform, settings)
