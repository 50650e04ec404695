"""The amortised method: linear stages, then what a trained network says at one look, and steps from there if wanted."""

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.coarse import object_of
from inforeg.methods.deformable import Before, deformable
from inforeg.methods.dense import Anatomies, DenseRun
from inforeg.methods.displaced import displaced
from inforeg.methods.learnt import bytes_of, model_for
from inforeg.methods.linear import LinearMethod
from inforeg.methods.method import Progress
from inforeg.methods.pair import prepare_pair
from inforeg.methods.result import Quality, Result, Stage
from inforeg.methods.starting import Init, find_start
from inforeg.nets import DisplacementNet, VelocityNet
from inforeg.nets.canonical import seen_on
from inforeg.nets.files import ModelFile
from inforeg.settings import Settings
from inforeg.solve.dense.deform import deform
from inforeg.transforms import Linear, Velocity

NAME = "network"
STAGE = "svf"
# Steps of the pair solver that are tried where none were asked for, to tell how far they would lead.
_TRIED = 3


class NetworkSettings(Settings):
    """What the network method can be told; all but the model has a default that serves."""

    model: str
    """The model: a file, or the name of one that inforeg ships (`inforeg models list`)."""
    stages: tuple[Before, ...] = ("rigid", "affine")
    """Linear stages before the network looks; none to let it look from the start as it is."""
    init: Init = "auto"
    """Where to start, as for the linear method."""
    refine: Annotated[int, Field(ge=0, le=1000)] = 0
    """Newton steps of the pair solver from what the network says."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


class Network(NetworkSettings):
    """Registers by a trained network: `Network(model="t1-flair.safetensors")(fixed, moving) -> Result`.

    The fixed image is brought onto the canonical grid of the model, about its object along the world's axes, the moving
    image too, by the linear stages; the network sees both and gives the mean of its velocities. The transform is what
    the deformable method's is, a `Composite` of the linear one and a `Velocity`, with the same promise: where the field
    folds or its inverse is not exact, it is smoothed, and a note says so. Any grid may come in; what comes out is in
    millimetres and holds for the whole images.

    With `refine`, steps of the deformable method go on from there; up to 20 leave out full resolution. They expect what
    two anatomies differ by where the model's card says that it learnt from pairs of different subjects. Without it
    three are tried, and if they would lead far away, the verdict is `check`.
    """

    name: ClassVar[str] = NAME

    def model_bytes(self) -> int:
        """What the network takes at most while it looks, by what its file says. Raises `ReadError` for no model."""
        return bytes_of(self.model)

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
        `ReadError` for a file that is no model, and `UsageError` for a projective start.
        """
        if start is not None and not start.is_affine:
            raise UsageError("expected an affine transform to start from, got a projective one; give another")
        began = perf_counter()
        report = progress or (lambda _name, _share: None)
        model = model_for(self.model, (VelocityNet, DisplacementNet), "says where things move", fixed)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        generator = torch.Generator().manual_seed(self.seed)
        stages: list[Stage] = []
        notes, margin = pair.notes, None
        if self.stages:
            linear = LinearMethod(stages=self.stages, init=self.init, seed=self.seed)
            before = linear.on(pair, start, generator, lambda name, share: report(name, 0.6 * share))
            stages, notes, found = [*before.stages], before.notes, before.start
            assert isinstance(before.transform, Linear)
            given, margin = before.transform, before.quality.margin
        else:
            found = find_start(pair, self.init, "rigid", start, generator)
            given = found.best.transform
        report("network", 0.6)
        velocity, said = _look(model, fixed, moving, given)
        anatomies: Anatomies = "two" if model.between_subjects else "one"
        run = DenseRun(pair, given, None, generator, anatomies=anatomies)
        stage, more = run.refined(
            STAGE, velocity, self.refine, lambda share: report("refine", 0.7 + 0.2 * share)
        )
        report("check", 0.95)
        quality = run.quality(stage, margin)
        if not self.refine:
            quality = _doubted(quality, run)
        return Result(
            stage.transform,
            stage.status,
            [*stages, stage],
            quality,
            fixed,
            moving,
            self.to_dict(),
            found,
            [*notes, *said, *more],
            perf_counter() - began,
            method=NAME,
        )


def _doubted(found: Quality, run: DenseRun) -> Quality:
    """The figures of a field that is as the network gave it: in doubt where a few steps would move it, on average, by
    half of what a deformation is expected to be, or more. A network says nothing of how far it is off."""
    vectors = run.course.vectors if run.moves else torch.zeros_like(run.course.vectors)
    look, spacing = run.finest, run.pair.spacings_mm[run.level]
    try:
        there = deform(replace(run.course, vectors=vectors), look, run.scales, spacing, _TRIED).vectors
    except FloatingPointError:
        return found
    moved = look.over_object((there - vectors).norm(dim=0))
    if moved < 0.5 * run.scales.expected_mm:
        return found
    reason = (
        f"{_TRIED} steps of the pair solver would move it by another {moved:.2g} mm: add +svf to the method"
    )
    verdict = "check" if found.verdict == "good" else found.verdict
    return replace(found, reasons=[*found.reasons, reason], verdict=verdict)


@torch.no_grad()
def _look(model: ModelFile, fixed: Image, moving: Image, linear: Linear) -> tuple[Velocity, list[str]]:
    """What the network says of a pair: a velocity field in the fixed image's world, and what to note of it."""
    net, canonical = model.net, model.canonical
    if isinstance(net, DisplacementNet):
        return displaced(net, canonical.spacing_mm, fixed, moving, linear, object_of(fixed)), []
    assert isinstance(net, VelocityNet)
    object = object_of(fixed)
    centre, radius = object.centre_mm, object.radius_mm
    grid = canonical.around(centre)
    seen = [seen_on(fixed, canonical, grid), seen_on(moving, canonical, grid, linear)]
    belief = net(*[image.data for image in seen])
    half = belief.at_half(belief.mean)
    notes = []
    if not canonical.holds(radius):
        notes.append(
            f"the object is {2 * radius:.0f} mm across, and the model sees"
            f" {' x '.join(f'{n * canonical.spacing_mm:.0f}' for n in canonical.shape)} mm about its middle: beyond"
            " that nothing is deformed"
        )
    return Velocity((half[0] * canonical.spacing_mm).cpu(), canonical.around(centre, coarser=2)), notes


def network(transform: str = "auto", **settings: Any) -> Network:
    """The network method for a transform's name: `auto` and `svf` (rigid and affine before it), or a chain that ends
    with `svf`. A start that is named (`init` other than auto, search and moments) is taken as it is. Raises
    `UsageError` for a chain it does not know.
    """
    chosen = {name: value for name, value in settings.items() if value is not None}
    before = deformable(transform, init=chosen.get("init")).stages
    return Network(stages=before, **chosen)
