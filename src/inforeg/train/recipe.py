"""A training run, as a value: one flat page that a file holds. What all networks have in common."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from inforeg.image.tissues import NUMBERINGS, SIGNALS
from inforeg.metrics import METRICS
from inforeg.nets.canonical import Canonical
from inforeg.settings import Settings

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
AtLeastZero = Annotated[float, Field(ge=0)]
RANDOM = "random"
"""The contrast that is another one at every draw."""
FILES = ("images", "reference", "begin_with")
"""Settings of any recipe that name files: where they lie says nothing of what is trained."""


class RunRecipe(Settings):
    """What every training run has in common: where images are listed, how long it lasts, what it says of itself."""

    images: str
    """A table of images (.csv, .tsv) or a folder of them; relative to the recipe's own folder. See `read_scans`."""
    validation: Share = 0.15
    """Share of subjects to validate on, where the table has no column `split`."""
    test: Share = 0.15
    """Share of subjects to leave out altogether, where the table has no column `split`."""

    fixed: tuple[str, ...] = ()
    """Contrasts that the fixed image is drawn from; all that are listed if none is given."""
    moving: tuple[str, ...] = ()
    """Contrasts that the moving image is drawn from, likewise."""

    steps: Annotated[int, Field(ge=1)] = 2000
    """Steps of the optimiser."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Pairs a step, on each device."""
    rate: Positive = 1e-3
    """Adam's rate for the network."""
    warm_up: Annotated[int, Field(ge=0)] = 0
    """Steps over which all rates rise from nothing. Adam's first steps are its boldest, and may break a network."""
    clip: AtLeastZero = 1.0
    """Largest norm of a step's gradient, what is longer is shortened; 0 for no limit."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Adam's memory of gradients and of their squares."""
    decay: bool = True
    """Whether rates fall to nothing along a half cosine; constant rates if not."""
    precision: Literal["32", "bf16"] = "bf16"
    """What features are computed in; 32 bits on a CPU that does not compute in bf16. Coordinates and metrics are never
    below 32 bits."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Of all that is random."""

    log_every: Annotated[int, Field(ge=1)] = 10
    """Steps between lines of the log."""
    validate_every: Annotated[int, Field(ge=1)] = 200
    """Steps between validations, and between checkpoints."""
    validation_pairs: Annotated[int, Field(ge=1)] = 6
    """Pairs to validate on."""

    licence: str = ""
    """What may be done with the model: of its card."""
    notes: str = ""
    """Where the images come from, and what else its users should know: of its card."""

    @property
    def canonical(self) -> Canonical:
        """What a network of it sees at once."""
        raise NotImplementedError

    @property
    def ndim(self) -> int:
        """Axes of the images."""
        return len(self.canonical.shape)

    def rate_at(self, step: int) -> float:
        """The share of all rates that a step takes."""
        return self.share_of_rate(step, self.steps)

    def share_of_rate(self, step: int, steps: int) -> float:
        """The share of the rates at one of so many steps: it rises, and falls along a half cosine if it decays."""
        rise = min(1.0, (step + 1) / (self.warm_up + 1))
        return rise * (0.5 * (1 + math.cos(math.pi * step / steps)) if self.decay else 1.0)

    def pauses_after(self, done: int) -> bool:
        """Whether a validation and a checkpoint are due after so many steps."""
        return done % self.validate_every == 0 or done == self.steps


