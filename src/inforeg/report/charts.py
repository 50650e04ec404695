"""Line and point charts as inline SVG: percent across and pixels down, so that text keeps its size."""

import html
import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from inforeg.report.data import Candidate, StageTrace

HEIGHT_PX = 220
MOST_POINTS = 600
MOST_CANDIDATES = 1000
# A level narrower than this part of the chart gets no label of its own; the caption names them all.
LABEL_SHARE = 0.13


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that cover `low` to `high`, about so many."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low] if math.isfinite(low) else []
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [n * step for n in range(first, last + 1)]


def number(value: float) -> str:
    """A number short enough for an axis."""
    return f"{value:.4g}".replace("-", "−")


def traces(stages: Sequence[StageTrace]) -> str:
    """One chart for every run of stages with one metric: values of different metrics share no axis."""
    drawn = [s for s in stages if len(s.value)]
    return "".join(_trace_chart(list(group)) for _, group in groupby(drawn, key=lambda s: s.metric))


def _trace_chart(stages: list[StageTrace]) -> str:
    metric = stages[0].metric
    values = [float(v) for stage in stages for v in stage.value]
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return ""
    low, high = _room(min(finite), max(finite))
    steps = max(len(values) - 1, 1)

    # Above the plot, where no curve runs: a row of stages, a row of levels.
    marks: list[str] = []
    captions: list[str] = []
    start = 0
    for stage in stages:
        levels = []
        for spacing_mm, run in groupby(stage.level_mm):
            length = len(list(run))
            levels.append(f"{number(float(spacing_mm))} mm ({length})")
            share = length / len(values)
            left = 100 * start / steps
            if len(levels) == 1 and len(stage.value) >= 1.5 * LABEL_SHARE * len(values):
                name = html.escape(stage.name)
                marks.append(f'<text class="stage" x="{left:.2f}%" dx="6" y="-26">{name}</text>')
            if start:
                kind, top = ("stage", -38) if len(levels) == 1 else ("level", -20)
                across = f'x1="{left:.2f}%" x2="{left:.2f}%"'
                marks.append(f'<line class="{kind}" {across} y1="{top}" y2="{HEIGHT_PX}"/>')
            if share >= LABEL_SHARE:
                middle = 100 * (start + length / 2) / len(values)
                words = f"{number(float(spacing_mm))} mm"
                marks.append(f'<text x="{middle:.2f}%" y="-8" text-anchor="middle">{words}</text>')
            start += length
        captions.append(f"<strong>{html.escape(stage.name)}</strong>: {', '.join(levels)}")

    lines = "".join(f'<polyline points="{piece}"/>' for piece in _pieces(values, low, high))
    axes = _axes(steps, [t for t in ticks(0, steps) if t == int(t)], low, high)
    return _figure(
        axes + "".join(marks) + _stretched(lines),
        x_name="step",
        y_name=f"{metric} (smaller is better)",
        caption="Grid spacing (steps) of " + "; ".join(captions) + ".",
        label=f"{metric} over {len(values)} steps, from {number(finite[0])} to {number(finite[-1])}",
        testid="trace",
        headed=True,
    )


def candidates_chart(candidates: Sequence[Candidate]) -> str:
    """The poses the global search scored: angle from the header's pose across, score up, the best marked."""
    seen = [c for c in candidates if math.isfinite(c.angle_deg) and math.isfinite(c.score)]
    if not seen:
        return ""
    best = min(seen, key=lambda c: c.score)
    low, high = _room(min(c.score for c in seen), max(c.score for c in seen))
    right = max(30.0, math.ceil(max(c.angle_deg for c in seen) / 30) * 30.0)
    dots = "".join(
        f'<circle cx="{100 * c.angle_deg / right:.2f}%" '
        f'cy="{_down(c.score, low, high) * HEIGHT_PX:.1f}" r="2.5"/>'
        for c in sorted(seen, key=lambda c: c.score)[:MOST_CANDIDATES]
    )
    x, y = 100 * best.angle_deg / right, _down(best.score, low, high) * HEIGHT_PX
    marker = f'<circle class="best" cx="{x:.2f}%" cy="{y:.1f}" r="7"/>'
    # The best are what matters, and ten thousand dots would weigh more than the images.
    shown = f"The best {MOST_CANDIDATES} of {len(seen)}" if len(seen) > MOST_CANDIDATES else f"{len(seen)}"
    axes = _axes(right, [30.0 * n for n in range(int(right) // 30 + 1)], low, high)
    return _figure(
        f'{axes}<g class="dots">{dots}</g>{marker}',
        x_name="rotation away from the header’s pose (degrees)",
        y_name="score (smaller is better)",
        caption=f"{shown} poses of the global search; the ring marks the best, {best.angle_deg:.0f}° away.",
        label=f"scores of {len(candidates)} poses, best at {best.angle_deg:.0f} degrees",
        testid="candidates",
    )


def _room(low: float, high: float) -> tuple[float, float]:
    """Some air above and below, so that no curve runs along the frame."""
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + 2 * margin


def _down(value: float, low: float, high: float) -> float:
    return 1.0 - (value - low) / (high - low)


def _pieces(values: list[float], low: float, high: float) -> Iterable[str]:
    """Polylines on a 1000 by 1000 field, broken where a value is not finite, thinned from the thousands."""
    stride = max(1, len(values) // MOST_POINTS)
    steps = max(len(values) - 1, 1)
    kept = [(n, v) for n, v in enumerate(values) if n % stride == 0 or n == len(values) - 1]
    for finite, run in groupby(kept, key=lambda nv: math.isfinite(nv[1])):
        if finite:
            yield " ".join(f"{1000 * n / steps:.1f},{1000 * _down(v, low, high):.1f}" for n, v in run)


def _axes(right: float, across: Sequence[float], low: float, high: float) -> str:
    """Ticks and grid: 0 to `right` across with ticks at `across`, `low` to `high` up."""
    parts = []
    for tick in ticks(low, high):
        y = _down(tick, low, high) * HEIGHT_PX
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="0" dx="-8" y="{y:.1f}" dy="0.35em" text-anchor="end">{number(tick)}</text>'
        )
    for tick in across:
        x = 100 * tick / right
        anchor = "end" if x > 99 else "middle"
        parts.append(
            f'<line class="tick" x1="{x:.2f}%" x2="{x:.2f}%" y1="{HEIGHT_PX}" y2="{HEIGHT_PX + 5}"/>'
            f'<text x="{x:.2f}%" y="{HEIGHT_PX + 19}" text-anchor="{anchor}">{number(tick)}</text>'
        )
    return "".join(parts) + f'<line class="axis" x1="0" x2="100%" y1="{HEIGHT_PX}" y2="{HEIGHT_PX}"/>'


def _stretched(body: str) -> str:
    size = f'width="100%" height="{HEIGHT_PX}"'
    return f'<svg {size} viewBox="0 0 1000 1000" preserveAspectRatio="none">{body}</svg>'


def _figure(
    body: str, *, x_name: str, y_name: str, caption: str, label: str, testid: str, headed: bool = False
) -> str:
    """`caption` is markup, the other texts are escaped here; `headed` leaves room for labels above."""
    kind = "plot headed" if headed else "plot"
    size = f'width="100%" height="{HEIGHT_PX + 24}"'
    return (
        f'<figure class="chart" data-testid="{testid}"><p class="y-title">{html.escape(y_name)}</p>'
        f'<svg class="{kind}" {size} role="img" aria-label="{html.escape(label)}">'
        f'{body}</svg><p class="x-title">{html.escape(x_name)}</p>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
