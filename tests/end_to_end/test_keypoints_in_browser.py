"""Keypoints in a real browser: grey slices are drawn, and a point that is pointed at shows everywhere."""

import numpy as np
import pytest
from opened_page import Page, report

from inforeg.report import Keypoints, Slice

COUNT = 6


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    rng = np.random.default_rng(0)

    def slices():
        return [
            Slice(
                plane,
                np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1)),
                0.75,
                rng.uniform(0.2, 0.8, (COUNT, 2)),
                rng.uniform(0, 20, COUNT),
            )
            for plane in ("axial", "coronal", "sagittal")
        ]

    weights, left = np.full(COUNT, 1 / COUNT), np.linspace(0.5, 3, COUNT)
    points = Keypoints(slices(), slices(), weights, left, np.linspace(0, 1, COUNT))
    return Page(browser, report(keypoints=points), tmp_path_factory.mktemp("page") / "report.html")


def test_slices_are_drawn_as_they_are(page):
    for role in ("fixed", "moving"):
        drawn = page.pixels(f"keypoints-{role}-1")
        assert drawn.shape == (30, 40, 3)
        assert abs(drawn[5, :, 0] - np.linspace(0, 255, 40)).max() < 2
        assert (drawn[..., 0] == drawn[..., 2]).all()


def test_a_point_that_is_pointed_at_shows_in_all_pictures_and_leaves_again(page):
    tell = (
        'const one = document.querySelector(\'[data-testid="keypoints"] circle[data-point="2"]\');'
        "one.dispatchEvent(new PointerEvent(arguments[0], { bubbles: true }));"
        "return document.querySelectorAll('[data-testid=\"keypoints\"] .same').length"
    )
    # Six pictures, and its bar.
    assert page.js(tell, "pointerover") == 7
    assert page.js(tell, "pointerout") == 0


def test_pictures_fit_the_page_on_any_screen(page):
    for width in (1400, 420):
        page.resize(width, 900)
        wide = page.js("return document.documentElement.scrollWidth")
        assert wide <= width
    page.resize(1400, 1000)
