"""The charts of a run: the metric step by step, and the poses a search scored."""

import html
import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from statistics import median

from inforeg.report.data import Candidate, StageTrace
from inforeg.report.plot import (
    HEIGHT_PX,
    axes,
    curve,
    down,
    figure,
    now,
    number,
    rising,
    room,
    stretched,
    whole,
)

MOST_CANDIDATES = 1000
# A level narrower than this part of the chart gets no label of its own; the caption names them all.
LABEL_SHARE = 0.13
# A line that goes up and down by this many times its height is noise, and is drawn with its running median.
NOISY = 4.0


def traces(stages: Sequence[StageTrace]) -> str:
    """One chart for every run of stages with one metric: values of different metrics share no axis."""
    drawn = [s for s in stages if len(s.value)]
    groups = [list(group) for _, group in groupby(drawn, key=lambda s: (s.metric, s.better))]
    return "".join(_trace_chart(group, alone=len(groups) == 1) for group in groups)


def _trace_chart(stages: list[StageTrace], alone: bool) -> str:
    metric, better = stages[0].metric, stages[0].better
    values = [float(v) for stage in stages for v in stage.value]
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return ""
    steps = max(len(values) - 1, 1)
    marks, captions = level_marks(stages)
    caption = "Grid spacing (steps) of " + "; ".join(captions) + "." if captions else ""
    window = max(5, len(values) // 30) | 1
    runs = _runs(stages)
    middle = [v for run in runs for v in _running_median(run, window)] if _noisy(runs) else None
    if middle is None:
        low, high = room(min(finite), max(finite))
        lines = curve(values, low, high)
    else:
        low, high = room(*_calm(finite, middle))
        lines = curve(values, low, high, "raw") + curve(middle, low, high)
        caption = f"Thin: every step; thick: the median of {window} steps. {caption}".strip()
        beyond = sum(not low <= v <= high for v in finite)
        if beyond:
            caption += (
                f" {beyond} step{'s' if beyond > 1 else ''} lie{'' if beyond > 1 else 's'} beyond the frame."
            )
    drawn = axes(steps, whole(steps), rising(low, high)) + marks + stretched(lines)
    return figure(
        drawn + (now(len(values)) if alone else ""),
        x_name="step",
        y_name=f"{metric} ({'smaller' if better == 'less' else 'more'} is better)",
        caption=caption,
        label=f"{metric} over {len(values)} steps, from {number(finite[0])} to {number(finite[-1])}",
        testid="trace",
        headed=True,
    )


def level_marks(stages: Sequence[StageTrace]) -> tuple[str, list[str]]:
    """Above the plot, where no curve runs, a row of stages and a row of levels; and the same in words for a caption.

    Where all steps are of one level, there is nothing to say of it.
    """
    levelled = len({float(mm) for stage in stages for mm in stage.level_mm}) > 1
    count = sum(len(stage.value) for stage in stages)
    steps = max(count - 1, 1)
    marks: list[str] = []
    captions: list[str] = []
    start = 0
    for stage in stages:
        levels = []
        for spacing_mm, run in groupby(stage.level_mm):
            length = len(list(run))
            levels.append(f"{number(float(spacing_mm))} mm ({length})")
            left = 100 * start / steps
            if len(levels) == 1 and len(stage.value) >= 1.5 * LABEL_SHARE * count:
                name = html.escape(stage.name)
                marks.append(f'<text class="stage" x="{left:.2f}%" dx="6" y="-26">{name}</text>')
            if start:
                kind, top = ("stage", -38) if len(levels) == 1 else ("level", -20)
                across = f'x1="{left:.2f}%" x2="{left:.2f}%"'
                marks.append(f'<line class="{kind}" {across} y1="{top}" y2="{HEIGHT_PX}"/>')
            if levelled and length / count >= LABEL_SHARE:
                middle = 100 * (start + length / 2) / count
                words = f"{number(float(spacing_mm))} mm"
                marks.append(f'<text x="{middle:.2f}%" y="-8" text-anchor="middle">{words}</text>')
            start += length
        captions.append(f"<strong>{html.escape(stage.name)}</strong>: {', '.join(levels)}")
    return "".join(marks), captions if levelled else []


def _runs(stages: Sequence[StageTrace]) -> list[list[float]]:
    """The values of every stage and level by themselves: other levels have other values."""
    return [
        [float(v) for _, v in run]
        for stage in stages
        for _, run in groupby(zip(stage.level_mm, stage.value, strict=True), key=lambda pair: pair[0])
    ]


def _noisy(runs: list[list[float]]) -> bool:
    travelled = height = 0.0
    for run in runs:
        values = [v for v in run if math.isfinite(v)]
        if len(values) >= 40:
            low, high = _most(values)
            travelled += sum(abs(b - a) for a, b in pairwise(values))
            height += high - low
    return travelled > NOISY * height


def _running_median(values: list[float], window: int) -> list[float]:
    middle = []
    for n in range(len(values)):
        near = [v for v in values[max(0, n - window // 2) : n + window // 2 + 1] if math.isfinite(v)]
        middle.append(median(near) if near else math.nan)
    return middle


def _calm(values: list[float], middle: list[float]) -> tuple[float, float]:
    """What the median and nearly all of the steps lie between: one wild step must not flatten the curve."""
    shown = [*_most(values), *(v for v in middle if math.isfinite(v))]
    return min(shown), max(shown)


def _most(values: list[float]) -> tuple[float, float]:
    """What 96 of 100 values lie between."""
    ordered = sorted(values)
    cut = len(ordered) // 50
    return ordered[cut], ordered[-1 - cut]


def candidates_chart(candidates: Sequence[Candidate]) -> str:
    """The poses the global search scored: angle from the header's pose across, score up, the best marked."""
    seen = [c for c in candidates if math.isfinite(c.angle_deg) and math.isfinite(c.score)]
    if not seen:
        return ""
    best = min(seen, key=lambda c: c.score)
    low, high = room(min(c.score for c in seen), max(c.score for c in seen))
    right = max(30.0, math.ceil(max(c.angle_deg for c in seen) / 30) * 30.0)
    dots = "".join(
        f'<circle cx="{100 * c.angle_deg / right:.2f}%" '
        f'cy="{down(c.score, low, high) * HEIGHT_PX:.1f}" r="2.5"/>'
        for c in sorted(seen, key=lambda c: c.score)[:MOST_CANDIDATES]
    )
    x, y = 100 * best.angle_deg / right, down(best.score, low, high) * HEIGHT_PX
    marker = f'<circle class="best" cx="{x:.2f}%" cy="{y:.1f}" r="7"/>'
    # The best are what matters, and ten thousand dots would weigh more than the images.
    shown = f"The best {MOST_CANDIDATES} of {len(seen)}" if len(seen) > MOST_CANDIDATES else f"{len(seen)}"
    drawn = axes(right, [30.0 * n for n in range(int(right) // 30 + 1)], rising(low, high))
    return figure(
        f'{drawn}<g class="dots">{dots}</g>{marker}',
        x_name="rotation away from the header’s pose (degrees)",
        y_name="score (smaller is better)",
        caption=f"{shown} poses of the global search; the ring marks the best, {best.angle_deg:.0f}° away.",
        label=f"scores of {len(candidates)} poses, best at {best.angle_deg:.0f} degrees",
        testid="candidates",
    )
