"""What charts are drawn with: inline SVG, percent across and pixels down, so that text keeps its size."""

import html
import math
from collections.abc import Iterable, Sequence
from itertools import groupby

HEIGHT_PX = 220
MOST_POINTS = 600


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


def room(low: float, high: float) -> tuple[float, float]:
    """Some air above and below, so that no curve runs along the frame."""
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + 2 * margin


def down(value: float, low: float, high: float) -> float:
    """Where a value lies between the top of a plot (0) and its bottom (1)."""
    return 1.0 - (value - low) / (high - low)


def curve(values: Sequence[float], low: float, high: float, kind: str = "") -> str:
    """A line over the steps on a field of 1000 by 1000, broken where a value is not finite."""
    name = f' class="{kind}"' if kind else ""
    return "".join(f'<polyline{name} points="{piece}"/>' for piece in _pieces(values, low, high))


def _pieces(values: Sequence[float], low: float, high: float) -> Iterable[str]:
    """Polylines, thinned from the thousands."""
    stride = max(1, len(values) // MOST_POINTS)
    steps = max(len(values) - 1, 1)
    kept = [(n, v) for n, v in enumerate(values) if n % stride == 0 or n == len(values) - 1]
    for finite, run in groupby(kept, key=lambda nv: math.isfinite(nv[1])):
        if finite:
            yield " ".join(f"{1000 * n / steps:.1f},{1000 * down(v, low, high):.1f}" for n, v in run)


def axes(
    right: float, across: Sequence[float], up: Sequence[tuple[float, str]], height_px: int = HEIGHT_PX
) -> str:
    """Ticks and grid: 0 to `right` across with ticks at `across`; `up` are places (0 at the top) and their words."""
    parts = []
    for place, words in up:
        y = place * height_px
        parts.append(
            f'<line class="grid" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="0" dx="-8" y="{y:.1f}" dy="0.35em" text-anchor="end">{words}</text>'
        )
    for tick in across:
        x = 100 * tick / right
        anchor = "end" if x > 99 else "middle"
        parts.append(
            f'<line class="tick" x1="{x:.2f}%" x2="{x:.2f}%" y1="{height_px}" y2="{height_px + 5}"/>'
            f'<text x="{x:.2f}%" y="{height_px + 19}" text-anchor="{anchor}">{number(tick)}</text>'
        )
    return "".join(parts) + f'<line class="axis" x1="0" x2="100%" y1="{height_px}" y2="{height_px}"/>'


def rising(low: float, high: float, about: int = 5) -> list[tuple[float, str]]:
    """The ticks of an axis from `low` to `high` up, for `axes`."""
    return [(down(tick, low, high), number(tick)) for tick in ticks(low, high, about)]


def whole(steps: int) -> list[float]:
    """The ticks of an axis of steps."""
    return [t for t in ticks(0, steps) if t == int(t)]


def stretched(body: str, height_px: int = HEIGHT_PX) -> str:
    """Lines on a field of 1000 by 1000, stretched over the plot; what runs out of it is cut off."""
    size = f'width="100%" height="{height_px}"'
    return f'<svg {size} viewBox="0 0 1000 1000" preserveAspectRatio="none">{body}</svg>'


def now(count: int, height_px: int = HEIGHT_PX) -> str:
    """A line that follows the film over a chart of so many steps; it stands nowhere until the film says where."""
    return (
        f'<line class="now" data-count="{count}" x1="0" x2="0" y1="0" y2="{height_px}" visibility="hidden"/>'
    )


def plot(
    body: str, label: str, height_px: int = HEIGHT_PX, *, headed: bool = False, footed: bool = True
) -> str:
    """`headed` leaves room for labels above, `footed` for ticks below; the label is escaped here."""
    kind = "plot headed" if headed else "plot"
    size = f'width="100%" height="{height_px + (24 if footed else 4)}"'
    return f'<svg class="{kind}" {size} role="img" aria-label="{html.escape(label)}">{body}</svg>'


def figure(
    body: str, *, x_name: str, y_name: str, caption: str, label: str, testid: str, headed: bool = False
) -> str:
    """One plot with its names; `caption` is markup, the other texts are escaped here."""
    return (
        f'<figure class="chart" data-testid="{testid}"><p class="y-title">{html.escape(y_name)}</p>'
        f'{plot(body, label, headed=headed)}<p class="x-title">{html.escape(x_name)}</p>'
        f"<figcaption>{caption}</figcaption></figure>"
    )
