import math
import re

import numpy as np
import pytest

from inforeg.report import PathTrace, StageTrace
from inforeg.report.path import path_charts

STEPS = 50
LEFT = [40.0 * 0.8**n for n in range(STEPS - 1)] + [0.0]


@pytest.fixture
def path():
    turn = np.linspace(0, 12, STEPS)
    return PathTrace(LEFT, turn.tolist(), [1.0] * STEPS, (2 * turn).tolist(), 71.25)


@pytest.fixture
def stages():
    return [StageTrace("rigid", [1.0] * STEPS, [4.0] * 30 + [2.0] * 20)]


def figures(chart):
    return dict(re.findall(r'<figure[^>]*data-testid="(\w+)">(.*?)</figure>', chart, re.DOTALL))


def points(figure):
    return [
        np.array([[float(c) for c in p.split(",")] for p in line.split()])
        for line in re.findall(r'<polyline points="([^"]*)"', figure)
    ]


def test_a_steady_approach_is_a_straight_fall(path, stages):
    (line,) = points(figures(path_charts(path, stages))["distance"])
    # The end itself is no distance away: the line stops at the step before it.
    assert len(line) == STEPS - 1
    np.testing.assert_allclose(np.diff(line[:, 1]), np.diff(line[:, 1]).mean(), atol=0.11)
    assert np.diff(line[:, 1]).min() > 10


def test_ticks_of_the_logarithm_stand_where_they_say(path, stages):
    figure = figures(path_charts(path, stages))["distance"]
    (line,) = points(figure)
    ticks = {
        float(words): float(y)
        for y, words in re.findall(r'y="([\d.]+)" dy="0.35em"[^>]*>([\d.e+]+)</text>', figure)
    }
    assert len(ticks) >= 3
    per_decade = (line[-1, 1] - line[0, 1]) / math.log10(LEFT[0] / LEFT[-2])
    for value, y in ticks.items():
        expected = line[0, 1] + per_decade * math.log10(LEFT[0] / value)
        assert abs(y / 220 * 1000 - expected) < 2


def test_levels_and_the_films_line_are_marked(path, stages):
    found = figures(path_charts(path, stages))
    assert 'class="level"' in found["distance"]
    assert found["distance"].count('class="now"') == 1
    assert "71.2 mm from its centre" in found["distance"]


def test_what_does_not_move_is_no_plot(path, stages):
    motion = figures(path_charts(path, stages))["motion"]
    assert "rotation, at the last step <strong>12 degrees" in motion
    assert "shift, at the last step <strong>24 mm" in motion
    assert "scale" not in re.sub("<figcaption.*", "", motion)
    assert len(points(motion)) == 2


def test_side_by_side_every_plot_has_its_own_steps(path, stages):
    assert figures(path_charts(path, stages))["motion"].count(">step<") == 1
    assert figures(path_charts(path, stages, wide=True))["motion"].count(">step<") == 2


def test_where_nothing_moved_there_is_no_chart(path, stages):
    assert path_charts(path._replace(left_mm=[0.0] * STEPS), stages) == ""


def test_a_path_and_its_stages_have_as_many_steps(make_report, path):
    with pytest.raises(ValueError, match=r"50, 50, 50, 50\] steps and the stages 3"):
        make_report(path=path)
