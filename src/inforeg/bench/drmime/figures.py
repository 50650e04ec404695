"""Error against time as a picture: lines on logarithmic axes, in SVG that stands alone."""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 76, 170, 48, 56
# Okabe and Ito's colours, which are told apart without red and green; dashes tell them apart in print.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
_DASHES = ("", "7 3", "2 3", "9 3 2 3")
# From the ninth on a colour comes again, with other dashes.
DASHES = 2 * _DASHES + 2 * (*_DASHES[1:], _DASHES[0])


@dataclass(frozen=True)
class Line:
    """A named line of points, both coordinates above zero."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def log_chart(lines: Sequence[Line], *, title: str, x_name: str, y_name: str) -> str:
    """The lines with axes, grid and legend; a ring marks the end of each, which is all that a single point has."""
    lines = [line for line in lines if len(line.x)]
    xs = [value for line in lines for value in line.x]
    ys = [value for line in lines for value in line.y]
    if not xs:
        return _page([f'<text x="{LEFT}" y="{TOP}">nothing to draw</text>'], title)
    across, up = _Axis.of(xs, LEFT, WIDTH - RIGHT), _Axis.of(ys, HEIGHT - BOTTOM, TOP)
    body = [f'<text x="{LEFT}" y="26" font-size="15" font-weight="bold">{html.escape(title)}</text>']
    for tick in across.ticks():
        x = across.place(tick)
        body += [
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#ddd"/>',
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>',
        ]
    for tick in up.ticks():
        y = up.place(tick)
        body += [
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>',
        ]
    body.append(
        f'<path d="M{LEFT} {TOP} V{HEIGHT - BOTTOM} H{WIDTH - RIGHT}" fill="none" stroke="#333"/>'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{html.escape(x_name)}</text>'
        f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_name)}</text>"
    )
    for n, line in enumerate(lines):
        colour, dash = COLOURS[n % len(COLOURS)], DASHES[n % len(DASHES)]
        stroke = f'fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"'
        points = [(across.place(x), up.place(y)) for x, y in zip(line.x, line.y, strict=True)]
        end_x, end_y = points[-1]
        at = TOP + 10 + 22 * n
        body += [
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" {stroke}/>',
            f'<circle cx="{end_x:.1f}" cy="{end_y:.1f}" r="4" fill="#fff" stroke="{colour}" stroke-width="2"/>',
            f'<line x1="{WIDTH - RIGHT + 14}" x2="{WIDTH - RIGHT + 44}" y1="{at}" y2="{at}" {stroke}/>',
            f'<text x="{WIDTH - RIGHT + 50}" y="{at + 4}">{html.escape(line.name)}</text>',
        ]
    return _page(body, title)


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis between two values, drawn between two places."""

    low: float
    high: float
    begin: float
    end: float

    @classmethod
    def of(cls, values: Sequence[float], begin: float, end: float) -> "_Axis":
        # Zero has no place on a logarithmic axis: it is drawn at the smallest value that has one.
        above = [value for value in values if value > 0] or [1.0]
        low, high = log10(min(above)), log10(max(above))
        room = max(0.05 * (high - low), 0.08)
        return cls(low - room, high + room, begin, end)

    def place(self, value: float) -> float:
        share = (max(log10(value) if value > 0 else self.low, self.low) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self) -> list[float]:
        """1, 2 and 5 of every power of ten; 1 alone where there are many."""
        steps = (1, 2, 5) if self.high - self.low < 3 else (1,)
        powers = range(floor(self.low), ceil(self.high) + 1)
        return [m * 10.0**p for p in powers for m in steps if self.low <= log10(m * 10.0**p) <= self.high]


def _page(body: list[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        f' role="img" aria-label="{html.escape(title)}" font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )
