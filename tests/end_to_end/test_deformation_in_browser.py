"""What the page shows of a deformation, in a real browser: bent grid, map of volumes, places worth a look."""

from itertools import pairwise

import numpy as np
import pytest
from opened_page import MARK, SHAPE, Page, head, report

from inforeg.report import Deformation, Measures, Place

SHIFT_MM = 3.0
CALM = Measures(6000, 0.8, 1.22, 0.1, 0, 3.0, 3.0)


def shares(index):
    return tuple((i + 0.5) / n for i, n in zip(index, SHAPE, strict=True))


def deformed(**fields):
    """All points 3 mm to the patient's right; grown about the mark, shrunk far from it, and folded at one place."""
    logs = np.zeros(SHAPE)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    logs += 0.2 * np.exp(-np.square(places - MARK).sum(axis=-1) / 40)
    logs -= 0.2 * np.exp(-np.square(places - (10, 10, MARK[2])).sum(axis=-1) / 40)
    logs[20, 8, MARK[2]] = np.nan
    displacement_mm = np.zeros((10, 12, 9, 3))
    displacement_mm[..., 0] = SHIFT_MM
    found = Deformation(
        log_jacobian=logs,
        displacement_mm=displacement_mm,
        undeformed=np.roll(head(-1.0), 3, axis=2),
        typical=0.18,
        start=shares((20, 24, MARK[2])),
        places={
            "largest": Place(shares(MARK), 1.22, 3.0),
            "fold": Place(shares((20, 8, MARK[2])), -0.1, 3.04),
        },
        inside=CALM,
        whole=CALM._replace(folds=1),
        spacing_mm=(4.0, 4.0, 4.0),
    )
    return report(**{"deformation": found, **fields})


@pytest.fixture
def page(browser, tmp_path):
    opened = Page(browser, deformed(), tmp_path / "report.html")
    yield opened
    assert browser.get_log("browser") == []
    assert opened.js("return performance.getEntriesByType('resource').length") == 0


def profile(page, testid="grid-axial"):
    """How much of the lines' colour there is in every column."""
    red, _, blue = np.moveaxis(page.pixels(testid), -1, 0)
    return (blue - red).clip(0).sum(axis=0).astype(float)


def test_the_grid_is_bent_before_and_straight_after(page):
    bent = profile(page)
    page.click("under-warped")
    straight = profile(page)
    width = bent.size
    per_mm = width / (SHAPE[1] * 4.0)  # the widest plane, at whose scale all are drawn
    best = max(range(-10, 11), key=lambda n: np.corrcoef(np.roll(straight, n)[30:-30], bent[30:-30])[0, 1])
    # To the patient's right is to the screen's left.
    assert best == pytest.approx(-SHIFT_MM * per_mm, abs=1.0)
    page.click("under-fixed")
    still = max(range(-9, 10), key=lambda n: np.corrcoef(np.roll(profile(page), n), straight)[0, 1])
    assert still == 0


def test_the_grid_can_be_taken_away_and_the_pictures_take_turns(page):
    with_grid = profile(page).sum()
    page.click("grid-lines")
    assert profile(page).sum() == 0 < with_grid
    pictures = [page.pixels("grid-coronal")]
    for name in ("warped", "fixed"):
        page.click(f"under-{name}")
        pictures.append(page.pixels("grid-coronal"))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert (pictures[one] != pictures[other]).any(-1).mean() > 0.1
    assert page.find("grid-axial").get_attribute("aria-label") == (
        f"axial, slice {MARK[2] + 1} of {SHAPE[2]}, fixed"
    )


def test_grown_is_red_shrunk_is_blue_and_a_fold_is_yellow_where_they_are(page):
    drawn = page.pixels("change-axial")
    _, width, _ = drawn.shape
    scale = width / SHAPE[1]
    left = (width - SHAPE[0] * scale) / 2

    def at(i, j):
        return drawn[int((SHAPE[1] - j - 0.5) * scale), int(left + (SHAPE[0] - i - 0.5) * scale)]

    red, green, blue = at(*MARK[:2])
    assert red > 60 and green < 60 and blue < 90
    red, green, blue = at(10, 10)
    assert blue > 60 and red < 60
    assert at(20, 8).tolist() == [255, 230, 0]
    yellow = (drawn == (255, 230, 0)).all(axis=-1)
    rows, columns = np.nonzero(yellow)
    assert 36 <= yellow.sum() <= (scale + 2) ** 2
    # With a black rim on every side.
    for rim in (drawn[rows.min() - 2 : rows.min(), columns[0]], drawn[rows[-1], columns.max() + 1 :][:2]):
        assert rim.max(axis=-1).min() < 60
    page.set_slider("deformed-slice-axial", MARK[2] - 3)
    assert not (page.pixels("change-axial") == (255, 230, 0)).all(axis=-1).any()


