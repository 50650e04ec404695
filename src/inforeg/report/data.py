"""What a report shows, as one plain value that knows nothing of how it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Verdict(NamedTuple):
    """How the result looks, in one word for the colour and one sentence for the reader."""

    level: Literal["good", "check", "failed"]
    sentence: str


class KeyFigure(NamedTuple):
    """A number worth seeing first: what it is, its value with unit, and what it means."""

    label: str
    value: str
    note: str = ""


class StageTrace(NamedTuple):
    """The metric of one stage at every step, the spacing in mm it was computed at, and which way is better."""

    name: str
    value: Sequence[float]
    level_mm: Sequence[float]
    metric: str = "metric"
    better: Literal["less", "more"] = "less"


class Candidate(NamedTuple):
    """One pose the global search scored: rotation away from the header's pose, score (smaller is better)."""

    angle_deg: float
    score: float


class PathTrace(NamedTuple):
    """The transform at every step of all stages.

    `left_mm` is how far the farthest point of the object's rim, a ball of `radius_mm`, still is from where it ends;
    rotation, scale and shift are those of the transform at the object's centre. Where a run goes on to deform, the path
    is that of its linear stages, and `ends` says so: "how far from where `ends`".
    """

    left_mm: Sequence[float]
    rotation_deg: Sequence[float]
    scale: Sequence[float]
    shift_mm: Sequence[float]
    radius_mm: float
    ends: str = "it ends"


@dataclass(frozen=True, eq=False)
class Response:
    """What a learnt metric makes of two intensities: `nats` (n, m) over ascending `fixed` (n,) and `moving` (m,).

    The counts say how many samples lie at each intensity. Raises `ValueError` where the shapes do not fit, or the
    intensities do not ascend.
    """

    fixed: NDArray[Any]
    moving: NDArray[Any]
    nats: NDArray[Any]
    fixed_counts: NDArray[Any]
    moving_counts: NDArray[Any]
    fixed_words: str = "fixed image"
    moving_words: str = "moving image"

    def __post_init__(self) -> None:
        shape = len(self.fixed), len(self.moving)
        if self.nats.shape != shape or (len(self.fixed_counts), len(self.moving_counts)) != shape:
            raise ValueError(
                f"a response over {shape[0]} and {shape[1]} intensities has nats of shape {self.nats.shape} and "
                f"{len(self.fixed_counts)} and {len(self.moving_counts)} counts: expected one for each"
            )
        for name in ("fixed", "moving"):
            steps = np.diff(np.asarray(getattr(self, name), np.float64))
            if len(steps) < 1 or not (steps > 0).all():
                raise ValueError(f"the {name} intensities of a response must be two or more, and ascend")


@dataclass(frozen=True, eq=False)
class Film:
    """The registration as it ran, in a few frames: the fixed image, and the moving one as each frame has it.

    `fixed` holds one picture a plane, grey (row, column), and every one of `frames` as many of the same shapes, as they
    stand on the screen. `planes` are `axial`, `coronal` and `sagittal`, or `picture`; `spacing_mm` is (row, column) of
    each. `labels` say where each frame is, `steps` at which step of the run (None: before it). At a frame of
    `pauses` the film stands still for a moment, as it does at the first. Raises `ValueError` where one is missing.
    """

    planes: Sequence[str]
    spacing_mm: Sequence[tuple[float, float]]
    fixed: Sequence[NDArray[Any]]
    frames: Sequence[Sequence[NDArray[Any]]]
    labels: Sequence[str]
    steps: Sequence[float | None]
    pauses: Sequence[int] = ()

    def __post_init__(self) -> None:
        shapes = [picture.shape for picture in self.fixed]
        for number, frame in enumerate(self.frames):
            if [picture.shape for picture in frame] != shapes:
                raise ValueError(
                    f"frame {number} of the film does not have the shapes {shapes} of the fixed image"
                )
        if not len(self.frames) == len(self.labels) == len(self.steps) > 0:
            raise ValueError(
                f"a film of {len(self.frames)} frames has {len(self.labels)} labels and {len(self.steps)} steps: "
                "expected one for each"
            )
        if not len(self.planes) == len(self.spacing_mm) == len(shapes) > 0:
            raise ValueError(
                f"a film of {len(shapes)} pictures has {len(self.planes)} planes and {len(self.spacing_mm)} spacings: "
                "expected one for each"
            )


