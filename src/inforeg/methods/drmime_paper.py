"""DRMIME as published: the baseline that the improved method is measured against."""

from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from inforeg.image import Image
from inforeg.methods.choosing import of_one_group
from inforeg.methods.method import Progress
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.result import Quality, Response, Result, Stage
from inforeg.methods.stages import LinearRun, LinearSettings, LinearStage
from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.settings import Settings
from inforeg.solve.all_levels import AllLevels, Chart, Descent, DirectEntries, Look, descend, on_voxels
from inforeg.solve.newton import Status
from inforeg.solve.octaves import Octave, normalised_frame, octaves
from inforeg.solve.positions import Choice, Kind, Positions
from inforeg.solve.response import response
from inforeg.solve.start import Start, from_centres, from_header, from_mass
from inforeg.transforms import Linear, group

PaperGroup = Literal["rigid", "similarity", "affine", "projective"]


class DrmimePaperSettings(Settings):
    """What the published method can be told; the defaults are the paper's, with its edges of the ANHIR runs."""

    transform: PaperGroup = "affine"
    """What may be done to the moving image; affine and projective in 2-D by the paper's own generators."""
    init: Literal["auto", "header", "centre", "mass"] = "auto"
    """Where to start: auto and centre lay the middles of the fields of view on each other, as the paper does."""
    levels: Annotated[int, Field(ge=1, le=16)] = 6
    """Resolutions, each half the one before, all of them in every step; fewer where an image is too small."""
    iterations: Annotated[int, Field(ge=1, le=1_000_000)] = 500
    """Steps; all are taken. The paper takes 500 for FIRE and 1500 for ANHIR."""
    network_rate: Annotated[float, Field(gt=0)] = 1e-3
    """Learning rate of the statistics network."""
    rate: Annotated[float, Field(gt=0)] = 5e-3
    """Learning rate of the parameters that all levels share, in halves of the field of view."""
    finest_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Learning rate of the parameters that are added at the finest level."""
    hidden: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Units in each of the network's two hidden layers."""
    positions: Kind = "canny"
    """Where to look: canny for edges of the fixed image, random, or top-rows, a slip of the original notebooks."""
    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of each level's voxels that random and top-rows look at; random takes 100 at least."""
    redraw: bool = True
    """Draw random positions anew in every step, as the paper says; the original notebooks draw them once."""
    edge_sigma: Annotated[float, Field(ge=0, le=100)] = 3.5
    """Standard deviation, in voxels of each level, of the Gaussian before edges are sought."""
    edge_low: Annotated[float, Field(ge=0)] = 0.0
    """Lower threshold of edges, on OpenCV's scale for brightness from 0 to 255."""
    edge_high: Annotated[float, Field(ge=0)] = 30.0
    """Upper threshold of edges; an older version of the original code has 10, for FIRE."""
    most_edges: Annotated[int, Field(ge=2)] = 1_000_000
    """Voxels on edges at most, on every level: the first ones from the top, as the original code cuts its list."""
    exponential: bool = True
    """Write the matrix as an exponential; without, its entries are the parameters (the paper's comparison)."""
    finest_vector: bool = True
    """Add parameters of its own at the finest level."""
    symmetric: bool = False
    """Mean of both directions, with exp(-C) backwards, as the authors' later work for volumes does."""
    bias_correction: Literal["none", "ema"] = "none"
    """Correct gradients for the bias of a small sample's mean, by one running mean a level (see `MINE`)."""
    outside: Literal["zeros", "drop"] = "zeros"
    """What is found beyond the moving image: zeros, as published, or nothing, so that the sample is left out."""
    frame: Literal["faces", "centres"] = "faces"
    """Where -1 and 1 lie: on the outer faces, or, as in the original code, on the outermost voxels' centres."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of the network, the positions and the shuffling."""

    @model_validator(mode="after")
    def _options_fit(self) -> "DrmimePaperSettings":
        if not self.exponential and self.transform in ("rigid", "similarity"):
            raise PydanticCustomError(
                "direct_group",
                "expected transform affine or projective where exponential is off: a matrix of free entries is not {t}",
                {"t": self.transform},
            )
        if not self.exponential and self.symmetric:
            raise PydanticCustomError(
                "direct_symmetric", "expected exponential where symmetric is on: only exp(-C) goes backwards"
            )
        if self.edge_low > self.edge_high:
            raise PydanticCustomError("edges", "expected edge_low to be at most edge_high")
        return self