def test_lines_carry_the_sign_where_colours_cannot(page):
    """Solid about what grew, broken about what shrank."""
    page.set_slider("deformed-slice-axial", MARK[2] + 1)  # beside the fold
    drawn = page.pixels("change-axial").max(axis=-1)
    width = drawn.shape[1]
    scale = width / SHAPE[1]
    left = (width - SHAPE[0] * scale) / 2
    dark = []
    for i, j in (MARK[:2], (10, 10)):
        centre = (SHAPE[1] - j - 0.5) * scale, left + (SHAPE[0] - i - 0.5) * scale
        rows, columns = np.nonzero(drawn < 70)
        distance = np.hypot(rows - centre[0], columns - centre[1])
        ring = (distance > 3 * scale) & (distance < 8 * scale)
        angles = np.degrees(np.arctan2(rows - centre[0], columns - centre[1]))[ring]
        dark.append(len(np.unique((angles // 6).astype(int))) / 60)
    assert dark[0] > 0.95
    assert 0.3 < dark[1] < 0.85


def test_sliders_wheel_and_keys_scroll_both_pictures_of_a_plane(page):
    from selenium.webdriver.common.keys import Keys

    assert (page.state("deformedAxial"), page.state("deformedSagittal")) == (str(MARK[2]), "20")
    before = page.pixels("grid-coronal"), page.pixels("change-coronal"), page.pixels("change-sagittal")
    page.find("deformed-slice-coronal").send_keys(Keys.ARROW_LEFT * 14)
    assert page.state("deformedCoronal") == "10"
    after = page.pixels("grid-coronal"), page.pixels("change-coronal"), page.pixels("change-sagittal")
    for n, changed in enumerate((True, True, False)):
        assert (before[n] != after[n]).any() == changed
    page.find("change-coronal").send_keys(Keys.PAGE_UP)
    assert page.state("deformedCoronal") == "20"
    # The viewer above is left where it was.
    assert page.state("sliceCoronal") == str((SHAPE[1] - 1) // 2)


def test_a_button_goes_to_the_place_and_says_what_is_there(page):
    page.click("place-largest")
    states = [page.state(f"deformed{plane}") for plane in ("Sagittal", "Coronal", "Axial")]
    assert states == [str(n) for n in MARK]
    assert page.find("deformation-where").text == "In the ring: +22 % in volume, moved by 3.0 mm"
    ringed = page.pixels("change-axial")
    page.click("place-fold")
    assert page.find("deformation-where").text == "In the ring: a fold, moved by 3.0 mm"
    page.set_slider("deformed-slice-axial", MARK[2])
    assert (page.pixels("change-axial") != ringed).any()


def test_the_pointer_reads_the_map(page):
    from selenium.webdriver import ActionChains

    canvas = page.find("change-axial")
    page.js("arguments[0].scrollIntoView({block: 'center'})", canvas)
    width = page.pixels("change-axial").shape[1]
    scale = width / SHAPE[1]
    offset = round((SHAPE[0] / 2 - MARK[0] - 0.5) * scale), round((SHAPE[1] / 2 - MARK[1] - 0.5) * scale)
    ActionChains(page.browser).move_to_element_with_offset(canvas, *offset).perform()
    page.until(lambda: page.find("deformation-where").text != "")
    assert page.find("deformation-where").text == "Under the pointer: ≥ +20 % in volume, moved by 3.0 mm"


@pytest.mark.parametrize("width", [360, 800, 1400])
def test_it_fits_every_width_in_readable_letters(page, width):
    page.resize(width, 900)
    assert page.js("return document.documentElement.scrollWidth") <= width
    page.until(lambda: page.js("return arguments[0].width", page.find("change-axial")) <= width)
    sizes = page.js(
        "return [...document.querySelectorAll('#deformation *')].filter((e) => e.textContent.trim())"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 12
    bar = page.js(
        "const card = document.getElementById('deformation').getBoundingClientRect();"
        "return [...document.querySelectorAll('.change-bar span')].map((e) => e.getBoundingClientRect())"
        ".map((b) => [b.left - card.left, card.right - b.right, b.left, b.right])"
    )
    assert min(min(left, right) for left, right, _, _ in bar) >= 0
    assert all(one[3] < other[2] for one, other in pairwise(bar))


def test_every_control_has_a_name(page):
    assert page.js(
        "return [...document.querySelectorAll('#deformation input')].every((e) => e.labels[0].textContent.trim())"
    )
    assert page.find("change-axial").get_attribute("aria-label").endswith("volume change, folds in 1 cell")


def test_a_picture_has_one_plane(browser, tmp_path):
    picture = np.zeros((60, 40), np.float32)
    picture[:15, :10] = 1.0
    logs = np.zeros((60, 40))
    logs[10, 5] = np.nan  # near the left and the top
    found = Deformation(
        log_jacobian=logs,
        displacement_mm=np.full((6, 4, 2), 0.5),
        undeformed=picture,
        typical=0.1,
        start=(0.5, 0.5),
        places={},
        inside=CALM,
        whole=CALM._replace(folds=1),
        spacing_mm=(1.0, 1.0),
    )
    images = {"fixed": picture, "before": picture, "warped": picture, "spacing_mm": (1.0, 1.0)}
    page = Page(browser, report(**images, deformation=found), tmp_path / "report.html")
    drawn = page.pixels("change-picture")
    height, width, _ = drawn.shape
    rows, columns = np.nonzero((drawn == (255, 230, 0)).all(axis=-1))
    scale = height / 40
    assert rows.mean() == pytest.approx(5.5 * scale, abs=1)
    assert columns.mean() == pytest.approx((width - 60 * scale) / 2 + 10.5 * scale, abs=1)
    assert (
        page.js("return document.querySelectorAll('#deformation .slice, #deformation .letter').length") == 0
    )
    assert page.find("grid-picture").get_attribute("aria-label") == "picture, before, bent grid"
    assert browser.get_log("browser") == []
