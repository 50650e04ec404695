import base64
import re

import numpy as np
import pytest

from inforeg.report import Keypoints, Slice, render
from inforeg.report.keypoints import colours, keypoints_section

COUNT = 5
AT = np.array([[0.1, 0.2], [0.5, 0.5], [0.9, 0.1], [0.3, 0.8], [0.7, 0.6]])


def slice_(plane="axial", away=None, **fields):
    picture = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8)
    away = np.zeros(COUNT) if away is None else away
    return Slice(**{"plane": plane, "picture": picture, "aspect": 0.75, "at": AT, "away_mm": away, **fields})


def keypoints(**fields):
    values = {
        "fixed": [slice_(), slice_("coronal")],
        "moving": [slice_()],
        "weights": np.array([0.1, 0.2, 0.4, 0.2, 0.1]),
        "left_mm": np.array([0.5, 2.0, 1.0, 8.0, 0.25]),
        "hue": np.linspace(0, 1, COUNT),
    }
    return Keypoints(**{**values, **fields})


def section(made):
    return keypoints_section(made, "${count} ${figures} ${residuals}", ("a.nii", "b.nii"))


def circles(markup, pane):
    svg = re.search(rf'id="keypoints-{pane}".*?</svg>', markup, re.DOTALL).group(0)
    found = re.findall(
        r'<circle data-point="(\d+)" cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)" fill="([^"]+)"', svg
    )
    return {int(n): (float(x), float(y), float(r), fill) for n, x, y, r, fill in found}


def test_every_point_is_in_every_picture_in_its_colour_and_place():
    markup, pictures = section(keypoints())
    assert set(pictures) == {"fixed-0", "fixed-1", "moving-0"} and markup.startswith("5 ")
    drawn = [circles(markup, pane) for pane in pictures]
    for one in drawn:
        assert set(one) == set(range(COUNT))
        for n, (x, y, _, fill) in one.items():
            assert (x, y) == pytest.approx((100 * AT[n, 0], 75 * AT[n, 1]))
            assert fill == colours(np.linspace(0, 1, COUNT))[n]
    assert len(set(colours(np.linspace(0, 1, COUNT)))) == COUNT
    grey = np.frombuffer(base64.b64decode(pictures["fixed-0"]["grey"]), np.uint8)
    assert pictures["fixed-0"]["shape"] == [8, 6]
    np.testing.assert_array_equal(grey.reshape(6, 8), slice_().picture)


def test_what_weighs_more_is_larger_and_what_is_far_is_fainter():
    away = np.array([0.0, 0.0, 30.0, 0.0, 15.0])
    markup, _ = section(keypoints(fixed=[slice_(away=away)]))
    drawn = circles(markup, "fixed-0")
    assert drawn[2][2] > drawn[1][2] > drawn[0][2]
    opacity = {
        int(n): float(o) for n, o in re.findall(r'data-point="(\d+)" cx[^>]*fill-opacity="([\d.]+)"', markup)
    }
    first = re.search(r'id="keypoints-fixed-0".*?</svg>', markup, re.DOTALL).group(0)
    order = [int(n) for n in re.findall(r'<circle data-point="(\d+)"', first)]
    # The nearest lie on top.
    assert order[0] == 2 and order[1] == 4
    seen = {
        int(n): float(o) for n, o in re.findall(r'data-point="(\d+)"[^>]*?fill-opacity="([\d.]+)"', first)
    }
    assert seen[0] == 1 > seen[4] > seen[2] > 0.1
    assert opacity


def test_residuals_are_bars_the_worst_first():
    markup, _ = section(keypoints())
    bars = re.findall(r'class="residual" data-point="(\d+)"[^>]*height="([\d.]+)"', markup)
    assert [int(n) for n, _ in bars] == [3, 1, 2, 0, 4]
    heights = [float(h) for _, h in bars]
    assert heights[0] / heights[1] == pytest.approx(4, rel=0.02)
    # The root mean square by weight.
    assert "3.75 mm on average" in markup


def test_the_page_shows_them_and_escapes_names(make_report):
    text = render(make_report(keypoints=keypoints(), fixed_name='"><script>hacked()</script>'))
    assert "The points that led to it" in text and "<script>hacked" not in text
    assert 'id="keypoints-moving-0"' in text
    assert "The points that led to it" not in render(make_report())


@pytest.mark.parametrize(
    "fields", [{"weights": np.ones(4)}, {"hue": np.ones(6)}, {"moving": [slice_(away=np.zeros(2))]}]
)
def test_what_does_not_agree_is_refused(fields):
    with pytest.raises(ValueError, match="expected as many places"):
        keypoints(**fields)
