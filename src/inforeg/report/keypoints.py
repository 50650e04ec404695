"""Keypoints over both images, each point with the same colour in both, and how well the transform fits each."""

import base64
import html
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.report.data import Keypoints, Slice
from inforeg.report.plot import HEIGHT_PX, axes, figure, number, rising, room

ROLES = ("fixed", "moving")
# Radius of the mean point, as a share of the picture's width, and how far that of others may be from it.
RADIUS, SMALLEST, LARGEST = 1.6, 0.6, 1.7
# How opaque the point is that is farthest from a slice; one that lies in it is wholly so.
FAINTEST = 0.25
# Degrees of the colour circle that hues from 0 to 1 run over: not all of it, or both ends would look alike.
HUES = 300


def keypoints_section(points: Keypoints, template: str, names: tuple[str, str]) -> tuple[str, dict[str, Any]]:
    """The section's markup, and the page's pictures: `shape` (columns, rows) and `grey` levels, base64."""
    figures, pictures = [], {}
    for role, name, slices in zip(ROLES, names, (points.fixed, points.moving), strict=True):
        panes = []
        for number_, slice_ in enumerate(slices):
            key = f"{role}-{number_}"
            rows, columns = slice_.picture.shape
            grey = base64.b64encode(np.ascontiguousarray(slice_.picture).tobytes()).decode()
            pictures[key] = {"shape": [columns, rows], "grey": grey}
            panes.append(_pane(key, slice_.plane, slice_.aspect, _dots(points, slice_)))
        figures.append(
            f"<figure><figcaption>{role.capitalize()}: {html.escape(name)}</figcaption>"
            f'<div class="keypoint-panes">{"".join(panes)}</div></figure>'
        )
    markup = (
        template.replace("${figures}", "".join(figures))
        .replace("${residuals}", _residuals(points))
        .replace("${count}", str(len(points.weights)))
    )
    return markup, pictures


def colours(hue: NDArray[np.float64]) -> list[str]:
    """A colour for each place from 0 to 1, from red over green to violet."""
    return [f"hsl({HUES * float(h):.0f} 90% 58%)" for h in hue]


def _pane(key: str, plane: str, aspect: float, dots: str) -> str:
    label = f"{plane}: the slice and all points, fainter where they are farther from it"
    return (
        f'<div class="frame keypoint-pane" style="aspect-ratio: {1 / aspect:.4f}">'
        f'<canvas id="keypoints-{key}" data-testid="keypoints-{key}" aria-hidden="true"></canvas>'
        f'<svg viewBox="0 0 100 {100 * aspect:.3f}" role="img" aria-label="{html.escape(label)}">{dots}</svg>'
        f'<span class="badge">{plane}</span></div>'
    )


def _dots(points: Keypoints, slice_: Slice) -> str:
    """Circles, those nearest to the slice on top."""
    shares = np.sqrt(points.weights / points.weights.mean())
    radius = RADIUS * np.clip(shares, SMALLEST, LARGEST)
    tones = colours(points.hue)
    far = slice_.away_mm / max(float(slice_.away_mm.max()), 1e-9)
    found = []
    for n in np.argsort(-far, kind="stable"):
        across, down = (float(v) for v in slice_.at[n])
        words = (
            f"point {n}: weight {number(100 * float(points.weights[n]))} %,"
            f" {number(round(float(points.left_mm[n]), 2))} mm left"
        )
        opacity = 1 - (1 - FAINTEST) * float(far[n])
        found.append(
            f'<circle data-point="{n}" cx="{100 * across:.2f}" cy="{100 * slice_.aspect * down:.2f}"'
            f' r="{radius[n]:.2f}" fill="{tones[n]}" fill-opacity="{opacity:.2f}" stroke-opacity="{opacity:.2f}">'
            f"<title>{words}</title></circle>"
        )
    return "".join(found)


def _residuals(points: Keypoints) -> str:
    """A bar for each point, the worst first, in its colour."""
    left = points.left_mm
    order = np.argsort(-left, kind="stable")
    tones = colours(points.hue)
    high = room(0.0, float(left.max()))[1]
    width = 100 / len(left)
    bars = []
    for place, n in enumerate(order):
        tall = float(left[n]) / high * HEIGHT_PX
        bars.append(
            f'<rect class="residual" data-point="{n}" x="{width * place + 0.1 * width:.2f}%" width="{0.8 * width:.2f}%"'
            f' y="{HEIGHT_PX - tall:.1f}" height="{max(tall, 0.5):.1f}" fill="{tones[n]}">'
            f"<title>point {n}: {number(round(float(left[n]), 2))} mm</title></rect>"
        )
    up = [tick for tick in rising(0.0, high) if 0 <= tick[0] <= 1]
    mean = float((points.weights * left**2).sum() / points.weights.sum()) ** 0.5
    return figure(
        axes(1.0, [], up) + "".join(bars),
        x_name="points, the farthest first",
        y_name="how far the transform leaves each point from its partner (mm)",
        caption=f"{number(round(mean, 2))} mm on average (root mean square, by weight). One bar far above the others is"
        " a point that was found in the wrong place, or a place that is not in both images.",
        label=f"residuals of {len(left)} points, {number(round(mean, 2))} mm on average",
        testid="residuals",
    )
