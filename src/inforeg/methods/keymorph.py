"""KeyMorph: the same points found in both images, from any pose, and the transform that lays them on one another."""

from dataclasses import replace
from time import perf_counter
from typing import Annotated, Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from inforeg.errors import UsageError, did_you_mean
from inforeg.image import Image
from inforeg.image.coarse import object_of
from inforeg.methods.learnt import bytes_of, model_for
from inforeg.methods.linear import LinearMethod
from inforeg.methods.method import Progress
from inforeg.methods.pair import prepare_pair
from inforeg.methods.result import Result
from inforeg.methods.stages import LinearRun, LinearStage
from inforeg.nets import KeypointNet
from inforeg.nets.canonical import Canonical, seen_on
from inforeg.settings import Settings
from inforeg.solve.start import Start
from inforeg.transforms import Linear, closed_form

NAME = "keymorph"
Kind = Literal["rigid", "similarity", "affine"]


class KeyMorphSettings(Settings):
    """What the keypoint method can be told; all but the model has a default that serves."""

    model: str
    """The model: a file, or the name of one that inforeg ships (`inforeg models list`)."""
    fit: Kind = "affine"
    """What is fitted to the points."""
    refine: bool = False
    """Climb mutual information from there, as the linear method does from a start."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of all sampling."""


class KeyMorph(KeyMorphSettings):
    """Registers by learnt points: `KeyMorph(model="points.safetensors")(fixed, moving) -> Result`.

    A trained network looks at each image once, on a grid of its own about the object's middle, and finds the same
    points in both (Yu et al., MIDL 2022). The transform that brings them nearest, weighted by how sure both maps are,
    follows in closed form, whatever the pose was: there is no start. The fits are symmetric: swapping the images gives
    the inverse. With `refine` the linear method goes on from there.
    """

    name: ClassVar[str] = NAME

    def model_bytes(self) -> int:
        """What the network takes at most while it looks, by what its file says. Raises `ReadError` for no model."""
        return bytes_of(self.model)

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
        model = model_for(self.model, KeypointNet, "finds keypoints", fixed)
        net = model.net
        assert isinstance(net, KeypointNet)
        pair = prepare_pair(fixed, moving, fixed_mask, moving_mask)
        report("points", 0.3)
        (p, p_mass), (q, q_mass) = (points_of(net, model.canonical, image) for image in (fixed, moving))
        found = Linear(closed_form.LINEAR[self.fit](p[None], q[None], (p_mass * q_mass)[None])[0])
        generator = torch.Generator().manual_seed(self.seed)
        left = float((found(p) - q).square().sum(1).mean().sqrt())
        notes = [f"{len(p)} points in both images; {self.fit} fitted to them leaves {left:.2g} mm"]
        if self.refine:
            report("refine", 0.5)
            stages = ("rigid", "affine") if self.fit == "affine" else (self.fit,)
            refined = LinearMethod(stages=stages, seed=self.seed).on(pair, found, generator)
            result = replace(refined, notes=[*refined.notes, *notes])
        else:
            stage = LinearStage(self.fit, found, "converged")
            run = LinearRun(LinearMethod(seed=self.seed), pair, generator)
            report("check", 0.9)
            quality = run.quality(stage, found, None)
            given = Start.given(found, "keypoints")
            result = Result(
                found, "converged", [stage], quality, fixed, moving, {}, given, [*pair.notes, *notes]
            )
        return replace(result, settings=self.to_dict(), method=NAME, seconds=perf_counter() - began)


@torch.no_grad()
def points_of(
    net: KeypointNet, canonical: Canonical, image: Image
) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
    """The points of an image in its world (RAS+ mm), float64, and their weights, on the CPU."""
    grid = canonical.around(object_of(image).centre_mm)
    seen = seen_on(image, canonical, grid)
    found = net(seen.data)
    return grid.to_world(found.voxel[0].double().cpu()), found.weights[0].double().cpu()


def keymorph(transform: str = "auto", **settings: Any) -> KeyMorph:
    """The keypoint method for a transform's name: `auto` (affine) or what it fits. Raises `UsageError` for others."""
    chosen = {name: value for name, value in settings.items() if value is not None}
    if transform == "auto":
        return KeyMorph(**chosen)
    if transform not in get_args(Kind):
        hint = did_you_mean(
            transform, [*get_args(Kind), "auto"], f"expected auto or {', '.join(get_args(Kind))}"
        )
        raise UsageError(f"unknown transform {transform!r} for {NAME}; {hint}")
    return KeyMorph(fit=transform, **chosen)
