"""The recipes there are: one for each kind of network, told apart by `network`."""

import json
import textwrap
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from inforeg.errors import UsageError
from inforeg.nets import KeypointNetSettings, VelocityNetSettings
from inforeg.nets.canonical import Canonical
from inforeg.nets.displacement_net import DisplacementNetSettings
from inforeg.nets.files import DISPLACEMENTS, KEYPOINTS, PATCHES, VELOCITY
from inforeg.nets.patch_net import PatchMetricSettings, PatchNetSettings, PatchStage, Widths
from inforeg.settings import Settings, toml_value
from inforeg.train.recipe import FILES, AtLeastZero, Positive, Recipe, RunRecipe


class VelocityRecipe(Recipe):
    """VM-MINE and its kin: what a `VelocityNet` is trained on. All but `images` has a default that serves for
    skull-stripped heads."""

    network: Literal["velocity"] = "velocity"
    """What is trained: `velocity`, a network that looks at a pair and says how one is to be bent onto the other."""
    net: VelocityNetSettings = VelocityNetSettings()
    """The network; its number of axes follows from the shape."""
    metric: str = "mine_local"
    """What the images are compared by: a metric's name."""
    look: Literal["everywhere", "object"] = "everywhere"
    """Where images are compared: in the whole field of view, or at the fixed image's object and 6 mm around it."""
    alpha: AtLeastZero = 2.0
    """Weight of the metric beside the prior."""
    smoothness: Positive = 10.0
    """Strength of the prior's coupling of neighbouring velocities (lambda)."""
    metric_rate: Positive | None = 3e-2
    """Its rate for what the metric learns, which is as good as an optimiser of its own; that of the network if none."""
    head_start: Annotated[int, Field(ge=0)] = 200
    """Steps by which a metric that learns is ahead: it sees pairs as they lie before the network moves anything."""

    @model_validator(mode="after")
    def _fits(self) -> "VelocityRecipe":
        self.check_net(self.net.ndim, self.net.multiple)
        return self


class KeypointRecipe(Recipe):
    """KeyMorph: what a `KeypointNet` is trained on."""

    network: Literal["keypoints"] = "keypoints"
    """What is trained: `keypoints`, a network that finds the same points in every image."""
    shape: Annotated[tuple[Annotated[int, Field(ge=8)], ...], Field(min_length=2, max_length=3)] = (
        64,
        64,
        64,
    )
    """Voxels that the network sees along each axis of the world, about the object's centre."""
    spacing_mm: Positive = 3.5
    """Their size."""
    subjects: Literal["different", "same", "any"] = "any"
    """Whether the two images of a pair are of different subjects."""
    one_subject: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How often they are of one subject all the same, whose pose in both is known exactly."""
    net: KeypointNetSettings = KeypointNetSettings()
    """The network; its number of axes follows from the shape."""
    rotation_deg: AtLeastZero = 70.0
    """How far each image is turned, about an axis of its own; quarter turns of 63 degrees and less reach every pose."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """By what share each is scaled."""
    shear: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """How far each is sheared."""
    shift_mm: AtLeastZero = 20.0
    """How far each is shifted."""
    ramp: Annotated[int, Field(ge=0)] = 1000
    """Pairs over which these motions grow from nothing to what they are."""
    upright: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Share of views that are moved by a tenth of that: what is seen at a second look, once the pose is known."""
    anchored: Annotated[int, Field(ge=0)] = 2000
    """Pairs at the beginning in which points are held to where the reference's are, and nothing else: pre-training, of
    which the rest keeps `anchor_after`."""
    anchor_after: AtLeastZero = 0.1
    """Weight of that afterwards, beside 1 before."""
    agreement: AtLeastZero = 20.0
    """Weight of how far apart the points of both views of one subject are, and their affine fit from the truth."""
    fits: tuple[Literal["rigid", "similarity", "affine", "tps"], ...] = ("affine", "tps")
    """What is fitted to the points of a pair, another one every step."""
    smoothing: tuple[Positive, Positive] = (1e-3, 10.0)
    """From how little to how much a thin plate is smoothed in training, drawn evenly on a logarithmic scale."""

    @model_validator(mode="after")
    def _fits(self) -> "KeypointRecipe":
        self.check_net(self.net.ndim, self.net.multiple)
        if self.smoothing[0] > self.smoothing[1]:
            raise ValueError(f"expected smoothing from less to more, got {self.smoothing}")
        if not self.fits:
            raise ValueError("expected at least one fit")
        return self


