import base64
import re

import numpy as np
import pytest

from inforeg.report import Response, render
from inforeg.report.response import colour, response_figure

FIXED, MOVING = np.linspace(-20.0, 180.0, 40), np.linspace(0.0, 0.9, 24)


def response(nats=None, **fields):
    values = {
        "fixed": FIXED,
        "moving": MOVING,
        "nats": np.zeros((40, 24)) if nats is None else nats,
        "fixed_counts": np.full(40, 500.0),
        "moving_counts": np.full(24, 500.0 * 40 / 24),
    }
    return Response(**{**values, **fields})


def cells(made):
    _, payload = response_figure(made)
    across, down = payload["shape"]
    return np.frombuffer(base64.b64decode(payload["rgba"]), np.uint8).reshape(down, across, 4).astype(int)


def test_blue_below_white_at_zero_red_above():
    low, zero, high = colour(np.array([-1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(zero, [255, 255, 255])
    assert low[2] > 2 * low[0]
    assert high[0] > 2 * high[2]
    np.testing.assert_array_equal(colour(np.array([-9.0, 9.0])), np.stack((low, high)))


def test_both_halves_darken_alike():
    """So that a print in grey, too, tells much from little."""
    light = colour(np.linspace(-1, 1, 21)) @ [0.299, 0.587, 0.114]
    assert (np.diff(light[:11]) > 0).all()
    assert (np.diff(light[10:]) < 0).all()
    np.testing.assert_allclose(light, light[::-1], atol=30)


def test_the_fixed_image_is_across_and_the_moving_one_up():
    nats = np.zeros((40, 24))
    nats[35, 2] = 3.0  # bright in the fixed image, dark in the moving one
    nats[3, 20] = -3.0
    drawn = cells(response(nats))
    assert drawn.shape == (24, 40, 4)
    assert drawn[21, 35, 0] > drawn[21, 35, 2] + 20
    assert drawn[3, 3, 2] > drawn[3, 3, 0] + 20
    assert (drawn[..., :3] == 255).all(-1).sum() == 40 * 24 - 2


def test_cells_without_samples_fade():
    counts = np.full(40, 500.0)
    counts[30:] = 0.01
    alpha = cells(response(fixed_counts=counts))[..., 3]
    assert (alpha[:, :30] == 255).all()
    assert (alpha[:, 30:] == 0).all()


def test_pairs_that_are_met_often_are_shown_though_each_is_rare():
    """As a rare tissue is: few of each, but always together."""
    counts = np.full(40, 500.0), np.full(24, 800.0)
    counts[0][30], counts[1][5] = 12.0, 12.0
    nats = np.zeros((40, 24))
    plain = cells(response(nats, fixed_counts=counts[0], moving_counts=counts[1]))[18, 30, 3]
    nats[30, 5] = 7.0
    assert cells(response(nats, fixed_counts=counts[0], moving_counts=counts[1]))[18, 30, 3] == 255 > plain


def test_the_scale_ends_where_nearly_all_samples_lie():
    nats = np.full((40, 24), 1.2)
    nats[:, 12:] = -40.0  # what is never met goes far below, and must not bleach the rest
    markup, _ = response_figure(response(nats))
    assert "≥ +1.5" in markup and "≤ −1.5" in markup


def test_noise_about_zero_gets_no_colour():
    nats = 1e-3 * np.random.default_rng(0).standard_normal((40, 24))
    assert (cells(response(nats))[..., :3] > 245).all()


def test_ticks_are_intensities_at_their_places():
    markup, _ = response_figure(response())
    across = dict(re.findall(r'<text x="([\d.]+)%" y="19"[^>]*>([−\d.]+)</text>', markup))
    for place, words in across.items():
        value = float(words.replace("−", "-"))
        assert abs(-20 + 200 * float(place) / 100 - value) < 0.1
    assert len(across) >= 4
    up = dict(re.findall(r'dx="-9" y="([\d.]+)%"[^>]*>([\d.]+)</text>', markup))
    assert len(up) >= 4
    for place, words in up.items():
        assert abs(0.9 * (1 - float(place) / 100) - float(words)) < 1e-3


def test_strips_are_highest_where_most_samples_are():
    counts = np.ones(40)
    counts[10] = 100.0
    markup, _ = response_figure(response(fixed_counts=counts))
    outline = re.search(r'class="across">.*?points="([^"]*)"', markup, re.DOTALL).group(1)
    x, y = min(([float(c) for c in p.split(",")] for p in outline.split()), key=lambda p: p[1])
    assert abs(x - 1000 * 10 / 39) < 1
    assert y == 4


def test_uneven_and_many_intensities_are_laid_out_evenly():
    uneven = np.concatenate((np.linspace(0, 1, 150), np.linspace(2, 10, 9)))
    nats = np.zeros((159, 24))
    nats[150:] = 1.0  # from an intensity of about 1.5 on
    made = response(nats, fixed=uneven, fixed_counts=np.full(159, 500.0))
    drawn = cells(made)
    assert drawn.shape == (24, 128, 4)
    red = drawn[0, :, 2] < 200
    assert abs(red.argmax() / 127 * 10 - 1.5) < 0.1
    assert red[red.argmax() :].all()


def test_no_number_is_no_colour():
    nats = np.full((40, 24), np.nan)
    assert (cells(response(nats))[..., :3] == 255).all()


def test_the_page_shows_it_and_escapes_its_names(make_report):
    hostile = '"><script>hacked()</script>'
    text = render(make_report(response=response(fixed_words=hostile, moving_words=hostile)))
    assert "What the metric has learnt" in text
    assert "<script>hacked" not in text
    assert "What the metric has learnt" not in render(make_report())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nats": np.zeros((24, 40))}, "nats of shape"),
        ({"moving_counts": np.zeros(3)}, "3 counts"),
        ({"fixed": FIXED[::-1]}, "ascend"),
        ({"moving": np.full(24, 0.5)}, "ascend"),
    ],
)
def test_what_cannot_be_drawn_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        response(**fields)
