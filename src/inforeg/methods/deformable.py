"""The deformable method: linear stages, then a stationary velocity field by Newton steps from coarse to fine."""

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from pydantic import Field

from inforeg.errors import UsageError, did_you_mean
from inforeg.image import Image
from inforeg.methods.dense import Anatomies, DenseRun
from inforeg.methods.ditr import Ditr, patch_score
from inforeg.methods.linear import LinearMethod
from inforeg.methods.method import Progress
from inforeg.methods.pair import prepare_pair
from inforeg.methods.result import Result, Stage
from inforeg.methods.starting import Init, find_start
from inforeg.settings import Settings
from inforeg.solve.dense.learnt import PatchScore
from inforeg.solve.dense.likeness import MetricName
from inforeg.transforms import Linear

NAME = "svf"
# What may stand before a deformation. A projective transform may not: no file holds one after a field.
Before = Literal["translation", "rigid", "similarity", "affine"]
# A learnt metric.
MetricFile = Annotated[str, Field(pattern=r"\.safetensors$")]
# Linear stages that a deformation needs before it where it is asked for alone and a start is to be found.
_BEFORE: tuple[Before, ...] = ("rigid", "affine")
# How much more a deformation is to explain where it may be dropped. One patient's contrasts, rigidly moved, gain 3 to
# 10 %, by what distorts each sequence in its own way; warps of 2 mm gain 9 to 14 %, other heads 22 % and more.
_NEEDED = 0.10


class DeformableSettings(Settings):
    """What the deformable method can be told; all of it has a default that serves."""

    stages: tuple[Before, ...] = _BEFORE
    """Linear stages before the deformation; none to deform from the start as it is."""
    choose: bool = False
    """Keep the affine, and then the deformation, only where it explains clearly more of what it was not fitted to."""
    init: Init = "auto"
    """Where to start, as for the linear method."""
    metric: MetricName | MetricFile = "mi_local"
    """What the images are compared by in the deformation; the linear stages before it compare mutual information. A
    file is a learnt metric (`inforeg train`), by which the linear stages compare, too."""
    neighbourhood_mm: Annotated[float, Field(gt=0)] | None = None
    """How far off `mine_local` draws voxels that do not belong together; grows with the object if not given."""
    smoothness_mm: Annotated[float, Field(gt=0)] | None = None
    """Over which length a deformation is expected to be smooth, held to; learnt from the pair if not given."""
    anatomies: Anatomies = "auto"
    """What is to be expected of a deformation: how `one` anatomy is distorted, or how `two` differ; `auto` decides by
    what the pair shows. A `smoothness_mm` that is given goes before it."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


class Deformable(DeformableSettings):
    """Registers by a diffeomorphism: `Deformable()(fixed, moving) -> Result`.

    The transform is a linear one after the exponential of a stationary velocity field (Arsigny et al., MICCAI 2006), so
    that its inverse is that of the field's negative. The field is the most likely one: the likelihood is that of the
    fixed image given the warped one, read from joint tables of local contrast in the neighbourhood, and how unlikely
    each wave of the field is, is learnt along. Steps are Newton's, as in Gauss-Newton demons (Vercauteren et al.,
    NeuroImage 2009), which know only squared differences.

    All lengths follow from the object in the images, and how far the images are believed from the images as well.
    """

    name: ClassVar[str] = NAME

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

        Raises `PairError` where there is nothing to register: no object in one image, or a mask without any; and
        `UsageError` for a projective start.
        """
        if start is not None and not start.is_affine:
            raise UsageError(
                "expected an affine transform to start from, got a projective one; give svf another"
            )
        began = perf_counter()
        report = progress or (lambda _name, _share: None)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        stages: list[Stage] = []
        notes = pair.notes
        margin = None
        if self.stages:
            before = self._linear().on(pair, start, generator, lambda name, share: report(name, 0.5 * share))
            stages, notes, found = [*before.stages], before.notes, before.start
            assert isinstance(before.transform, Linear)
            given, margin = before.transform, before.quality.margin
            # What lies wrong is not to be bent until it looks right.
            if self.choose and before.quality.verdict == "failed":
                return self._undeformed(before, began)
        else:
            found = find_start(pair, self.init, "rigid", start, generator)
            given = found.best.transform
        report("deformation", 0.6)
        run = DenseRun(
            pair,
            given,
            self.smoothness_mm,
            generator,
            self._metric(pair.images[0]),
            self.neighbourhood_mm,
            self.anatomies,
        )
        if self.choose and stages:
            gain = run.gain()
            kept = gain > _NEEDED
            notes = [
                *notes,
                f"{NAME} explains {100 * gain:.0f} % more of voxels it was not fitted to than {stages[-1].name}"
                f" and was {'kept' if kept else 'dropped'} (needed: {100 * _NEEDED:.0f} %)",
            ]
            if not kept:
                return self._undeformed(replace(before, notes=notes), began)
        stage, said = run.stage(NAME, lambda share: report("deformation", 0.6 + 0.3 * share))
        report("check", 0.95)
        quality = run.quality(stage, margin)
        return Result(
            stage.transform,
            stage.status,
            [*stages, stage],
            quality,
            fixed,
            moving,
            self.to_dict(),
            found,
            [*notes, *said],
            perf_counter() - began,
            method=NAME,
        )

    @property
    def learnt(self) -> bool:
        """Whether the metric is that of a file."""
        return self.metric not in get_args(MetricName)

    def model_bytes(self) -> int:
        """What a learnt metric takes at most while it looks."""
        return Ditr(model=self.metric).model_bytes() if self.learnt else 0

    def _metric(self, fixed: Image) -> MetricName | PatchScore:
        return patch_score(self.metric, fixed) if self.learnt else self.metric  # type: ignore[return-value]

    def _linear(self) -> LinearMethod | Ditr:
        """What goes before the deformation. Of several stages a learnt metric climbs the last, from coarse to fine."""
        if self.learnt:
            return Ditr(model=self.metric, transform=self.stages[-1], init=self.init, seed=self.seed)
        return LinearMethod(stages=self.stages, choose=self.choose, init=self.init, seed=self.seed)

    def _undeformed(self, linear: Result, began: float) -> Result:
        """The linear stages' result as this method's own."""
        return replace(linear, settings=self.to_dict(), seconds=perf_counter() - began, method=NAME)


def deformable(transform: str = NAME, **settings: Any) -> Deformable:
    """The deformable method for a transform's name: `svf`, or a chain of linear groups before it (`rigid+affine+svf`).

    `svf` alone is preceded by `rigid+affine`, unless the start is said (`init` other than auto, search and moments):
    then the deformation begins there. Raises `UsageError` for a chain it does not know.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    before = [name for name in transform.split("+") if name != "auto"]
    if before and before[-1] == NAME:
        before.pop()
    if NAME in before:
        raise UsageError(
            f"{NAME} comes last in a chain and once: got {transform!r}, expected {'+'.join((*_BEFORE, NAME))}"
        )
    known = get_args(Before)
    unknown = [name for name in before if name not in known]
    if unknown:
        hint = did_you_mean(unknown[0], [*known, NAME, "auto"], f"expected {', '.join(known)} before {NAME}")
        raise UsageError(f"unknown transform {unknown[0]!r} in a chain that ends with {NAME}; {hint}")
    if before:
        return Deformable(stages=tuple(before), **chosen)
    if chosen.get("init", "auto") in ("auto", "search", "moments"):
        return Deformable(**chosen)
    return Deformable(stages=(), **chosen)
