"""The charts of a path of transforms: how far each step still was from the end, and what it did."""

import math
from collections.abc import Sequence
from itertools import accumulate

from inforeg.report.charts import level_marks
from inforeg.report.data import PathTrace, StageTrace
from inforeg.report.plot import axes, curve, down, figure, now, number, plot, rising, room, stretched, whole

SMALL_PX = 78
# Distances below this part of the largest are rounding, and would take most of a logarithmic axis.
SMALLEST = 1e-6


def path_charts(path: PathTrace, stages: Sequence[StageTrace], *, wide: bool = False) -> str:
    """Two figures: the distance to the end on a logarithmic axis; rotation, scale and shift in small plots.

    The small plots stand one above the other, or side by side where there is a row to fill: `wide`.
    """
    # The path of a run that goes on to deform ends with its linear stages.
    steps = list(accumulate(len(stage.value) for stage in stages))
    stages = stages[: steps.index(len(path.left_mm)) + 1]
    largest = max((v for v in path.left_mm if math.isfinite(v)), default=0.0)
    if largest <= 0:
        return ""
    return _distance(path, stages, largest) + _motion(path, wide)


def _distance(path: PathTrace, stages: Sequence[StageTrace], largest: float) -> str:
    floor = SMALLEST * largest
    # The end itself is no distance away, and stands on no logarithmic axis.
    values = [math.log10(v) if v > floor else math.nan for v in path.left_mm]
    finite = [v for v in values if math.isfinite(v)]
    low, high = room(min(finite), max(finite))
    steps = max(len(values) - 1, 1)
    marks, _ = level_marks([stage for stage in stages if len(stage.value)])
    up = [(down(math.log10(v), low, high), number(v)) for v in _log_ticks(low, high)]
    first = path.left_mm[0]
    return figure(
        axes(steps, whole(steps), up) + marks + stretched(curve(values, low, high)) + now(len(values)),
        x_name="step",
        y_name=f"how far the rim still is from where {path.ends} (mm, logarithmic)",
        caption=f"The farthest point of the object’s rim, {number(round(path.radius_mm, 1))} mm from its centre. "
        "A straight fall is steady progress; a floor is what the steps scatter by.",
        label=f"distance to the end over {len(values)} steps, from {number(round(first, 3))} mm",
        testid="distance",
        headed=True,
    )


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two logarithms; 2 and 5 times them where there are few, thinned where there are many."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if high - low < 3 else (1,)
    every = max(1, math.ceil((high - low) / 7))
    return [
        f * 10.0**p for p in powers if p % every == 0 for f in factors if low <= math.log10(f) + p <= high
    ]


def _motion(path: PathTrace, wide: bool) -> str:
    lines = (
        ("rotation", "degrees", path.rotation_deg),
        ("scale", "", path.scale),
        ("shift", "mm", path.shift_mm),
    )
    # What a group of transforms leaves alone is no chart: the scale of a rigid one.
    moved = [line for line in lines if max(line[2]) - min(line[2]) > 1e-6]
    plots = []
    for name, unit, values in moved:
        low, high = room(min(values), max(values))
        steps = max(len(values) - 1, 1)
        labelled = wide or name == moved[-1][0]
        label = f"{name} over {len(values)} steps, from {number(values[0])} to {number(values[-1])} {unit}"
        drawn = axes(steps, whole(steps) if labelled else (), rising(low, high, 3), SMALL_PX)
        drawn += stretched(curve(values, low, high), SMALL_PX) + now(len(values), SMALL_PX)
        plots.append(
            f'<div><p class="y-title">{name}, at the last step <strong>{number(values[-1])} {unit}</strong></p>'
            f"{plot(drawn, label.strip(), SMALL_PX, footed=labelled)}"
            + ('<p class="x-title">step</p>' if labelled else "")
            + "</div>"
        )
    kind = "chart small wide" if wide else "chart small"
    return (
        f'<figure class="{kind}" data-testid="motion"><div class="plots">{"".join(plots)}</div>'
        "<figcaption>What the transform did at each step: its turn, its scale, and how far it moved the object’s "
        "centre.</figcaption></figure>"
    )