class DrmimePaper(DrmimePaperSettings):
    """Registers as the paper does: `DrmimePaper(transform="affine")(fixed, moving) -> Result`.

    Nan, Tennant, Rubin and Ray, "DRMIME: Differentiable Mutual Information and Matrix Exponential for Multi-Resolution
    Image Registration" (MIDL 2020), from its text and from what is known of the authors' code. One network scores
    pairs of intensities of all channels at all levels, and is trained together with the parameters of the transform;
    all levels are in every step. Parameters are in halves of the fixed field of view along its axes; turns are turns
    there only if it is square, so rigid and similarity, which are additions, use one unit for all axes.

    Differences from the authors' code: only the chosen positions are read from the moving image, the exponential is
    exact and not a sum of ten terms, the logarithm of the mean exponential cannot overflow, -1 and 1 are the outer
    faces of the field of view at every level (`frame`), positions are drawn anew in every step (`redraw`), and levels
    end at 8 voxels an axis. Moving images of another size are not stretched to the fixed one's. Volumes, masks and
    `symmetric` are additions.
    """

    name: ClassVar[str] = "drmime-paper"

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
        report("levels", 0.0)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator(fixed.data.device).manual_seed(self.seed)
        found = self._start(pair, fixed, moving, start)
        task = self._task(fixed, moving, found.best.transform, (fixed_mask, moving_mask), generator)
        descent = descend(
            task.objective,
            steps=self.iterations,
            network_rate=self.network_rate,
            rate=self.rate,
            finest_rate=self.finest_rate,
            report=lambda share: report("all levels", 0.05 + 0.85 * share),
        )
        transform = task.in_world(descent.matrix)
        path = [task.in_world(matrix) for matrix in descent.matrices]
        spacings = [float(fixed.grid.spacing_mm.min())] * len(path)
        stage = Stage(self.transform, transform, descent.status, spacings, descent.costs, path)
        report("check", 0.95)
        return Result(
            transform,
            descent.status,
            [stage],
            self._quality(pair, stage, transform, found.best.transform),
            fixed,
            moving,
            self.to_dict(),
            found,
            self._notes(task),
            perf_counter() - began,
            self.name,
            task.response(descent),
        )

    def _start(self, pair: Pair, fixed: Image, moving: Image, given: Linear | None) -> Start:
        if given is not None:
            return Start.given(given, "given")
        if self.init == "header":
            return Start.given(from_header(fixed.grid), "header")
        if self.init == "mass":
            return Start.given(from_mass(pair.fixed_view.object, pair.moving_view.object), "mass")
        return Start.given(from_centres(fixed.grid, moving.grid), "centre")

    def _task(
        self,
        fixed: Image,
        moving: Image,
        start: Linear,
        masks: tuple[Image | None, Image | None],
        generator: torch.Generator,
    ) -> "_Task":
        d = fixed.grid.ndim
        sides = octaves(fixed, self.levels), octaves(moving, self.levels)
        count = min(len(side) for side in sides)
        frames = [self._frame(level) for level in sides[0][:count]]
        network = StatisticsNetwork(
            fixed.channels + moving.channels, self.hidden, torch.Generator().manual_seed(self.seed)
        ).to(fixed.data.device)
        looks = []
        for backwards in (False, True) if self.symmetric else (False,):
            for number in range(count):
                levels = sides[0][number].image, sides[1][number].image
                to_frame = frames[number] @ levels[0].grid.voxel_to_world
                to_moving = levels[1].grid.world_to_voxel @ start.matrix @ torch.linalg.inv(frames[number])
                before, after = to_frame, to_moving
                seen_from, other = levels
                mask, other_mask = masks
                if backwards:
                    before, after = torch.linalg.inv(to_moving), torch.linalg.inv(to_frame)
                    seen_from, other = other, seen_from
                    mask, other_mask = other_mask, mask
                looks.append(
                    Look(
                        Positions(seen_from, self._choice, mask, generator),
                        on_voxels(other, rim=1 if self.outside == "zeros" else 0),
                        before,
                        after,
                        None if other_mask is None else on_voxels(other_mask, other.grid),
                        drop=self.outside == "drop",
                        from_moving=backwards,
                        finest=number == 0,
                    )
                )
        objective = AllLevels(
            looks,
            self._chart(d),
            network,
            generator,
            finest_vector=self.finest_vector,
            bias_correction=self.bias_correction,
        )
        return _Task(objective, start, frames[0], sides[0][0], sides[1][0], count)

    @property
    def _choice(self) -> Choice:
        return Choice(
            self.positions,
            self.share,
            self.redraw,
            self.edge_sigma,
            self.edge_low,
            self.edge_high,
            self.most_edges,
        )

    def _frame(self, level: Octave) -> Tensor:
        one_unit = self.transform in ("rigid", "similarity")
        return normalised_frame(level.image.grid, isotropic=one_unit, centres=self.frame == "centres")

    def _chart(self, ndim: int) -> Chart:
        if not self.exponential:
            return DirectEntries(ndim, self.transform == "projective")
        published = ndim == 2 and self.transform in ("affine", "projective")
        return group(f"drmime-{self.transform}" if published else self.transform, ndim)

    def _quality(self, pair: Pair, stage: Stage, transform: Linear, start: Linear) -> Quality:
        """The figures of the linear method for this transform: of first principal components, where there are colours.

        There is no rule to stop by, so running out of steps is no fault in itself; moving on in the last tenth of
        them is.
        """
        judged = LinearSettings(stages=(self.transform,), seed=self.seed)
        run = LinearRun(judged, pair, torch.Generator().manual_seed(self.seed))
        status: Status = stage.status
        if status == "steps" and stage.path:
            before = stage.path[-max(1, len(stage.path) // 10)]
            if run.apart_mm(before, transform) < pair.spacings_mm[0]:
                status = "converged"
        return run.quality(LinearStage(stage.name, transform, status), start, None)

    def _notes(self, task: "_Task") -> list[str]:
        looks = [look for look in task.objective.looks if not look.from_moving]
        counts = ", ".join(str(look.positions.count) for look in looks)
        notes = [f"looked at {counts} positions, from the finest level to the coarsest, in every step"]
        if task.levels < self.levels:
            notes.append(f"the images are large enough for {task.levels} of {self.levels} levels")
        return notes


@dataclass(frozen=True, eq=False)
class _Task:
    """An objective, and what is needed to say in the world what it found."""

    objective: AllLevels
    start: Linear
    frame: Tensor
    fixed: Octave
    moving: Octave
    levels: int

    def in_world(self, matrix: Tensor) -> Linear:
        """Fixed to moving world points, of a matrix in the frame of the finest level."""
        return Linear(self.start.matrix @ torch.linalg.inv(self.frame) @ matrix.cpu() @ self.frame)

    @torch.no_grad()
    def response(self, descent: Descent) -> Response | None:
        """What the network makes of intensities of the finest level."""
        fixed, moving = self.objective.looks[0].samples(descent.matrix, self.objective.generator)
        if len(fixed) < 2:
            return None
        scales = [(side.lowest, side.width) for side in (self.fixed, self.moving)]
        return Response(
            *response(self.objective.network, fixed, moving, fixed_scale=scales[0], moving_scale=scales[1])
        )


def drmime_paper(transform: str = "auto", **settings: Any) -> DrmimePaper:
    """The published method for a group's name; `auto` is affine, which is all the paper compares.

    Settings that are None keep their defaults. Raises `UsageError` for a name that is not known, or of a chain.
    """
    return of_one_group(DrmimePaper, DrmimePaper.name, get_args(PaperGroup), transform, settings)