class PatchRecipe(RunRecipe):
    """DITR: what a `PatchMetric` is trained on, stage by stage: iterated maximum likelihood."""

    network: Literal["patches"] = "patches"
    """What is trained: `patches`, a metric that tells whether two patches are of one place."""
    ndim_of_images: Literal[2, 3] = 3
    """Axes of the images."""
    spacing_mm: Positive = 1.0
    """The voxels of images that are not thinned; in 2-D pictures mostly 1 pixel."""
    stages: Annotated[tuple[tuple[Annotated[int, Field(ge=1)], AtLeastZero], ...], Field(min_length=1)] = (
        (4, 100.0),
        (2, 15.0),
        (1, 0.0),
    )
    """For each network by how much images are thinned (1 is not at all), and the variance of dithering, in mm^2: in the
    paper's notation IML(4,100), IML(2,15), IML(0,0)."""
    widths: Widths = (16, 32, 64, 128)
    """Features of each convolution."""
    transform: Literal["translation", "rigid", "affine"] = "rigid"
    """What the pairs are aligned by between stages."""
    optimiser: Literal["newton", "powell"] = "newton"
    """How they are aligned: by slopes through the network, or by Powell's search, as published."""
    places: Annotated[int, Field(ge=16)] = 200
    """Patches of each pair that it is aligned by."""
    patches: Annotated[int, Field(ge=4)] = 32
    """Patches that are cut of a pair at a time; dealt anew among themselves, as many again are of two places."""
    batch: Annotated[int, Field(ge=1)] = 4
    """Pairs a step, on each device."""
    rotation_deg: AtLeastZero = 180.0
    """How far patches are turned, both of a pair alike."""
    flip: bool = True
    """Whether they are mirrored in every other pair, both alike."""
    contrast: AtLeastZero = 0.15
    """How far the contrast of both images is bent: the deviation of the logarithm of an exponent."""
    noise: AtLeastZero = 0.02
    """Standard deviation of noise."""
    rate: Positive = 1e-3
    """Adam's rate; the paper has 5e-5, for ten times as many patches."""
    weight_decay: AtLeastZero = 0.005
    """How weights are drawn to zero: a term of Adam's slopes, as published."""
    steps: Annotated[int, Field(ge=1)] = 3000
    """Steps of the optimiser, shared alike among the stages."""

    @model_validator(mode="after")
    def _shared(self) -> "PatchRecipe":
        if self.steps % len(self.stages):
            raise ValueError(f"expected steps that {len(self.stages)} stages can share, got {self.steps}")
        return self

    @property
    def net(self) -> PatchMetricSettings:
        """The cascade that comes of it."""
        return PatchMetricSettings(
            ndim=self.ndim_of_images,
            widths=self.widths,
            spacing_mm=self.spacing_mm,
            stages=tuple(PatchStage(coarser=c, dither_mm2=v) for c, v in self.stages),
        )

    @property
    def canonical(self) -> Canonical:
        """A patch."""
        patch = PatchNetSettings(ndim=self.ndim_of_images, widths=self.widths).patch
        return Canonical(shape=(patch,) * self.ndim_of_images, spacing_mm=self.spacing_mm)

    @property
    def of_each(self) -> int:
        """Steps of each stage."""
        return self.steps // len(self.stages)

    def rate_at(self, step: int) -> float:
        """The rates rise and fall in every stage, as each network is a new one."""
        return self.share_of_rate(step % self.of_each, self.of_each)

    def pauses_after(self, done: int) -> bool:
        """Also where a stage ends."""
        return super().pauses_after(done) or done % self.of_each == 0


