"""Fill the page's template. Every text that comes from outside is escaped here and nowhere else."""

import base64
import hashlib
import html
import json
import os
from importlib import resources
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.report.charts import candidates_chart, traces
from inforeg.report.data import ReportData
from inforeg.report.deformation import deformation_bytes, deformation_payload, deformation_section, unit_of
from inforeg.report.display import DISPLAY_LONGEST, joint_histogram, reduce_for_display, to_bytes
from inforeg.report.film import film_bytes, film_payload, film_section
from inforeg.report.keypoints import keypoints_section
from inforeg.report.pack import MOST_BYTES, pack
from inforeg.report.path import path_charts
from inforeg.report.response import response_figure

PACKAGE = resources.files("inforeg.report")
SCRIPTS = ("volumes.js", "edges.js", "viewer.js", "deformation.js", "film.js", "keypoints.js", "figures.js")
# What the film may take of the page, and the grey levels that its overlay needs.
FILM_BYTES = 900_000
FILM_LEVELS = 64
IMAGES = ("fixed", "before", "warped", "undeformed")
SCROLL_KEYS = "; on a picture the wheel, <kbd>↑</kbd> and <kbd>↓</kbd> scroll"
RESPONSE_WORDS = (
    "<p>Every cell is one pair of brightnesses, as in the histograms above. <strong>Red</strong>: the network has "
    "learnt that the two belong together. <strong>Blue</strong>: that they do not. White: the pair is as frequent as "
    "chance makes it, and says nothing. The mean over all places of the images is the mutual information.</p>"
    "<p>The grey areas show how many samples have each brightness (square roots). Where the map fades into hatching "
    "there is hardly any sample, and the network only guesses.</p>"
)
VERDICT_WORDS = {"good": "Looks good", "check": "Please check", "failed": "Failed"}
# Shape and word carry the meaning; colour only repeats it.
VERDICT_ICONS = {
    "good": '<circle cx="16" cy="16" r="14"/><path d="M9 16.5l5 5 9-11"/>',
    "check": '<path class="fill" d="M16 3L30 28H2z"/><path d="M16 12v8M16 23.5v1"/>',
    "failed": '<path class="fill" d="M10 2h12l8 8v12l-8 8H10l-8-8V10z"/><path d="M11 11l10 10M21 11L11 21"/>',
}


