"""Box plots and curves in SVG that stands alone."""

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median

from inforeg.bench.drmime.figures import COLOURS, DASHES

_LEFT, _RIGHT, _TOP, _ROW = 150, 24, 44, 30
_WIDTH = 760
_CHART = 340


@dataclass(frozen=True)
class Box:
    """The values of one row of a box plot."""

    name: str
    values: Sequence[float]


@dataclass(frozen=True)
class Curve:
    """A named line."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def box_plot(boxes: Sequence[Box], *, title: str, name: str, line: float | None = None) -> str:
    """Rows of boxes on a logarithmic axis: quartiles, median, whiskers to the last value within 1.5 boxes, dots beyond.

    `line` is marked. Values below a hundredth are drawn at it.
    """
    values = [max(value, 0.01) for box in boxes for value in box.values] or [1.0]
    low, high = floor(2 * log10(min(values))) / 2, max(ceil(2 * log10(max(values))) / 2, 0.5)
    end = _WIDTH - _RIGHT

    def place(value: float) -> float:
        return _LEFT + (end - _LEFT) * (log10(max(value, 0.01)) - low) / (high - low)

    height = _TOP + _ROW * len(boxes) + 50
    bottom = height - 46
    ticks = [m * 10.0**p for p in range(floor(low), ceil(high) + 1) for m in (1, 2, 5)]
    body = [f'<text x="12" y="24" font-size="15" font-weight="bold">{html.escape(title)}</text>']
    for tick in (t for t in ticks if low - 1e-9 <= log10(t) <= high + 1e-9):
        x = place(tick)
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#ddd"/>')
        body.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    if line is not None:
        body.append(
            f'<line x1="{place(line):.1f}" x2="{place(line):.1f}" y1="{_TOP}" y2="{bottom}" stroke="#d55e00"'
            ' stroke-dasharray="5 3"/>'
        )
    body.append(
        f'<text x="{(_LEFT + end) / 2}" y="{height - 10}" text-anchor="middle">{html.escape(name)}</text>'
    )
    for number, box in enumerate(boxes):
        y = _TOP + _ROW * number + _ROW / 2
        body.append(f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{html.escape(box.name)}</text>')
        if box.values:
            body += _box(sorted(box.values), y, place, COLOURS[number % len(COLOURS)])
    return _page(body, title, height)


def curves(
    lines: Sequence[Curve],
    *,
    title: str,
    x_name: str,
    y_name: str,
    mark: float | None = None,
    from_zero: bool = True,
) -> str:
    """Lines on plain axes, with a legend; `mark` is a place along x that is marked."""
    xs, ys = ([v for line in lines for v in getattr(line, axis)] for axis in "xy")
    x0, x1 = min(xs), max(xs)
    y0, y1 = min([*ys, 0.0] if from_zero else ys), max(ys)
    room = 0.05 * ((y1 - y0) or 1.0)
    y0, y1 = y0 - room, y1 + room
    left, right, bottom = 70, _WIDTH - 190, _TOP + _CHART

    def at(x: float, y: float) -> tuple[float, float]:
        return left + (right - left) * (x - x0) / (x1 - x0), bottom - _CHART * (y - y0) / (y1 - y0)

    body = [f'<text x="12" y="24" font-size="15" font-weight="bold">{html.escape(title)}</text>']
    for tick in _ticks(x0, x1):
        x, _ = at(tick, y0)
        body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#ddd"/>')
        body.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
    for tick in _ticks(y0, y1):
        _, y = at(x0, tick)
        body.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        body.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    if mark is not None:
        x, _ = at(mark, y0)
        body.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}" stroke="#333" stroke-dasharray="5 3"/>'
        )
    body.append(f'<path d="M{left} {_TOP} V{bottom} H{right}" fill="none" stroke="#333"/>')
    body.append(
        f'<text x="{(left + right) / 2}" y="{bottom + 38}" text-anchor="middle">{html.escape(x_name)}</text>'
    )
    body.append(
        f'<text transform="translate(18 {(_TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_name)}</text>"
    )
    for number, line in enumerate(lines):
        colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
        stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        points = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in zip(line.x, line.y, strict=True))
        y = _TOP + 10 + 22 * number
        body.append(f'<polyline points="{points}" {stroke}/>')
        body.append(f'<line x1="{right + 12}" x2="{right + 42}" y1="{y}" y2="{y}" {stroke}/>')
        body.append(f'<text x="{right + 48}" y="{y + 4}">{html.escape(line.name)}</text>')
    return _page(body, title, bottom + 52)


def _box(values: list[float], y: float, place: Callable[[float], float], colour: str) -> list[str]:
    low, high = (values[round(share * (len(values) - 1))] for share in (0.25, 0.75))
    middle = median(values)
    reach = 1.5 * (high - low)
    first = min(value for value in values if value >= low - reach)
    last = max(value for value in values if value <= high + reach)
    x = {
        name: place(value)
        for name, value in (("a", first), ("b", low), ("c", middle), ("d", high), ("e", last))
    }
    drawn = [
        f'<line x1="{x["a"]:.1f}" x2="{x["e"]:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="1.5"/>',
        f'<rect x="{x["b"]:.1f}" y="{y - 8}" width="{max(1.0, x["d"] - x["b"]):.1f}" height="16" fill="#fff"'
        f' stroke="{colour}" stroke-width="1.5"/>',
        f'<line x1="{x["c"]:.1f}" x2="{x["c"]:.1f}" y1="{y - 8}" y2="{y + 8}" stroke="{colour}" stroke-width="3"/>',
    ]
    for value in values:
        if not first <= value <= last:
            drawn.append(f'<circle cx="{place(value):.1f}" cy="{y}" r="2.5" fill="{colour}"/>')
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Some eight round numbers between two."""
    step = 10.0 ** floor(log10((high - low) / 4))
    step = next(step * m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= 9)
    return [round(n * step, 10) for n in range(ceil(low / step), floor(high / step) + 1)]


def _page(body: list[str], title: str, height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' role="img" aria-label="{html.escape(title)}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
