"""The page in a real browser: Chromium without a screen, driven as a reader would."""

import time

import numpy as np
import pytest
from opened_page import MARK, SHAPE, Page, report


@pytest.fixture
def page(browser, tmp_path):
    opened = Page(browser, report(), tmp_path / "report.html")
    yield opened
    # Whatever a test did, the page must not have complained, nor asked for anything.
    assert browser.get_log("browser") == []
    assert opened.js("return performance.getEntriesByType('resource').length") == 0


def test_slider_scrolls(page):
    from selenium.webdriver.common.keys import Keys

    before, start = page.pixels(), int(page.state("sliceAxial"))
    slider = page.find("slice-axial")
    slider.send_keys(Keys.ARROW_RIGHT * 5)
    assert int(page.state("sliceAxial")) == start + 5
    assert (page.pixels() != before).mean() > 0.02
    # The other planes stay; only their cross-hair moved.
    assert int(page.state("sliceCoronal")) == (SHAPE[1] - 1) // 2
    slider.send_keys(Keys.ARROW_LEFT * 5)
    np.testing.assert_array_equal(page.pixels(), before)


def test_wheel_and_arrow_keys_scroll(page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
    from selenium.webdriver.common.keys import Keys

    canvas, start = page.find("canvas-coronal-after"), int(page.state("sliceCoronal"))
    page.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
    ActionChains(page.browser).scroll_from_origin(ScrollOrigin.from_element(canvas), 0, -120).perform()
    page.until(lambda: int(page.state("sliceCoronal")) == start + 3)
    canvas.send_keys(Keys.ARROW_DOWN)
    assert int(page.state("sliceCoronal")) == start + 2
    canvas.send_keys(Keys.PAGE_UP * 9)
    assert int(page.state("sliceCoronal")) == SHAPE[1] - 1


def test_flicker_takes_turns_until_stopped(page):
    page.click("which-after")
    page.click("mode-flicker")
    page.set_slider("flicker-rate", 4)
    seen, pictures = [page.state("flickerPhase")], {}
    end = time.monotonic() + 10
    while len(seen) < 5 and time.monotonic() < end:
        phase = page.state("flickerPhase")
        if phase != seen[-1]:
            seen.append(phase)
    assert seen == (["fixed", "moving"] * 3)[: len(seen)] or seen == (["moving", "fixed"] * 3)[: len(seen)]
    assert len(seen) == 5

    page.click("flicker-run")
    assert page.state("flickerRunning") == "false"
    for _ in range(2):
        pictures[page.state("flickerPhase")] = page.pixels()
        page.click("flicker-swap")
    assert set(pictures) == {"fixed", "moving"}
    assert (pictures["fixed"] != pictures["moving"]).any(-1).mean() > 0.1
    stopped = page.state("flickerPhase")
    time.sleep(0.6)
    assert page.state("flickerPhase") == stopped

    page.click("mode-fixed")
    np.testing.assert_array_equal(page.pixels(), pictures["fixed"])
    page.click("mode-moving")
    np.testing.assert_array_equal(page.pixels(), pictures["moving"])


def test_leaving_flicker_stops_it(page):
    page.click("mode-flicker")
    assert page.state("flickerRunning") == "true"
    page.click("mode-blend")
    assert page.state("flickerRunning") == "false"


def test_checkerboard_shows_both_images_in_turn(page):
    page.without_cross()
    page.click("which-after")
    pictures = {}
    for mode in ("fixed", "moving", "checkerboard"):
        page.click(f"mode-{mode}")
        pictures[mode] = page.pixels()
    differ = (pictures["fixed"] != pictures["moving"]).any(-1)
    is_fixed = (pictures["checkerboard"] == pictures["fixed"]).all(-1)[differ]
    is_moving = (pictures["checkerboard"] == pictures["moving"]).all(-1)[differ]
    assert 0.35 < is_fixed.mean() < 0.65
    assert (is_fixed | is_moving).mean() > 0.95
    # In turn along rows and along columns.
    height, width = differ.shape
    from_fixed = (pictures["checkerboard"] == pictures["fixed"]).all(-1)
    for line in (np.s_[height // 2], np.s_[:, width // 2]):
        assert 0.25 < from_fixed[line][differ[line]].mean() < 0.75
    page.set_slider("tile", 60)
    assert (page.pixels() != pictures["checkerboard"]).mean() > 0.02


def test_blend_runs_from_one_image_to_the_other(page):
    page.without_cross()
    page.click("mode-fixed")
    fixed = page.pixels()
    page.click("mode-moving")
    moving = page.pixels()
    page.click("mode-blend")
    for opacity, expected in ((0, fixed), (100, moving), (50, (fixed + moving) / 2)):
        page.set_slider("opacity", opacity)
        assert np.abs(page.pixels() - expected).max() <= 2


def test_edges_are_the_fixed_ones_and_the_slider_changes_how_many(page):
    page.without_cross()
    page.click("mode-edges")

    def lines(testid="canvas-axial-after"):
        red, _, blue = np.moveaxis(page.pixels(testid), -1, 0)
        return red - blue > 60

    shown = lines()
    # The same lines over both images, for they belong to the fixed one.
    both = (shown & lines("canvas-axial-before")).sum()
    assert both > 0.9 * shown.sum() > 100
    page.set_slider("edge-amount", 0)
    few = lines().sum()
    page.set_slider("edge-amount", 100)
    assert few < shown.sum() < lines().sum()


def test_before_and_after_differ_and_keys_switch_them(page):
    from selenium.webdriver.common.keys import Keys

    page.without_cross()
    page.click("mode-moving")
    assert (page.pixels("canvas-sagittal-before") != page.pixels("canvas-sagittal-after")).mean() > 0.1
    page.click("which-after")
    assert not page.find("canvas-sagittal-before").is_displayed()
    body = page.browser.find_element("css selector", "body")
    body.send_keys("b")
    assert page.state("which") == "before"
    assert page.find("canvas-sagittal-before").is_displayed()
    assert not page.find("canvas-sagittal-after").is_displayed()
    body.send_keys("3")
    assert page.state("mode") == "flicker"
    page.click("flicker-run")
    phase = page.state("flickerPhase")
    body.send_keys(Keys.SPACE)
    assert page.state("flickerPhase") != phase


def test_right_is_left_front_is_up_and_a_click_finds_the_mark(page):
    from selenium.webdriver import ActionChains

    page.without_cross()
    page.click("which-after")
    page.click("mode-fixed")
    page.set_slider("slice-axial", MARK[2])

    def mark(testid):
        canvas = page.pixels(testid)
        rows, columns = np.nonzero(canvas[..., 0] > 235)
        assert len(rows) > 20
        return rows.mean(), columns.mean(), canvas.shape

    row, column, (height, width, _) = mark("canvas-axial-after")
    assert column < 0.45 * width
    assert row < 0.4 * height
    letters = page.js(
        "return [...arguments[0].parentElement.querySelectorAll('.letter')].map((e) => e.textContent)",
        page.find("canvas-axial-after"),
    )
    assert letters == ["R", "L", "A", "P"]

    canvas = page.find("canvas-axial-after")
    page.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
    offset = round(column - width / 2), round(row - height / 2)
    ActionChains(page.browser).move_to_element_with_offset(canvas, *offset).click().perform()
    assert abs(int(page.state("sliceSagittal")) - MARK[0]) <= 1
    assert abs(int(page.state("sliceCoronal")) - MARK[1]) <= 1
    # There it is now in the others too: at the top, and at the front (left) of the sagittal one.
    row, column, (height, width, _) = mark("canvas-coronal-after")
    assert column < 0.45 * width
    assert row < 0.4 * height
    row, column, (height, width, _) = mark("canvas-sagittal-after")
    assert column < 0.4 * width
    assert row < 0.4 * height


def test_a_histogram_has_the_fixed_image_across_and_the_moving_one_up(browser, tmp_path):
    counts = np.zeros((16, 8))
    counts[14, 1] = 50.0  # bright in the fixed image, dark in the moving one: on the right, near the bottom
    page = Page(browser, report(joint_histogram_after=counts), tmp_path / "report.html")
    drawn = page.pixels("histogram-after").sum(-1)
    assert drawn.shape == (8, 16)
    assert np.argwhere(drawn > 0).tolist() == [[6, 14]]


def test_histograms_are_drawn_with_names(page):
    for name in ("before", "after"):
        drawn = page.pixels(f"histogram-{name}")
        assert drawn.shape == (64, 64, 3)
        assert len(np.unique(drawn.reshape(-1, 3), axis=0)) > 5
    labels = page.js("return [...document.querySelectorAll('.joint span')].map((e) => e.textContent)")
    assert labels == ["t2.nii.gz →", "t1.nii.gz →"] * 2


@pytest.mark.parametrize("width", [360, 420, 800, 1400])
def test_fits_every_width_in_readable_letters(page, width):
    page.resize(width, 900)
    assert page.js("return document.documentElement.scrollWidth") <= width
    sizes = page.js(
        "const sizes = []; const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);"
        "while (walk.nextNode()) { const e = walk.currentNode.parentElement;"
        " if (!['SCRIPT', 'STYLE'].includes(e.tagName) && walk.currentNode.textContent.trim())"
        " sizes.push(parseFloat(getComputedStyle(e).fontSize)); } return sizes"
    )
    assert min(sizes) >= 12
    page.until(lambda: page.js("return arguments[0].width", page.find("canvas-axial-after")) <= width)


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(page):
    nameless = page.js(
        "return [...document.querySelectorAll('input')].filter((e) => !e.labels.length ||"
        " !e.labels[0].textContent.trim() || e.tabIndex < 0).length"
    )
    assert nameless == 0
    assert page.js("return [...document.querySelectorAll('canvas[tabindex]')].every((c) => c.ariaLabel)")


def test_hostile_names_are_only_text(browser, tmp_path):
    hostile = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
    page = Page(
        browser, report(title=hostile, moving_name=hostile, command=hostile), tmp_path / "report.html"
    )
    assert page.js("return window.hacked") is None
    assert page.browser.find_element("css selector", "h1").text == hostile
    assert page.find("command").text == hostile
    assert page.js("return document.images.length") == 0


def test_a_colour_picture_has_one_plane_as_in_its_file(browser, tmp_path):
    picture = np.zeros((60, 40, 3), np.uint8)
    picture[:15, :10] = 250, 40, 40  # first columns, first rows: top left, red
    path = tmp_path / "report.html"
    data = report(fixed=picture, before=picture[::-1], warped=picture, spacing_mm=(1.0, 1.0))
    page = Page(browser, data, path)
    page.click("mode-moving")
    drawn = page.pixels("canvas-picture-after")
    height, width, _ = drawn.shape
    red = (drawn[..., 0] > 200) & (drawn[..., 1] < 100)
    assert red[: height // 2, : width // 2].sum() == red.sum() > 100
    red = page.pixels("canvas-picture-before")[..., 0] > 200
    assert red[: height // 2, width // 2 :].sum() == red.sum() > 100
    assert page.js("return document.querySelectorAll('.letter, .slice').length") == 0
    assert not page.find("cross").is_displayed()
    assert browser.get_log("browser") == []
