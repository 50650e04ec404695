import pytest
import torch

from inforeg.bench.drmime.curves import (
    MOST_MOMENTS,
    Curve,
    comparison,
    curve_of,
    middle,
    read_curves,
    write_curves,
)
from inforeg.bench.drmime.sets import SETS
from inforeg.transforms import Linear


def curve(seconds: list[float], naed: list[float], method: str = "drmime", case: str = "a-00") -> Curve:
    return Curve("a", case, method, seconds, naed)


def test_an_error_holds_from_its_moment_on():
    one = curve([1.0, 2.0, 4.0], [0.5, 0.2, 0.1])
    assert [one.at(t) for t in (0.5, 1.0, 1.9, 2.0, 3.9, 4.0, 99.0)] == [0.5, 0.5, 0.5, 0.2, 0.2, 0.1, 0.1]


def test_an_error_is_reached_when_it_stays_reached():
    one = curve([1.0, 2.0, 3.0, 4.0], [0.5, 0.1, 0.3, 0.1])
    assert one.reaches(0.5) == 1.0
    assert one.reaches(0.3) == 2.0
    assert one.reaches(0.1) == 4.0
    assert one.reaches(0.05) is None


def test_steps_are_spread_evenly_over_the_seconds(data):
    case = SETS["slices"].case(0, 0, data, 40)

    def aside(mm: float) -> Linear:
        return Linear.translation(torch.tensor([mm, 0.0], dtype=torch.float64)) @ case.truth

    found = curve_of(case, "drmime", [aside(4.0), aside(2.0), aside(1.0), case.truth], 8.0)
    assert found.seconds == [2.0, 4.0, 6.0, 8.0]
    length = float(case.frame.extent_mm[0])
    assert found.naed == pytest.approx([4 / length, 2 / length, 1 / length, 0.0], abs=1e-12)
    assert (found.set, found.case, found.method) == ("slices", "slices-00", "drmime")
    long = curve_of(case, "drmime", [case.truth] * 2000, 10.0)
    assert 60 < len(long.seconds) <= MOST_MOMENTS
    assert long.seconds[0] == pytest.approx(10 / 2000) and long.seconds[-1] == pytest.approx(10.0)
    alone = curve_of(case, "linear", [case.truth], 3.0)
    assert (alone.seconds, alone.naed) == ([3.0], [pytest.approx(0.0, abs=1e-12)])


def test_the_middle_of_some_cases():
    curves = [
        curve([1.0, 10.0], [0.9, 0.1]),
        curve([1.0, 10.0], [0.5, 0.3], case="a-01"),
        curve([2.0, 20.0], [0.7, 0.2], case="a-02"),
    ]
    times, errors = middle(curves, moments=3)
    assert times == pytest.approx([1.0, 10**0.5, 10.0])
    assert errors == [0.7, 0.7, 0.2]
    assert middle([curve([3.0], [0.4])]) == ([3.0], [0.4])


def test_the_time_to_the_published_forms_error_by_hand():
    curves = [
        curve([1.0, 50.0, 100.0], [0.5, 0.1, 0.1], "drmime-paper"),
        curve([1.0, 5.0], [0.5, 0.01], "drmime"),
        curve([1.0, 100.0], [0.5, 0.1], "drmime-paper", "a-01"),
        curve([1.0, 5.0], [0.5, 0.2], "drmime", "a-01"),
        curve([1.0, 100.0], [0.5, 0.1], "drmime-paper", "a-02"),
        curve([1.0, 20.0], [0.5, 0.05], "drmime", "a-02"),
        curve([1.0], [0.5], "drmime", "a-03"),
    ]
    # 5 of 50, never, 20 of 100; of the whole runs 5 of 100, never, 20 of 100.
    said = comparison(curves)
    assert "in 2 of 3 cases, in 0.200 of the time" in said and "0.200 of its whole run" in said
    assert comparison(curves[:1]) == ""


def test_curves_come_back_from_their_table(tmp_path):
    path = tmp_path / "curves-a.csv"
    assert read_curves(path) == []
    curves = [curve([1.0, 2.5], [0.5, 0.25]), curve([0.125], [0.0625], "mmi", "a-01")]
    write_curves(path, curves)
    assert read_curves(path) == curves
    assert path.read_text(encoding="utf-8").startswith("set,case,method,seconds,naed\n")
