"""What a run leaves that learns its metric, in a real browser: the film, the charts it moves in, the response."""

import time

import numpy as np
import pytest
from opened_page import Page, report

from inforeg.report import Film, PathTrace, Response

FRAMES = 6


def neural(**fields):
    """A report of what a run leaves that learns its metric: a response, a path and a film."""
    picture = np.zeros((40, 60), np.float32)
    picture[10:20, 15:35] = 100.0  # rows, columns: nearer the top and the left
    frames = [[np.roll(picture, 2 * (FRAMES - 1 - n), axis=1)] for n in range(FRAMES)]
    nats = np.zeros((16, 12))
    nats[14, 1] = 2.0
    return report(
        **{
            "fixed": picture.T,
            "before": picture.T,
            "warped": picture.T,
            "spacing_mm": (1.0, 1.0),
            "response": Response(
                np.linspace(0, 255, 16), np.linspace(0, 1, 12), nats, np.full(16, 120.0), np.full(12, 160.0)
            ),
            "path": PathTrace([8.0, 4.0, 2.0, 0.0], [0, 1, 2, 2], [1, 1.01, 1.02, 1.02], [9, 5, 3, 3], 30.0),
            "film": Film(
                planes=["picture"],
                spacing_mm=[(1.0, 1.0)],
                fixed=[picture],
                frames=frames,
                labels=["Before", *(f"Step {n}" for n in range(FRAMES - 1))],
                steps=[None, 0, 1, 1.5, 2, 3],
                pauses=[1],
            ),
            **fields,
        }
    )


@pytest.fixture
def still(browser):
    """A reader who asked for stillness."""
    media = "Emulation.setEmulatedMedia"
    browser.execute_cdp_cmd(media, {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]})
    yield
    browser.execute_cdp_cmd(media, {"features": []})


@pytest.fixture
def run(browser, still, tmp_path):
    opened = Page(browser, neural(), tmp_path / "report.html")
    yield opened
    assert browser.get_log("browser") == []
    assert opened.js("return performance.getEntriesByType('resource').length") == 0


def test_the_slider_goes_through_the_film(run):
    assert (run.state("filmFrame"), run.find("film-where").text) == ("0", "Before")
    red, green, blue = np.moveaxis(run.pixels("film-canvas-picture"), -1, 0)
    # The fixed picture green, the moving one magenta, ten pixels further on.
    assert green[15, 20] > 200 > 60 > red[15, 20]
    assert red[15, 40] > 200 > 60 > green[15, 40]
    np.testing.assert_array_equal(red, blue)
    run.set_slider("film-frame", FRAMES - 1)
    assert run.find("film-where").text == "Step 4"
    red, green, blue = np.moveaxis(run.pixels("film-canvas-picture"), -1, 0)
    np.testing.assert_array_equal(red, green)
    np.testing.assert_array_equal(red, blue)
    assert red[15, 20] > 200 and red[30, 50] == 0


def test_the_film_plays_to_its_end_and_from_there_again(run):
    run.click("film-play")
    assert run.state("filmRunning") == "true"
    assert run.find("film-play").text == "Pause"
    run.until(lambda: run.state("filmFrame") == str(FRAMES - 1))
    run.until(lambda: run.state("filmRunning") == "false")
    assert run.find("film-play").text == "Play"
    run.click("film-play")
    assert run.state("filmFrame") == "0"
    run.click("film-play")
    assert run.state("filmRunning") == "false"


def test_taking_the_slider_pauses_the_film(run):
    run.click("film-play")
    run.set_slider("film-frame", 2)
    assert run.state("filmRunning") == "false"
    time.sleep(0.4)
    assert run.state("filmFrame") == "2"


def test_stillness_is_kept_and_without_that_wish_the_film_begins_when_it_is_seen(run):
    run.js("document.getElementById('film').scrollIntoView({block: 'center'})")
    time.sleep(0.5)
    assert (run.state("filmRunning"), run.state("filmFrame")) == ("false", "0")
    run.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    run.browser.refresh()
    run.until(lambda: run.state("ready") == "true")
    run.js("scrollTo(0, 0)")
    run.js("document.getElementById('film').scrollIntoView({block: 'center'})")
    run.until(lambda: run.state("filmFrame") == str(FRAMES - 1))
    run.until(lambda: run.state("filmRunning") == "false")


def test_the_checkerboard_of_the_film_shows_both_images_in_turn(run):
    run.click("film-moving")
    moving = run.pixels("film-canvas-picture")
    run.set_slider("film-frame", FRAMES - 1)
    fixed = run.pixels("film-canvas-picture")
    run.set_slider("film-frame", 0)
    run.click("film-checkerboard")
    drawn = run.pixels("film-canvas-picture")
    differ = (fixed != moving).any(-1)
    is_fixed, is_moving = ((drawn == picture).all(-1)[differ] for picture in (fixed, moving))
    assert (is_fixed | is_moving).all()
    assert 0.3 < is_fixed.mean() < 0.7


def test_the_charts_show_where_the_film_is(run):
    def places():
        return run.js(
            "return [...document.querySelectorAll('line.now')]"
            ".map((e) => [e.getAttribute('visibility'), parseFloat(e.getAttribute('x1'))])"
        )

    # The trace, the distance, and the three lines of the motion.
    assert [shown for shown, _ in places()] == ["hidden"] * 5
    run.set_slider("film-frame", 3)
    assert places() == [["visible", 50]] * 5


def test_the_response_has_the_fixed_image_across_and_blank_where_it_says_nothing(run):
    drawn = run.pixels("response-cells")
    assert drawn.shape == (12, 16, 3)
    coloured = np.argwhere(drawn.min(-1) < 200)
    assert coloured.tolist() == [[10, 14]]
    red, _, blue = drawn[10, 14]
    assert red > blue + 40


@pytest.mark.parametrize("width", [360, 1400])
def test_the_response_is_square_and_its_scales_lie_along_it(run, width):
    run.resize(width, 900)
    assert run.js("return document.documentElement.scrollWidth") <= width
    boxes = run.js(
        "return ['.cells', '.response .up', '.response .across', '.response .y-scale', '.bar div', '.x-scale'].map("
        "(s) => { const b = document.querySelector(s).getBoundingClientRect();"
        " return [b.left, b.top, b.width, b.height]; })"
    )
    cells, up, across, y_scale, bar, x_scale = boxes
    assert abs(cells[2] - cells[3]) < 3
    for other in (up, y_scale, bar):
        assert abs(other[1] - cells[1]) < 3 and abs(other[3] - cells[3]) < 3
    for other in (across, x_scale):
        assert abs(other[0] - cells[0]) < 3 and abs(other[2] - cells[2]) < 3


def test_every_control_of_the_film_has_a_name_and_readable_letters(run):
    assert run.js(
        "return [...document.querySelectorAll('#film input')].every((e) => e.labels[0].textContent.trim())"
    )
    assert run.find("film-canvas-picture").get_attribute("aria-label") == "picture, overlay: Before"
    sizes = run.js(
        "return [...document.querySelectorAll('#film *, .response *, .chart *')].filter((e) => e.textContent.trim())"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
