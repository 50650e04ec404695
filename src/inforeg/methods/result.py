"""What a method gives back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from torch import Tensor

from inforeg.image import Image, resample
from inforeg.solve.newton import Status
from inforeg.solve.start import Start
from inforeg.transforms import Linear, Transform


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage: its name, the transform it ended with, and the metric (smaller is better) step by step.

    `spacing_mm` says for every entry of `metric` at which resolution it was measured; values of different
    resolutions are not comparable. `path` holds the transforms of the steps, where the method keeps them: as many as
    there are values in `metric`, or none.
    """

    name: str
    transform: Transform
    status: Status
    spacing_mm: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    path: list[Linear] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Response:
    """What a learnt metric makes of two intensities: pointwise information, in nats, over a grid of both.

    `nats[i, j]` belongs to the intensities `fixed[i]` and `moving[j]`; above zero the metric takes them to belong
    together. Intensities are in the images' own units; of colours, they are places along the image's first principal
    component, about its mean. `fixed_counts` and `moving_counts` say how many of the samples lie at each.
    """

    fixed: Tensor
    moving: Tensor
    nats: Tensor
    fixed_counts: Tensor
    moving_counts: Tensor


@dataclass(frozen=True, eq=False)
class Points:
    """Points that were found in both images, of the same places: `(k, d)` each, RAS+ mm, and weights `(k,)`, sum 1.

    `left_mm`, `(k,)`, is how far each fixed point lands from its moving point under the result's transform; `off_mm`
    how far the points of the fixed and of the moving image are, root mean square, from where the model has them in an
    anatomy it knows (None where it does not say), and `coverage` the share of the fixed object that they surround.
    """

    fixed_mm: Tensor
    moving_mm: Tensor
    weights: Tensor
    left_mm: Tensor
    off_mm: tuple[float, float] | None
    coverage: float

    @property
    def residual_mm(self) -> float:
        """The weighted root mean square of `left_mm`."""
        return float((self.weights * self.left_mm.square()).sum().sqrt())


@dataclass(frozen=True, eq=False)
class Quality:
    """How far a result can be trusted.

    `verdict` is `good`, `check` (look at it before use) or `failed`; `reasons` says why in plain words. `overlap` is
    the share of the fixed object that lies inside the moving field of view. `information` is the mutual information
    in nats per sample, at the end and, as `information_before`, where the headers put the images. `margin` is the
    lead of the winning pose over the best clearly different one (1: no rival), None where no search was made.
    `precision_mm` is how far the transform moves when it is estimated from other samples of the same images: half the
    root mean square distance between estimates from two disjoint halves. It says nothing of systematic error.
    """

    verdict: Literal["good", "check", "failed"]
    reasons: list[str]
    overlap: float
    information: float
    information_before: float
    margin: float | None
    precision_mm: float | None


@dataclass(frozen=True, eq=False)
class Result:
    """The transform (fixed points to moving points, RAS+ mm), how it was found, and how far to trust it.

    `start` holds the poses that were compared before the first stage; `settings` are the resolved settings of the
    method, enough to run it again; `notes` are decisions worth telling. `response` is what a learnt metric has learnt,
    `points` what a method of points has found.
    """

    transform: Transform
    status: Status
    stages: Sequence[Stage]
    quality: Quality
    fixed: Image
    moving: Image
    settings: dict[str, Any]
    start: Start | None = None
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    method: str = "linear"
    response: Response | None = None
    points: Points | None = None

    @property
    def ok(self) -> bool:
        """Whether the run's own quality check passed."""
        return self.quality.verdict == "good"

    @cached_property
    def inverse(self) -> Transform:
        """Moving points to fixed points."""
        return self.transform.inverse()

    @cached_property
    def warped(self) -> Image:
        """The moving image on the fixed image's grid, by linear interpolation."""
        return resample(self.moving, self.fixed.grid, self.transform)
