"""The film on the page: its markup, and its frames as one block of bytes."""

import html
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.report.data import Film
from inforeg.report.display import to_bytes

LETTERS = {"axial": "RLAP", "coronal": "RLSI", "sagittal": "APSI"}
SIDES = ("left", "right", "top", "bottom")
# The longest side of a film's picture on a screen, in pixels of the page.
WIDEST_PX = 560


def film_section(film: Film, template: str) -> str:
    """The section that holds the player, from its template; every text is escaped here."""
    sizes = [_size_mm(film, n) for n in range(len(film.planes))]
    panes = []
    for n, (plane, (width, height)) in enumerate(zip(film.planes, sizes, strict=True)):
        letters = "".join(
            f'<span class="letter {side}" aria-hidden="true">{letter}</span>'
            for side, letter in zip(SIDES, LETTERS.get(plane, ""), strict=False)
        )
        panes.append(
            '<div class="film-pane"><div class="frame">'
            f'<canvas id="film-{n}" style="aspect-ratio: {width:.4g} / {height:.4g}" role="img" '
            f'aria-label="{html.escape(plane)}" data-testid="film-canvas-{html.escape(plane)}"></canvas>'
            f"{letters}</div></div>"
        )
    width, height = sizes[0]
    # One tall picture takes no more height than a wide one takes width.
    most = WIDEST_PX * min(1.0, width / height) if len(sizes) == 1 else WIDEST_PX * 1.6
    return Template(template).substitute(
        columns=" ".join(f"minmax(0, {width:.4g}fr)" for width, _ in sizes),
        widest=f"{most:.0f}",
        panes="\n".join(panes),
        last=len(film.frames) - 1,
    )


def film_bytes(film: Film) -> NDArray[np.uint8]:
    """The fixed pictures, then every frame's, as rows of bytes: (1 + frames, pixels of all planes)."""
    fixed = np.concatenate([picture.ravel() for picture in film.fixed])
    frames = np.stack([np.concatenate([picture.ravel() for picture in frame]) for frame in film.frames])
    (grey_fixed,), (grey,) = to_bytes([fixed[None]]), to_bytes([frames])
    return np.concatenate((grey_fixed, grey))


def film_payload(film: Film) -> dict[str, Any]:
    """What the page's script must know of it."""
    return {
        "panes": [
            {"rows": p.shape[0], "columns": p.shape[1], "size_mm": _size_mm(film, n)}
            for n, p in enumerate(film.fixed)
        ],
        "labels": list(film.labels),
        "steps": list(film.steps),
        "pauses": list(film.pauses),
    }


def _size_mm(film: Film, number: int) -> tuple[float, float]:
    """Width and height."""
    (rows, columns), (down_mm, across_mm) = film.fixed[number].shape, film.spacing_mm[number]
    return columns * across_mm, rows * down_mm