class Recipe(RunRecipe):
    """What networks are trained on that see whole images, and how; what else one asks for is said by a recipe of its
    own."""

    start: Literal["affine", "rigid", "header"] = "affine"
    """How each image is brought to the reference before anything is learnt; `header`: it lies there already."""
    reference: str | None = None
    """The image or label map that all are brought to; the first of the training subjects if not given."""
    shape: Annotated[tuple[Annotated[int, Field(ge=8)], ...], Field(min_length=2, max_length=3)] = (
        48,
        64,
        48,
    )
    """Voxels that the network sees along each axis of the world, about the object's centre."""
    spacing_mm: Positive = 3.0
    """Their size."""

    subjects: Literal["different", "same", "any"] = "different"
    """Whether the two images of a pair are of different subjects."""
    synthetic: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How often a contrast is painted from a label map where a real image could be had, too."""
    numbering: Literal["own", "neuromorphometrics", "freesurfer"] = "own"
    """What the labels' numbers stand for: `own` takes each for a tissue of its own."""
    ignore: tuple[int, ...] = ()
    """Labels that count as background."""
    hidden: tuple[tuple[int, ...], ...] = ()
    """Groups of labels of which every painted image leaves out one, or none: what stripping a skull may take away."""
    contrasts: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Signals of tissues, or of labels by their numbers, in contrasts to paint, beside T1, T2, FLAIR, PD and random."""
    jitter: AtLeastZero = 0.05
    """By what share the signals of painted contrasts vary from draw to draw."""
    texture: AtLeastZero = 0.04
    """How much intensities vary within a tissue of a painted image."""

    augment: AtLeastZero = 1.0
    """Strength of all augmentation; 0 is none."""
    rotation_deg: AtLeastZero = 10.0
    """How far both images of a pair are turned together."""
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """By what share both are scaled together."""
    shift_mm: AtLeastZero = 5.0
    """How far both are shifted together."""
    apart: Annotated[float, Field(ge=0, le=1)] = 0.2
    """What share of such a motion is left between them, as a linear start leaves some."""
    warp_mm: AtLeastZero = 0.0
    """How far each is deformed on its own, smoothly: for few subjects."""
    flip: bool = True
    """Whether left and right change places in every other pair."""
    shading: AtLeastZero = 0.1
    """Strength of smooth shading."""
    noise: AtLeastZero = 0.02
    """Standard deviation of noise."""

    metric: str = "nmi"
    """What the images are compared by: a metric's name."""
    metric_settings: dict[str, Any] = Field(default_factory=dict)
    """Settings of the metric, where they are to differ."""
    alpha: AtLeastZero = 1.0
    """Weight of the metric beside all else."""
    label_weight: AtLeastZero = 0.0
    """Weight of how little labelled structures overlap (1 - soft Dice), where both images have a label map; 0: labels
    paint images, and no more."""
    structures: Annotated[int, Field(ge=1)] = 16
    """How many structures, drawn anew for every pair, the overlap is taken of."""

    @model_validator(mode="before")
    @classmethod
    def _axes(cls, values: Any) -> Any:
        """The network has as many axes as the shape, unless it says otherwise."""
        if isinstance(values, dict) and not isinstance(values.get("net"), Settings):
            shape = values.get("shape", cls.model_fields["shape"].default)
            inner = values.get("net", {})
            if isinstance(inner, dict) and isinstance(shape, list | tuple) and len(shape) in (2, 3):
                values = {**values, "net": {"ndim": len(shape), **inner}}
        return values

    @model_validator(mode="after")
    def _known_metric(self) -> "Recipe":
        if self.metric not in METRICS:
            raise ValueError(f"expected metric {', '.join(METRICS)}, got {self.metric!r}")
        return self

    def check_net(self, ndim: int, multiple: int) -> None:
        """Whether a network of so many axes, and sizes of these multiples, fits the shape."""
        if ndim != len(self.shape):
            raise ValueError(f"expected a network of {len(self.shape)} axes for this shape, got {ndim}")
        if any(n % multiple for n in self.shape):
            raise ValueError(
                f"expected a shape of multiples of {multiple}, as the network halves it, got {self.shape}"
            )

    @property
    def canonical(self) -> Canonical:
        """The grid that the network sees."""
        return Canonical(shape=self.shape, spacing_mm=self.spacing_mm)

    def signals(self, contrast: str) -> dict[str, float] | None:
        """The signals of tissues, or labels, in a contrast that can be painted; None where it cannot."""
        if contrast in self.contrasts:
            return self.contrasts[contrast]
        known = self.numbering in NUMBERINGS and contrast in SIGNALS
        return SIGNALS[contrast] if known else {} if contrast == RANDOM else None