class DisplacementRecipe(RunRecipe):
    """p-EMD: what a `DisplacementNet` is taught in one contrast, and carried to another with."""

    network: Literal["displacements"] = "displacements"
    """What is trained: `displacements`, a network that tells by which of some displacements two patches are apart."""
    net: DisplacementNetSettings = DisplacementNetSettings()
    """The network, its patches and its displacements."""
    spacing_mm: Positive = 1.0
    """The voxels of the images that patches are cut from; in 2-D pictures mostly 1 pixel."""
    target: tuple[str, ...] = ()
    """Contrasts of the moving image in pairs of which no displacement is known; none: nothing is adapted."""
    discrepancy: Literal["none", "l1", "swd", "pemd", "pemd+swd", "windows"] = "windows"
    """What is adapted by. Two classifiers' beliefs, compared by their mean absolute difference (`l1`), the sliced
    Wasserstein distance (`swd`), the projected earth mover's (`pemd`); several windows onto the moving image, shifted
    by what is known, which are to tell one displacement (`windows`); or `none`, which does not adapt."""
    begin_with: str = ""
    """A model of the same kind to begin with, or none, such as one taught elsewhere that is to be carried to other
    images."""
    inverted: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the moving patches whose contrast is inverted where displacements are known: what is bright in one
    contrast is often dark in another. As published 0."""
    windows: Annotated[int, Field(ge=2)] = 4
    """Windows of each patch of the moving image, for `windows`."""
    directions: Annotated[int, Field(ge=1)] = 16
    """Directions that `pemd` projects onto."""
    span_deg: Annotated[float, Field(gt=0, le=180)] = 180.0
    """Over what angle they are spread in 2-D; 90 as published."""
    projections: Annotated[int, Field(ge=1)] = 128
    """Directions that `swd` projects onto, of all probabilities."""
    teach_both: bool = False
    """Whether the features are taught by both classifiers; as published, by the first one alone."""
    anchored: bool = True
    """Whether both classifiers keep to what is known while they are driven apart."""
    feature_steps: Annotated[int, Field(ge=1)] = 4
    """Steps that bring the beliefs together again, by the features, after each that drives them apart; and one step
    teaches what is known."""
    head_start: Annotated[int, Field(ge=0)] = 500
    """Steps that only teach what is known, by both classifiers, before anything is adapted."""
    strength: AtLeastZero = 1.0
    """Weight beside what is known: of what windows say together, or of a tenth of the discrepancy in units of its
    mean."""
    evenness: AtLeastZero = 0.0
    """Weight, beside that of the discrepancy, of how uneven the beliefs about all pairs of a step are: displacements
    are drawn evenly."""
    averaged: Annotated[int, Field(ge=1)] = 100
    """Steps over which weights are averaged for the model that is kept; 1 keeps the last ones."""
    target_known: bool = False
    """Whether the displacements of `target` pairs are taught as well: no adaptation, but what it could come to."""
    margin: AtLeastZero = 0.0
    """How far within the object the middles of patches lie, in voxels. Brains that were cut out have one outline in all
    contrasts, and a network that sees it learns little else."""
    patches: Annotated[int, Field(ge=2)] = 16
    """Patches that are cut of a pair of images at a time."""
    batch: Annotated[int, Field(ge=1)] = 4
    """Pairs of images a step."""
    rotation_deg: AtLeastZero = 10.0
    """How far patches are turned, both of a pair alike."""
    contrast: AtLeastZero = 0.15
    """How far the contrast of both images is bent: the deviation of the logarithm of an exponent."""
    noise: AtLeastZero = 0.05
    """Standard deviation of noise."""
    weight_decay: AtLeastZero = 5e-4
    """How weights are drawn to zero: a term of Adam's slopes."""
    steps: Annotated[int, Field(ge=1)] = 6000
    """Steps of the optimiser."""

    @model_validator(mode="after")
    def _has_a_target(self) -> "DisplacementRecipe":
        if not self.target and self.target_known:
            raise ValueError("expected target to name the contrasts whose displacements are known")
        return self

    @property
    def adapts(self) -> bool:
        """Whether there is anything to adapt."""
        return bool(self.target) and not self.target_known and self.discrepancy != "none"

    @property
    def canonical(self) -> Canonical:
        """A patch."""
        return Canonical(shape=(self.net.patch,) * self.net.ndim, spacing_mm=self.spacing_mm)

    @property
    def weight(self) -> float:
        """What `strength` comes to."""
        return self.strength if self.discrepancy == "windows" else 0.1 * self.strength

    def phase_of(self, step: int) -> int:
        """What a step is for: 0 teaches what is known, 1 drives the beliefs apart, 2 brings them together; 3 teaches
        what is known, and what windows say together."""
        if not self.adapts or step < self.head_start:
            return 0
        if self.discrepancy == "windows":
            return 3
        return min((step - self.head_start) % (2 + self.feature_steps), 2)


RECIPES: dict[str, type[RunRecipe]] = {
    VELOCITY: VelocityRecipe,
    KEYPOINTS: KeypointRecipe,
    PATCHES: PatchRecipe,
    DISPLACEMENTS: DisplacementRecipe,
}


def read_recipe(path: Path) -> RunRecipe:
    """The recipe of a file, of the kind it names; what else it names is taken to be relative to the file's folder.

    Raises `UsageError` for an unknown kind, a wrong value, or a file it names that is not there, and `ReadError` for a
    file that is no recipe.
    """
    found = RECIPES[_network_in(path)].load(path)
    beside = path.resolve().parent
    named = {name: getattr(found, name, None) or "" for name in FILES}
    changes = {name: str(beside / value) for name, value in named.items() if value or name == "images"}
    for name, value in changes.items():
        if not Path(value).exists():
            raise UsageError(f"{path}: {name} names {value}, which is not there")
    return found.replace(**changes)


def example(network: str = VELOCITY) -> str:
    """A recipe in TOML with every setting at its default, and what it means."""
    lines = [
        "# A training recipe. Every setting has the value it has if it is left out; only images has none."
    ]
    for name, field in RECIPES[network].model_fields.items():
        said = " ".join((field.description or "").split())
        lines += ["", *textwrap.wrap(said, 110, initial_indent="# ", subsequent_indent="# ")]
        value: Any = "images.csv" if field.is_required() else field.get_default(call_default_factory=True)
        plain = value.to_dict() if isinstance(value, Settings) else value
        lines.append(f"# {name} =" if plain is None else f"{name} = {toml_value(plain)}")
    return "\n".join(lines)


def _network_in(path: Path) -> str:
    """What a file says that it trains; the first kind where it says nothing or cannot be read, which loading says."""
    parse = {".json": json.loads, ".toml": tomllib.loads}.get(path.suffix.lower())
    if parse is None or not path.is_file():
        return VELOCITY
    try:
        values: Any = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return VELOCITY
    named = values.get("network", VELOCITY) if isinstance(values, dict) else VELOCITY
    if named not in RECIPES:
        raise UsageError(f"{path}: expected network {' or '.join(RECIPES)}, got {named!r}")
    return str(named)
