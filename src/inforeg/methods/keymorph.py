"""KeyMorph: the same points found in both images, from any pose, and the transform that lays them on one another."""

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from pydantic import Field

from inforeg.errors import UsageError, did_you_mean
from inforeg.image import Image
from inforeg.image.coarse import object_of
from inforeg.methods.dense import DenseRun
from inforeg.methods.keypoints import AT_ONCE, Found, find_points, judged, keypoint_model, pairs_of
from inforeg.methods.learnt import bytes_of
from inforeg.methods.linear import LinearMethod
from inforeg.methods.method import Progress
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.result import Quality, Result, Stage
from inforeg.methods.stages import LinearRun, LinearStage
from inforeg.nets.canonical import Canonical
from inforeg.settings import Settings
from inforeg.solve.start import Start
from inforeg.transforms import Linear, Velocity, closed_form, fit_thin_plate
from inforeg.transforms.velocity import logarithm

NAME = "keymorph"
Kind = Literal["rigid", "similarity", "affine", "tps"]


class KeyMorphSettings(Settings):
    """What the keypoint method can be told; all but the model has a default that serves."""

    model: str
    """The model: a file, or the name of one that inforeg ships (`inforeg models list`)."""
    fit: Kind = "affine"
    """What is fitted to the points; `tps`, thin-plate splines, bends between them."""
    smoothing: Annotated[float, Field(ge=0)] = 0.1
    """How far thin plates give way to bend less; see `fit_thin_plate`."""
    refine: bool = False
    """Climb mutual information from the linear fit, as the linear method does from a start."""
    steps: Annotated[int, Field(ge=0, le=1000)] = 0
    """Newton steps of the pair solver after everything else."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


class KeyMorph(KeyMorphSettings):
    """Registers by learnt points: `KeyMorph(model="points.safetensors")(fixed, moving) -> Result`.

    A trained network finds the same points in both images (Yu et al., MIDL 2022), whatever their pose (`find_points`).
    The transform that brings them nearest, weighted by how sure both maps are, follows in closed form: there is no
    start. The linear fits are symmetric: swapping the images gives the inverse. With `refine` the linear method goes on
    from there.

    Thin plates (`fit="tps"`) are fitted to the points that are left after the linear fit. They have no inverse of their
    own, and may fold: what comes out is the velocity field whose exponential comes nearest to them, with the promise of
    the deformable method, and with `steps` its solver goes on from there.
    """

    name: ClassVar[str] = NAME

    def model_bytes(self) -> int:
        """What the network takes at most while it looks, by what its file says. Raises `ReadError` for no model."""
        return AT_ONCE * bytes_of(self.model)

    @property
    def deforms(self) -> bool:
        """Whether there is more to it than a linear transform."""
        return self.fit == "tps" or self.steps > 0

    @property
    def init(self) -> str:
        """Where it starts: nowhere, every pose is found."""
        return "keypoints"

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

        Raises `PairError` where there is nothing to register, or images of another dimension than the model's;
        `ReadError` for a file that is no model, `UsageError` for a model of another kind, and for a start.
        """
        if start is not None:
            raise UsageError(
                "keymorph finds every pose by itself: leave the start out, or choose another method"
            )
        began = perf_counter()
        report = progress or (lambda _name, _share: None)
        net, canonical = keypoint_model(self.model, fixed)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        report("points", 0.1)
        p, q = (find_points(net, canonical, image) for image in (fixed, moving))
        shared = p.weights * q.weights
        kind = "affine" if self.fit == "tps" else self.fit
        fit = Linear(closed_form.LINEAR[kind](p.points_mm[None], q.points_mm[None], shared[None])[0])
        generator = torch.Generator().manual_seed(self.seed)
        stages: list[Stage] = [LinearStage(kind, fit, "converged")]
        linear, notes = fit, pair.notes
        quality: Quality | None = None
        if self.refine:
            report("refine", 0.4)
            names = ("rigid", "affine") if kind == "affine" else (kind,)
            refined = LinearMethod(stages=names, seed=self.seed).on(pair, fit, generator)
            assert isinstance(refined.transform, Linear)
            stages += refined.stages
            linear, notes, quality = refined.transform, refined.notes, refined.quality
        if self.deforms:
            report("deform", 0.6)
            stage, quality, more = self._deformed(pair, canonical, p, q, linear, generator)
            stages.append(stage)
            notes = [*notes, *more]
        elif quality is None:
            report("check", 0.9)
            run = LinearRun(LinearMethod(seed=self.seed), pair, generator)
            quality = run.quality(LinearStage(kind, fit, "converged"), fit, None)
        points = pairs_of(p, q, stages[-1].transform, fixed)
        first = replace(points, left_mm=(fit(p.points_mm) - q.points_mm).norm(dim=1))
        before = "" if len(stages) == 1 else f", {first.residual_mm:.2g} by the first fit"
        said = f"{len(shared)} points in both images; the transform leaves {points.residual_mm:.2g} mm between them"
        return Result(
            stages[-1].transform,
            stages[-1].status,
            stages,
            judged(quality, points),
            fixed,
            moving,
            self.to_dict(),
            Start.given(fit, "keypoints"),
            [*notes, said + before],
            perf_counter() - began,
            method=NAME,
            points=points,
        )

    def _deformed(
        self, pair: Pair, canonical: Canonical, p: Found, q: Found, linear: Linear, generator: torch.Generator
    ) -> tuple[Stage, Quality, list[str]]:
        """The deformation after a linear fit: what thin plates make of the points, and the pair solver's steps."""
        # At half of the resolution that the network sees, which is finer than the points are dense.
        grid = canonical.around(object_of(pair.images[0]).centre_mm, coarser=2)
        vectors = torch.zeros((grid.ndim, *grid.shape), dtype=torch.float64)
        if self.fit == "tps":
            plate = fit_thin_plate(
                p.points_mm, linear.inverse()(q.points_mm), self.smoothing, p.weights * q.weights
            )
            nodes = grid.points_mm()
            bent = (plate(nodes) - nodes).T.reshape(vectors.shape)
            vectors = logarithm(bent[None], grid)[0]
        run = DenseRun(pair, linear, None, generator)
        name = "svf" if self.steps else "tps"
        stage, notes = run.refined(name, Velocity(vectors.float(), grid), self.steps, lambda _share: None)
        return stage, run.quality(stage, None), notes


def start_by(model: str, fixed: Image, moving: Image) -> Linear:
    """The rigid transform that a model's keypoints tell, from any pose: a start for every other method.

    Raises as `KeyMorph` does.
    """
    net, canonical = keypoint_model(model, fixed)
    p, q = (find_points(net, canonical, image) for image in (fixed, moving))
    shared = (p.weights * q.weights)[None]
    return Linear(closed_form.rigid(p.points_mm[None], q.points_mm[None], shared)[0])


def keymorph(transform: str = "auto", **settings: Any) -> KeyMorph:
    """The keypoint method for a transform's name: `auto` (affine, and `tps` where `steps` follow) or what it fits.

    Raises `UsageError` for others.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    if transform == "auto":
        made = KeyMorph(**chosen)
        return made.replace(fit="tps") if made.steps else made
    if transform not in get_args(Kind):
        hint = did_you_mean(
            transform, [*get_args(Kind), "auto"], f"expected auto or {', '.join(get_args(Kind))}"
        )
        raise UsageError(f"unknown transform {transform!r} for {NAME}; {hint}")
    return KeyMorph(fit=transform, **chosen)
