"""What a report shows, as one plain value that knows nothing of how it was computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    """The metric of one stage at every step (smaller is better) and the spacing in mm it was computed at."""

    name: str
    value: Sequence[float]
    level_mm: Sequence[float]
    metric: str = "metric"


class Candidate(NamedTuple):
    """One pose the global search scored: rotation away from the header's pose, score (smaller is better)."""

    angle_deg: float
    score: float


@dataclass(frozen=True, eq=False)
class ReportData:
    """Everything on the page.

    `fixed`, `before` and `warped` lie on one grid: volumes (i, j, k[, channel]) whose axes increase to the
    right, anterior and superior of the patient; pictures (x, y[, channel]), x to the right and y down. One
    channel, or three for colour. `before` is the moving image where the registration found it, `warped`
    where it left it; both get the same grey window. Images longer than the page can hold are reduced when
    it is rendered; where they were reduced before, `full_spacing_mm` says how fine the fixed image is on
    disk. NaN counts as empty. Joint histograms are (fixed bin, moving bin) counts; left out, they come from
    the images shown.

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

    @property
    def ndim(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.spacing_mm)
