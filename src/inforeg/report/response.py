"""The learnt response: a heat map with its two margins and its scale."""

import base64
import html
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.report.data import Response
from inforeg.report.plot import number, ticks

# Blue below zero, white at zero, red above: told apart by every kind of colour vision.
BLUES = [(5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240)]
REDS = [(253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)]
STOPS = np.array([*BLUES, (255, 255, 255), *REDS], np.float64)
MOST_CELLS = 128
# A cell is drawn in full where it is reached by this many samples, and not at all by a twentieth of that.
ENOUGH = 2.0


def response_figure(response: Response) -> tuple[str, dict[str, Any]]:
    """The figure's markup, and the cells for the page's script: `shape` (across, down) and `rgba`, base64, by rows."""
    fixed, moving, nats, chance = _even(response)
    met = chance * np.exp(np.clip(nats, -50.0, 10.0))
    limit = _limit(nats, met)
    # The samples a cell has seen: those that belong together, or, if more, those that were thrown together.
    reach = np.maximum(chance, met)
    cells = np.empty((*nats.shape, 4), np.uint8)
    cells[..., :3] = np.rint(colour(nats / limit))
    shown = np.clip(np.log(np.maximum(reach, 1e-12) * (20 / ENOUGH)) / math.log(20), 0.0, 1.0)
    cells[..., 3] = np.rint(255 * shown)
    # Rows run down the screen, the moving image's brightness up.
    rows = np.ascontiguousarray(cells.transpose(1, 0, 2)[::-1])
    payload = {"shape": nats.shape, "rgba": base64.b64encode(rows.tobytes()).decode()}
    label = (
        f"Learnt response: {response.fixed_words} across, {response.moving_words} up, "
        f"from {number(-limit)} (blue) to {number(limit)} (red) nats"
    )
    return (
        '<figure class="response" data-testid="response">'
        f'<div class="across">{_strip(response.fixed_counts, response.fixed)}</div>'
        f'<span class="y-name">{html.escape(response.moving_words)} →</span>'
        f"{_scale_up(moving)}"
        f'<div class="cells"><canvas id="response" data-testid="response-cells" role="img" '
        f'aria-label="{html.escape(label)}"></canvas></div>'
        f'<div class="up">{_strip(response.moving_counts, response.moving, upright=True)}</div>'
        f"{_bar(limit)}"
        f"{_scale_across(fixed)}"
        f'<span class="x-name">{html.escape(response.fixed_words)} →</span>'
        "</figure>",
        payload,
    )


def colour(value: NDArray[Any]) -> NDArray[np.float64]:
    """Red, green and blue of values from -1 to 1; beyond, those of the ends."""
    at = (np.clip(np.nan_to_num(value), -1.0, 1.0) + 1.0) * 0.5 * (len(STOPS) - 1)
    return np.stack([np.interp(at, np.arange(len(STOPS)), STOPS[:, c]) for c in range(3)], axis=-1)


def _even(
    response: Response,
) -> tuple[tuple[float, float], tuple[float, float], NDArray[np.float64], NDArray[np.float64]]:
    """Both ranges of intensity; nats, and the samples chance would bring, on cells of even width, 128 at most."""
    nats = np.nan_to_num(np.asarray(response.nats, np.float64))
    counts = [np.asarray(c, np.float64) for c in (response.fixed_counts, response.moving_counts)]
    chance = counts[0][:, None] * counts[1][None, :] / max(counts[0].sum(), 1.0)
    ranges = []
    for axis, values in enumerate((response.fixed, response.moving)):
        at = np.asarray(values, np.float64)
        low, high = float(at[0]), float(at[-1])
        ranges.append((low, high))
        wanted = np.linspace(low, high, min(len(at), MOST_CELLS))
        nearest = np.abs(wanted[:, None] - at[None, :]).argmin(axis=1)
        nats, chance = nats.take(nearest, axis), chance.take(nearest, axis)
    return ranges[0], ranges[1], nats, chance


def _limit(nats: NDArray[np.float64], met: NDArray[np.float64]) -> float:
    """Where the scale ends: 98 of 100 samples lie within; what never goes together goes far below."""
    size = np.abs(nats).ravel()
    order = np.argsort(size)
    weight = np.cumsum(met.ravel()[order])
    if weight[-1] <= 0 or size.max() <= 0:
        return max(float(size.max()), 0.1)
    found = float(size[order][min(int(np.searchsorted(weight, 0.98 * weight[-1])), len(size) - 1)])
    # A round number, and never so small that noise about zero gets colour.
    power = 10.0 ** math.floor(math.log10(max(found, 0.1)))
    return next(m * power for m in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if m * power >= max(found, 0.1) * 0.999)


def _strip(counts: NDArray[Any], at: NDArray[Any], upright: bool = False) -> str:
    """How many samples lie at each intensity: an area along the map; square roots, or peaks hide all."""
    height = np.sqrt(np.clip(np.asarray(counts, np.float64), 0.0, None))
    height *= 96 / max(float(height.max()), 1e-12)
    place = np.asarray(at, np.float64)
    place = 1000 * (place - place[0]) / (place[-1] - place[0])
    outline = [(0.0, 0.0), *zip(place, height, strict=True), (1000.0, 0.0)]
    points = " ".join(f"{h:.0f},{1000 - p:.0f}" if upright else f"{p:.0f},{100 - h:.0f}" for p, h in outline)
    box = "0 0 100 1000" if upright else "0 0 1000 100"
    return f'<svg viewBox="{box}" preserveAspectRatio="none" aria-hidden="true"><polygon points="{points}"/></svg>'


def _scale_across(span: tuple[float, float]) -> str:
    marks = []
    for tick in ticks(*span):
        x = 100 * (tick - span[0]) / (span[1] - span[0])
        anchor = "start" if x < 2 else "end" if x > 98 else "middle"
        marks.append(
            f'<line x1="{x:.2f}%" x2="{x:.2f}%" y1="0" y2="5"/>'
            f'<text x="{x:.2f}%" y="19" text-anchor="{anchor}">{number(tick)}</text>'
        )
    return f'<svg class="x-scale" width="100%" height="24" aria-hidden="true">{"".join(marks)}</svg>'


def _scale_up(span: tuple[float, float]) -> str:
    marks = []
    for tick in ticks(*span):
        y = 100 * (span[1] - tick) / (span[1] - span[0])
        # A number half beyond the map's edge is pushed inside, whole.
        shift = "0.8em" if y < 2 else "-0.1em" if y > 98 else "0.35em"
        marks.append(
            f'<line x1="100%" x2="100%" transform="translate(-5)" y1="{y:.2f}%" y2="{y:.2f}%"/>'
            f'<text x="100%" dx="-9" y="{y:.2f}%" dy="{shift}" text-anchor="end">{number(tick)}</text>'
        )
    return f'<svg class="y-scale" width="100%" height="100%" aria-hidden="true">{"".join(marks)}</svg>'


def _bar(limit: float) -> str:
    shades = ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in STOPS)
    words = []
    for place, value in zip((0, 25, 50, 75, 100), (1, 0.5, 0, -0.5, -1), strict=True):
        sign = "≥ " if value == 1 else "≤ " if value == -1 else ""
        plus = "+" if value > 0 else ""
        words.append(f'<span style="top: {place}%">{sign}{plus}{number(limit * value)}</span>')
    return (
        '<div class="bar" aria-hidden="true"><span class="unit">nats</span>'
        f'<div style="background: linear-gradient(to top, {shades})">{"".join(words)}</div></div>'
    )