@dataclass(frozen=True, eq=False)
class Slice:
    """A slice of an image, bytes (row, column), as it stands on the screen, and where points are in it.

    `at` (k, 2) is across and down, from 0 to 1, and `away_mm` (k,) how far each point is from the slice. `aspect` is
    the height of the picture over its width, in mm.
    """

    plane: str
    picture: NDArray[np.uint8]
    aspect: float
    at: NDArray[Any]
    away_mm: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Points found in both images: in slices of the fixed and of the moving one, with weights that sum to one.

    `left_mm` (k,) is how far the transform leaves each point from its partner. `hue` (k,), from 0 to 1, is what tells
    points apart by colour: near places have near hues. Raises `ValueError` where the counts do not agree.
    """

    fixed: Sequence[Slice]
    moving: Sequence[Slice]
    weights: NDArray[Any]
    left_mm: NDArray[Any]
    hue: NDArray[Any]

    def __post_init__(self) -> None:
        counts = {len(self.weights), len(self.left_mm), len(self.hue)}
        counts |= {len(each) for s in (*self.fixed, *self.moving) for each in (s.at, s.away_mm)}
        if len(counts) != 1 or 0 in counts:
            raise ValueError(f"expected as many places, weights, residuals and hues, got {sorted(counts)}")


class Measures(NamedTuple):
    """What a deformation does at so many places: determinants, their folds, and lengths in mm.

    `folds` counts determinants of zero or less; `sd_log` is the standard deviation of the others' natural logarithm.
    """

    places: int
    smallest: float
    largest: float
    sd_log: float
    folds: int
    mean_mm: float
    largest_mm: float


class Place(NamedTuple):
    """A place worth a look: how far along each axis, from 0 to 1, and what the deformation does there."""

    at: Sequence[float]
    determinant: float
    displacement_mm: float


@dataclass(frozen=True, eq=False)
class Deformation:
    """What a transform does beside its linear part, in the fixed image's world.

    `log_jacobian` (i, j[, k]) is the natural logarithm of its determinant, NaN where that is zero or less: there space
    folds. `displacement_mm` (i, j[, k], d) is where points go, along the axes of the images. Both cover the images'
    field of view, axes turned as theirs are, each on as many voxels as is thought enough. `undeformed`, on the
    images' grid, is the moving image as the linear part alone leaves it. `typical` is what |log J| hardly exceeds, and
    the map's scale ends there. The planes go through `start` at first, from 0 to 1 along each axis; `places` are
    `smallest`, `largest` and `farthest`, and `fold` where there is one. `inside` is measured in the object, `whole` in
    the whole field of view, both at places `spacing_mm` apart. Raises `ValueError` where the shapes do not fit.
    """

    log_jacobian: NDArray[Any]
    displacement_mm: NDArray[Any]
    undeformed: NDArray[Any]
    typical: float
    start: Sequence[float]
    places: Mapping[str, Place]
    inside: Measures
    whole: Measures
    spacing_mm: Sequence[float]
    inverse_error_mm: float | None = None

    def __post_init__(self) -> None:
        d = self.log_jacobian.ndim
        if self.displacement_mm.ndim != d + 1 or self.displacement_mm.shape[-1] != d:
            raise ValueError(
                f"a deformation with a {d}-D Jacobian has displacements of shape {self.displacement_mm.shape}: "
                f"expected {d} components along the last of {d + 1} axes"
            )
        if {len(self.start), *(len(place.at) for place in self.places.values())} != {d}:
            raise ValueError(f"the start and the places of a {d}-D deformation have {d} numbers each")


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything on the page.

    `fixed`, `before` and `warped` lie on one grid: volumes (i, j, k[, channel]) whose axes increase to the
    right, anterior and superior of the patient; pictures (x, y[, channel]), x to the right and y down. One
    channel, or three for colour. `before` is the moving image where the registration found it, `warped`
    where it left it; both get the same grey window. Images longer than the page can hold are reduced when
    it is rendered; where they were reduced before, `full_spacing_mm` says how fine the fixed image is on
    disk. NaN counts as empty. Joint histograms are (fixed bin, moving bin) counts; left out, they come from
    the images shown. `path` has as many steps as all stages together, or as the first of them that are linear.

    Raises `ValueError` when the images are not on one grid, or a trace has more values than levels.
    """

    title: str
    fixed: NDArray[Any]
    before: NDArray[Any]
    warped: NDArray[Any]
    spacing_mm: tuple[float, ...]
    verdict: Verdict
    fixed_name: str = "fixed"
    moving_name: str = "moving"
    full_spacing_mm: tuple[float, ...] | None = None
    before_words: str = "as the headers place it"
    chain_in_words: Sequence[str] = ()
    summary: Sequence[KeyFigure] = ()
    stages: Sequence[StageTrace] = ()
    candidates: Sequence[Candidate] = ()
    joint_histogram_before: NDArray[Any] | None = None
    joint_histogram_after: NDArray[Any] | None = None
    response: Response | None = None
    path: PathTrace | None = None
    film: Film | None = None
    deformation: Deformation | None = None
    keypoints: Keypoints | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        if self.ndim not in (2, 3):
            raise ValueError(f"a report shows 2-D or 3-D images, got {self.ndim} spacings")
        grid = self.fixed.shape[: self.ndim]
        for name in ("fixed", "before", "warped"):
            shape = getattr(self, name).shape
            if shape[: self.ndim] != grid or len(shape) > self.ndim + 1:
                raise ValueError(f"{name} has shape {shape} and fixed {self.fixed.shape}: expected one grid")
            if len(shape) == self.ndim + 1 and shape[-1] not in (1, 3):
                raise ValueError(f"{name} has {shape[-1]} channels: expected 1 (grey) or 3 (colour)")
            if 0 in shape:
                raise ValueError(f"{name} has shape {shape}: there is nothing to show")
        for histogram in (self.joint_histogram_before, self.joint_histogram_after):
            if histogram is not None and np.ndim(histogram) != 2:
                raise ValueError(f"a joint histogram is 2-D, got shape {np.shape(histogram)}")
        for stage in self.stages:
            if len(stage.value) != len(stage.level_mm):
                raise ValueError(
                    f"stage {stage.name} has {len(stage.value)} values and {len(stage.level_mm)} level "
                    "spacings: expected one spacing per step"
                )
        steps = list(accumulate(len(stage.value) for stage in self.stages)) or [0]
        lengths = [len(line) for line in self.path[:4]] if self.path is not None else []
        if len(set(lengths)) > 1 or not set(lengths) <= set(steps):
            raise ValueError(
                f"the path has {lengths} steps and the stages {steps[-1]}: expected as many, or as the first of them"
            )
        if self.deformation is not None and (
            self.deformation.log_jacobian.ndim != self.ndim
            or self.deformation.undeformed.shape[: self.ndim] != grid
        ):
            raise ValueError(
                f"the deformation's Jacobian has shape {self.deformation.log_jacobian.shape} and its undeformed image "
                f"{self.deformation.undeformed.shape}: expected {self.ndim} axes and the fixed image's grid {grid}"
            )

    @property
    def ndim(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.spacing_mm)