def render(data: ReportData) -> str:
    """Return the whole page: styles, scripts, images and figures in one HTML text that asks for nothing else.

    Images longer than 128 voxels (1024 pixels in 2-D) are reduced by block means; the page stays under 4 MB.
    """
    images, spacing_mm = _images(data)
    film = pack([film_bytes(data.film)], FILM_BYTES, FILM_LEVELS)[0][0] if data.film else ""
    # In full: coarser levels would move the lines of its grid, and make folds where there are none.
    bent = pack([deformation_bytes(data.deformation)], MOST_BYTES)[0][0] if data.deformation else ""
    packed, grey_levels = pack(images, MOST_BYTES - (len(film) + len(bent)) * 3 // 4)
    volumes = dict(zip(IMAGES, packed, strict=False))
    script = "\n".join(("(() => {", '"use strict";', *(_packaged(name) for name in SCRIPTS), "})();"))
    payload = {
        "spacing_mm": spacing_mm,
        "shape": images[0].shape[: data.ndim],
        "channels": {
            name: (image.shape[-1] if image.ndim > data.ndim else 1)
            for name, image in zip(volumes, images, strict=True)
        },
        "histograms": _histograms(data, images),
    }
    response = ""
    if data.response is not None:
        response, payload["response"] = response_figure(data.response)
    points = ""
    if data.keypoints is not None:
        names = data.fixed_name, data.moving_name
        points, payload["keypoints"] = keypoints_section(data.keypoints, _packaged("keypoints.html"), names)
    if data.deformation is not None:
        volumes["deformation"] = bent
        payload["deformation"] = deformation_payload(data.deformation, spacing_mm)
    if data.film is not None:
        volumes["film"] = film
        payload["film"] = film_payload(data.film)
    return Template(_packaged("page.html")).substitute(
        title=html.escape(data.title),
        fixed_name=html.escape(data.fixed_name),
        moving_name=html.escape(data.moving_name),
        style=_packaged("page.css"),
        script=script,
        # Only this very script may run, whatever a file is called.
        script_digest="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        verdict=_verdict(data),
        warnings=_warnings(data),
        summary=_summary(data),
        viewer_note=html.escape(_viewer_note(data, spacing_mm, grey_levels)),
        scroll_keys=SCROLL_KEYS if data.ndim == 3 else "",
        histograms=_histogram_figures(data),
        deformation=_deformation_section(data, spacing_mm),
        keypoints=points,
        response=_response_section(response),
        film=film_section(data.film, _packaged("film.html")) if data.film else "",
        chain=_chain(data),
        charts=_charts(data),
        again=_again(data),
        version=html.escape(" " + data.versions["inforeg"] if "inforeg" in data.versions else ""),
        payload=_script_safe(payload),
        volumes="\n".join(
            f'<script type="text/plain" id="volume-{name}">{text}</script>' for name, text in volumes.items()
        ),
    )


def write(data: ReportData, path: str | os.PathLike[str]) -> None:
    """Render `data` and write it to `path` as UTF-8; raises `OSError` when that cannot be written."""
    # A file name need not be valid UTF-8: its stray bytes are shown as escapes.
    text = render(data).encode("utf-8", errors="backslashreplace")
    with open(path, "wb") as file:
        file.write(text)


def _packaged(name: str) -> str:
    return PACKAGE.joinpath(name).read_text(encoding="utf-8")


def _script_safe(value: Any) -> str:
    """JSON that cannot close the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _images(data: ReportData) -> tuple[list[NDArray[np.uint8]], tuple[float, ...]]:
    small = []
    spacing_mm = data.spacing_mm
    arrays = [data.fixed, data.before, data.warped]
    if data.deformation is not None:
        arrays.append(data.deformation.undeformed)
    for array in arrays:
        reduced, spacing_mm = reduce_for_display(array, DISPLAY_LONGEST[data.ndim], data.spacing_mm)
        if reduced.ndim > data.ndim and reduced.shape[-1] == 1:
            reduced = reduced[..., 0]
        small.append(reduced)
    if any(array.dtype == np.uint8 for array in arrays):
        # Averaging made floats of some bytes: they keep their meaning and are only rounded.
        small = [
            np.rint(s).astype(np.uint8) if array.dtype == np.uint8 else s
            for s, array in zip(small, arrays, strict=True)
        ]
    images = to_bytes(small[:1]) + to_bytes(small[1:])
    return [np.ascontiguousarray(image) for image in images], spacing_mm


def _grey(image: NDArray[np.uint8], ndim: int) -> NDArray[np.uint8]:
    if image.ndim == ndim:
        return image
    return (image @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.uint8)


def _histograms(data: ReportData, images: list[NDArray[np.uint8]]) -> dict[str, dict[str, Any]]:
    fixed, before, warped = (_grey(image, data.ndim) for image in images[:3])
    counts = {
        "before": (data.joint_histogram_before, before),
        "after": (data.joint_histogram_after, warped),
    }
    tables = {
        name: np.asarray(given, np.float64) if given is not None else joint_histogram(fixed, moving)
        for name, (given, moving) in counts.items()
    }
    # One scale for both, or a smear would look as dense as a spot. Logarithms, and an end below the fullest
    # cells: the empty background alone fills one with half of all voxels.
    counted = np.concatenate([t[t > 0] for t in tables.values()])
    most = float(np.log1p(np.percentile(counted, 99.5))) if counted.size else 1.0
    result = {}
    for name, table in tables.items():
        level = np.ceil(np.clip(np.log1p(np.clip(table, 0.0, None)) * (255.0 / most), 0.0, 255.0))
        level = level.astype(np.uint8)
        result[name] = {"shape": table.shape, "level": base64.b64encode(level.tobytes()).decode()}
    return result


def _verdict(data: ReportData) -> str:
    level, sentence = data.verdict
    return (
        f'<div class="verdict {level}" data-testid="verdict" data-level="{level}">'
        f'<svg viewBox="0 0 32 32" aria-hidden="true">{VERDICT_ICONS[level]}</svg>'
        f"<p><strong>{VERDICT_WORDS[level]}</strong> {html.escape(sentence)}</p></div>"
    )


def _warnings(data: ReportData) -> str:
    if not data.warnings:
        return ""
    items = "".join(f"<li>{html.escape(w)}</li>" for w in data.warnings)
    return f'<div class="warnings" data-testid="warnings"><h2>Take note</h2><ul>{items}</ul></div>'


def _summary(data: ReportData) -> str:
    cells = "".join(
        f"<div><dt>{html.escape(label)}</dt><dd>{html.escape(value)}</dd>"
        + (f'<dd class="note">{html.escape(note)}</dd>' if note else "")
        + "</div>"
        for label, value, note in data.summary
    )
    return f'<dl class="figures" data-testid="summary">{cells}</dl>' if cells else ""


def _viewer_note(data: ReportData, spacing_mm: tuple[float, ...], grey_levels: int) -> str:
    note = f"Before: {data.moving_name} {data.before_words}. "
    if data.ndim == 3:
        note += "Radiological view: the patient’s right is on the left. "
        note += "Click a picture to move the other planes there. "
    full_mm = data.full_spacing_mm or data.spacing_mm
    reduced = not np.allclose(sorted(full_mm), sorted(spacing_mm))
    levels = f" and in {grey_levels} grey levels" if grey_levels < 256 else ""
    why = " to keep the page small" if reduced or levels else ""
    rest = f"; the fixed image has {_spacing_words(full_mm)}" if reduced else ""
    return f"{note}Shown at {_spacing_words(spacing_mm)}{levels}{why}{rest}."


def _spacing_words(spacing_mm: tuple[float, ...], unit: str = "mm") -> str:
    sides = [f"{s:.3g}" for s in spacing_mm]
    return f"{sides[0] if len(set(sides)) == 1 else ' × '.join(sides)} {unit}"


def _histogram_figures(data: ReportData) -> str:
    figures = []
    for name, words in (("before", "Before"), ("after", "After")):
        label = f"Joint histogram {name}: {data.fixed_name} across, {data.moving_name} up"
        figures.append(
            f'<figure><figcaption>{words}</figcaption><div class="joint">'
            f'<span class="y-name">{html.escape(data.moving_name)} →</span>'
            f'<canvas id="histogram-{name}" data-testid="histogram-{name}" role="img" '
            f'aria-label="{html.escape(label)}"></canvas>'
            f'<span class="x-name">{html.escape(data.fixed_name)} →</span></div></figure>'
        )
    return "\n".join(figures)


def _deformation_section(data: ReportData, spacing_mm: tuple[float, ...]) -> str:
    if data.deformation is None:
        return ""
    words = _spacing_words(tuple(data.deformation.spacing_mm), unit_of(spacing_mm))
    return deformation_section(data.deformation, spacing_mm, _packaged("deformation.html"), words)


def _response_section(figure: str) -> str:
    if not figure:
        return ""
    return (
        '<section aria-label="Learnt response"><h2>What the metric has learnt</h2>'
        f'<div class="learnt">{figure}<div>{RESPONSE_WORDS}</div></div></section>'
    )


def _chain(data: ReportData) -> str:
    if not data.chain_in_words:
        return ""
    steps = "".join(f"<li>{html.escape(words)}</li>" for words in data.chain_in_words)
    return (
        '<div class="chain" data-testid="chain">'
        f"<h2>What was done, from the fixed image to the moving one</h2><ol>{steps}</ol></div>"
    )


def _charts(data: ReportData) -> str:
    candidates = candidates_chart(data.candidates)
    path = path_charts(data.path, data.stages, wide=not candidates) if data.path else ""
    charts = traces(data.stages) + path + candidates
    if not charts:
        return ""
    return (
        f'<section data-testid="charts"><h2>How it got there</h2><div class="charts">{charts}</div></section>'
    )


def _again(data: ReportData) -> str:
    parts = []
    if data.command:
        parts.append(
            f'<div class="command"><pre id="command" data-testid="command">{html.escape(data.command)}</pre>'
            '<button type="button" id="copy" data-testid="copy">Copy</button></div>'
        )
    for title, values in (("Settings", _flatten(data.settings)), ("Software", dict(data.versions))):
        if values:
            rows = "".join(
                f'<tr><th scope="row">{html.escape(str(k))}</th><td>{html.escape(str(v))}</td></tr>'
                for k, v in values.items()
            )
            parts.append(
                f'<details data-testid="{title.lower()}"><summary>{title}</summary>'
                f'<div class="wide"><table>{rows}</table></div></details>'
            )
    return "\n".join(parts) or "<p>No settings were recorded.</p>"


def _flatten(settings: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names, values as JSON writes them where it can."""
    if hasattr(settings, "items") and (settings or not prefix):
        flat: dict[str, str] = {}
        for key, value in settings.items():
            flat.update(_flatten(value, f"{prefix}.{key}" if prefix else str(key)))
        return flat
    if isinstance(settings, str):
        return {prefix: settings}
    try:
        return {prefix: json.dumps(settings)}
    except (TypeError, ValueError):
        return {prefix: str(settings)}
