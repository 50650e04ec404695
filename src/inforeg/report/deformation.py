"""The deformation on the page: its markup, and its fields as one block of bytes."""

import html
import math
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.report.data import Deformation, Measures
from inforeg.report.plot import number
from inforeg.report.response import STOPS

# Where the scale of the map may end: so many per cent more.
ENDS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 400, 700, 900)
# Lines of the grid along the longest side.
LINES = 20
PLACES = {
    "fold": "deepest fold",
    "smallest": "smallest {}",
    "largest": "largest {}",
    "farthest": "largest displacement",
}


def deformation_section(
    deformation: Deformation, spacing_mm: tuple[float, ...], template: str, spacing_words: str
) -> str:
    """The section that holds the figures, from its template; `spacing_mm` is that of the images on the page."""
    flat = deformation.log_jacobian.ndim == 2
    measure = "area" if flat else "volume"
    limit = limit_of(deformation.typical)
    unit = unit_of(spacing_mm)
    folds = deformation.whole.folds
    buttons = [
        f'<button type="button" data-place="{name}" data-testid="place-{name}">{words.format(measure)}</button>'
        for name, words in PLACES.items()
        if name in deformation.places
    ]
    return Template(template).substitute(
        within="" if flat else ", as far as it stays within the plane",
        measure=measure.capitalize(),
        bar=_bar(limit, folds > 0),
        solid=percent(limit / 2),
        broken=percent(-limit / 2),
        folds=_folds(deformation.whole, spacing_words),
        rows=_rows(deformation, unit, measure),
        places=f"Go to {' '.join(buttons)}" if buttons else "",
        spacing=spacing_words,
    )


def deformation_payload(deformation: Deformation, spacing_mm: tuple[float, ...]) -> dict[str, Any]:
    """What the page's script must know of it."""
    return {
        "shape": deformation.log_jacobian.shape,
        "vectors_shape": deformation.displacement_mm.shape[:-1],
        "limit": limit_of(deformation.typical),
        "reach_mm": _reach_mm(deformation),
        "step_mm": _step_mm(deformation, spacing_mm),
        "unit": unit_of(spacing_mm),
        "start": list(deformation.start),
        "places": {
            name: {
                "at": list(place.at),
                "log": math.log(place.determinant) if place.determinant > 0 else None,
                "mm": place.displacement_mm,
            }
            for name, place in deformation.places.items()
        },
        "stops": [[int(c) for c in stop] for stop in STOPS],
    }


def deformation_bytes(deformation: Deformation) -> NDArray[np.uint8]:
    """The logarithms over the scale, then one axis of the displacements after the other, each 1 to 255 about 128.

    0 is a fold, and is found nowhere else. What is stored is how far each is above the one before it, modulo 256:
    smooth fields deflate to two thirds of themselves so.
    """
    log_jacobian = np.asarray(deformation.log_jacobian, np.float64)
    levels = _levels(log_jacobian, limit_of(deformation.typical))
    levels[~np.isfinite(log_jacobian)] = 0
    reach_mm = _reach_mm(deformation)
    vectors = [_levels(axis, reach_mm).ravel() for axis in np.moveaxis(deformation.displacement_mm, -1, 0)]
    return np.diff(np.concatenate([levels.ravel(), *vectors]), prepend=np.uint8(0))


def limit_of(typical: float) -> float:
    """Where the scale of the map ends, as a logarithm: a round number of per cent, too large for noise to show."""
    wanted = 100 * math.expm1(typical) if math.isfinite(typical) else 0.0
    return math.log1p(next((end for end in ENDS if end >= 0.999 * wanted), ENDS[-1]) / 100)


def percent(log: float) -> str:
    """A logarithm of a ratio as per cent more or less."""
    change = 100 * math.expm1(log)
    return f"{'+' if change > 0 else ''}{number(round(change, 1 if abs(change) < 10 else 0))}\u00a0%"


def unit_of(spacing_mm: tuple[float, ...]) -> str:
    """A picture that knows no millimetres counts its pixels."""
    return "px" if len(spacing_mm) == 2 and all(s == 1 for s in spacing_mm) else "mm"


def _levels(values: NDArray[Any], limit: float) -> NDArray[np.uint8]:
    scaled = np.clip(np.nan_to_num(np.asarray(values, np.float64)) / max(limit, 1e-12), -1.0, 1.0)
    return np.rint(128 + 127 * scaled).astype(np.uint8)


def _reach_mm(deformation: Deformation) -> float:
    return float(np.abs(deformation.displacement_mm).max(initial=0.0))


def _step_mm(deformation: Deformation, spacing_mm: tuple[float, ...]) -> float:
    """How far apart the grid's lines are: a round number, about a twentieth of the longest side."""
    shape = deformation.undeformed.shape
    wanted = max(n * s for n, s in zip(shape, spacing_mm, strict=False)) / LINES
    power: float = 10.0 ** math.floor(math.log10(wanted))
    return min((m * power for m in (1, 2, 2.5, 4, 5, 8, 10)), key=lambda step: abs(math.log(step / wanted)))


def _bar(limit: float, folded: bool) -> str:
    shades = ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in STOPS)
    words = []
    for place, share in zip((0, 25, 50, 75, 100), (-1, -0.5, 0, 0.5, 1), strict=True):
        sign = "≥ " if share == 1 else "≤ " if share == -1 else ""
        words.append(f'<span style="left: {place}%">{sign}{percent(limit * share)}</span>')
    fold = '<p class="fold-key"><span class="swatch fold"></span> a fold</p>' if folded else ""
    return (
        f'<div class="change-bar" aria-hidden="true"><div style="background: linear-gradient(to right, {shades})">'
        f"</div>{''.join(words)}</div>{fold}"
    )


def _folds(whole: Measures, spacing_words: str) -> str:
    count = f"{whole.places:,}".replace(",", "\u2009")
    if not whole.folds:
        return (
            f'<p data-testid="folds">No folds: the determinant is above zero at all {count} places looked at, '
            f"{html.escape(spacing_words)} apart.</p>"
        )
    found = f"{whole.folds} fold{'s' if whole.folds > 1 else ''}"
    return (
        f'<p class="folded" data-testid="folds"><strong>{found}.</strong> At {whole.folds} of {count} places space is '
        "turned inside out, and the transform has no inverse there. They are marked yellow with a black rim.</p>"
    )


def _rows(deformation: Deformation, unit: str, measure: str) -> str:
    both = deformation.inside, deformation.whole
    rows = [
        (f"Smallest {measure} (determinant)", [_determinant(m.smallest) for m in both]),
        (f"Largest {measure} (determinant)", [_determinant(m.largest) for m in both]),
        ("Spread (SD of log J)", [_number(m.sd_log) for m in both]),
        ("Folds", [str(m.folds) for m in both]),
        ("Mean displacement", [f"{_number(m.mean_mm)} {unit}" for m in both]),
        ("Largest displacement", [f"{_number(m.largest_mm)} {unit}" for m in both]),
    ]
    if deformation.inverse_error_mm is not None:
        error = f"{_number(deformation.inverse_error_mm)} {unit}"
        rows.append(("Largest error of the inverse", [error, "–"]))
    return "".join(
        f'<tr><th scope="row">{words}</th>{"".join(f"<td>{value}</td>" for value in values)}</tr>'
        for words, values in rows
    )


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "unknown"


def _determinant(value: float) -> str:
    return f"{_number(value)} ({percent(math.log(value))})" if value > 0 else _number(value)
