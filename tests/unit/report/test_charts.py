import re

import numpy as np
import pytest

from inforeg.report import Candidate, StageTrace
from inforeg.report.charts import candidates_chart, traces
from inforeg.report.plot import number, ticks


def curve(chart):
    (points,) = re.findall(r'<polyline points="([^"]*)"', chart)
    return np.array([[float(c) for c in p.split(",")] for p in points.split()])


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-0.61, -0.19, [-0.6, -0.5, -0.4, -0.3, -0.2]), (0, 106, [0, 50, 100])],
)
def test_ticks_are_round_and_inside(low, high, expected):
    np.testing.assert_allclose(ticks(low, high), expected, atol=1e-12)


def test_ticks_of_nothing():
    assert ticks(1.0, 1.0) == [1.0]
    assert ticks(float("nan"), 1.0) == []


def test_numbers_have_a_true_minus():
    assert number(-0.25) == "−0.25"


def test_a_trace_falls_on_the_page_as_the_metric_falls():
    points = curve(traces([StageTrace("rigid", [4.0, 2.0, 1.0], [8.0, 8.0, 4.0])]))
    np.testing.assert_allclose(points[:, 0], [0, 500, 1000])
    assert (np.diff(points[:, 1]) > 0).all()
    assert (points[:, 1] > 0).all()
    assert (points[:, 1] < 1000).all()


def test_stages_of_one_metric_share_a_chart_and_others_do_not():
    mi = [StageTrace(n, [2.0, 1.0], [4.0, 2.0], "MI") for n in ("rigid", "affine")]
    assert traces(mi).count("<figure") == 1
    assert traces([*mi, StageTrace("fine", [5.0, 4.0], [1.0, 1.0], "MINE")]).count("<figure") == 2


def test_level_boundaries_stand_where_the_level_changes():
    chart = traces([StageTrace("rigid", [1.0] * 11, [8.0] * 5 + [4.0] * 6)])
    assert re.findall(r'<line class="level" x1="([^"]*)"', chart) == ["50.00%"]
    assert "8 mm (5), 4 mm (6)" in chart


def test_of_a_single_level_there_is_nothing_to_say():
    chart = traces([StageTrace("affine", [2.0, 1.0], [1.0, 1.0])])
    assert "mm" not in chart
    assert "<figcaption></figcaption>" in chart


def test_a_metric_may_be_better_the_more_it_is():
    chart = traces([StageTrace("rigid", [0.1, 0.4], [1.0, 1.0], "information, nats", "more")])
    assert "information, nats (more is better)" in chart
    assert curve(chart)[0, 1] > curve(chart)[1, 1]


def noisy(count=300, seed=0):
    rng = np.random.default_rng(seed)
    return 0.8 * (1 - np.exp(-np.arange(count) / 60)) + 0.1 * rng.standard_normal(count)


def test_a_noisy_trace_is_drawn_with_its_running_median():
    values = noisy()
    values[40] = -90.0  # one wild step must not flatten the rest
    chart = traces([StageTrace("affine", values, np.ones(len(values)))])
    raw, middle = (
        np.array([float(p.split(",")[1]) for p in points.split()])
        for points in re.findall(r'<polyline[^>]* points="([^"]*)"', chart)
    )
    assert 'class="raw"' in chart
    assert np.abs(np.diff(middle)).mean() < 0.3 * np.abs(np.diff(raw[50:])).mean()
    # The rise takes most of the height, and the wild step runs out of it.
    assert middle[:10].mean() - middle[-10:].mean() > 350
    assert raw[40] > 1000
    assert "the median of 11 steps" in chart
    assert re.search(r"[1-9]\d? steps? lies? beyond the frame", chart)
    assert 0 < middle.min() < middle.max() < 1000


def test_the_median_keeps_levels_apart():
    """At the border of two levels a median over both would show a slope that was never there."""
    values = np.concatenate((noisy(150), 5 + noisy(150)))
    chart = traces([StageTrace("affine", values, [2.0] * 150 + [1.0] * 150)])
    middle = np.array(
        [float(p.split(",")[1]) for p in re.findall(r'<polyline points="([^"]*)"', chart)[0].split()]
    )
    assert middle[149] - middle[150] > 500


def test_a_quiet_trace_is_drawn_as_it_is():
    assert 'class="raw"' not in traces([StageTrace("rigid", np.linspace(3, 1, 300), np.ones(300))])
    assert 'class="raw"' not in traces([StageTrace("rigid", [3.0, 1.0, 2.9, 1.1] * 4, np.ones(16))])
    # Levels that begin anew are no noise.
    climbs = np.concatenate([np.linspace(3, 1, 50)] * 6)
    assert 'class="raw"' not in traces([StageTrace("rigid", climbs, np.repeat(np.arange(6), 50))])


def test_the_films_line_stands_only_where_the_axis_is_that_of_all_steps():
    one = StageTrace("rigid", [2.0, 1.0], [4.0, 2.0], "MI")
    assert traces([one]).count('class="now"') == 1
    assert 'class="now"' not in traces([one, one._replace(metric="MINE")])


def test_a_curve_breaks_where_the_metric_is_not_finite():
    chart = traces([StageTrace("rigid", [3.0, 2.0, float("nan"), 2.5, 2.0], [1.0] * 5)])
    assert chart.count("<polyline") == 2
    assert "nan" not in chart
    assert traces([StageTrace("rigid", [float("nan")] * 3, [1.0] * 3)]) == ""


def test_nothing_to_draw():
    assert traces([]) == ""
    assert traces([StageTrace("rigid", [], [])]) == ""
    assert candidates_chart([]) == ""


def test_a_single_step_and_a_constant_can_be_drawn():
    assert "<polyline" in traces([StageTrace("rigid", [1.0], [1.0])])
    assert "<polyline" in traces([StageTrace("rigid", [0.0, 0.0], [1.0, 1.0])])


def test_thousands_of_steps_are_thinned_but_the_last_stays():
    values = np.linspace(5.0, 1.0, 5000)
    points = curve(traces([StageTrace("rigid", values, np.ones(5000))]))
    assert len(points) < 1300
    assert points[-1, 0] == 1000


def test_the_best_candidate_is_marked():
    chart = candidates_chart([Candidate(10.0, -0.1), Candidate(60.0, -0.4), Candidate(120.0, -0.2)])
    assert 'class="best" cx="50.00%"' in chart
    assert "3 poses" in chart
    assert "60° away" in chart


def test_thousands_of_candidates_show_the_best():
    chart = candidates_chart([Candidate(float(n % 180), float(n)) for n in range(3000)])
    assert "The best 1000 of 3000 poses" in chart
    assert chart.count("<circle") == 1001


def test_names_are_escaped():
    chart = traces([StageTrace("<b>rigid", [2.0, 1.0], [1.0, 1.0], "<i>MI")])
    assert "<b>" not in chart
    assert "<i>" not in chart
