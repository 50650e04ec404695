import pytest

from inforeg.methods import Quality
from inforeg.methods.judge import judge, on_peak

GOOD = {
    "information": 0.8,
    "before": 0.02,
    "chance": 0.01,
    "kept": 1.0,
    "overlap": 0.9,
    "margin": 0.5,
    "precision_mm": 0.05,
    "status": "converged",
    "spacing_mm": 1.0,
}


def verdict(**changes: object) -> Quality:
    return judge(**{**GOOD, **changes})  # type: ignore[arg-type]


def test_nothing_to_object_to() -> None:
    found = verdict()
    assert (found.verdict, found.reasons) == ("good", [])
    assert (found.information, found.information_before, found.overlap) == (0.8, 0.02, 0.9)
    assert (found.margin, found.precision_mm) == (0.5, 0.05)


@pytest.mark.parametrize(
    ("changes", "expected", "said"),
    [
        ({"status": "diverged"}, "failed", "diverged"),
        ({"status": "no_overlap"}, "failed", "no overlap"),
        ({"information": 0.004}, "failed", "0.004 nats"),
        ({"information": 0.25, "chance": 0.24}, "failed", "expected over 0.260"),
        ({"status": "steps"}, "check", "ran out of steps"),
        ({"overlap": 0.11}, "check", "11 %"),
        ({"margin": 0.03}, "check", "97 %"),
        ({"aside": 0.75}, "check", "0.750 of 0.800 nats"),
        ({"aside": 0.82}, "check", "lighting and not structure"),
        ({"aside": 0.015, "information": 0.031}, "check", "0.015 of 0.031 nats"),
        ({"before": 0.9}, "check", "0.900 and 0.800 nats"),
        ({"landed": 0.51}, "check", "only 51 %"),
        ({"precision_mm": 0.7}, "check", "0.7 mm"),
        ({"precision_mm": 0.07, "spacing_mm": 0.1}, "check", "0.07 mm"),
    ],
)
def test_every_rule_is_one_sentence_with_its_number(
    changes: dict[str, object], expected: str, said: str
) -> None:
    found = verdict(**changes)
    assert found.verdict == expected
    assert len(found.reasons) == 1
    assert said in found.reasons[0]


def test_what_was_not_searched_for_has_no_margin_to_object_to() -> None:
    assert verdict(margin=None).verdict == "good"


def test_the_worst_rule_gives_the_verdict_and_all_give_reasons() -> None:
    found = verdict(margin=0.01, overlap=0.05, information=0.001)
    assert found.verdict == "failed"
    assert len(found.reasons) == 3


@pytest.mark.parametrize("aside", [None, 0.0, 0.5])
def test_what_is_told_a_few_voxels_aside_may_be_little_or_not_measured(aside: float | None) -> None:
    assert verdict(aside=aside).verdict == "good"


def test_a_peak_stands_out_of_its_surroundings_and_of_noise() -> None:
    assert on_peak(0.8, 0.4)
    assert not on_peak(0.8, 0.78)
    assert not on_peak(0.01, 0.0)
    assert not on_peak(0.0, 0.0)
