import math

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.evaluate import dice
from inforeg.image import Labels
from inforeg.space import Grid


def labels(values: list[int], spacing: float = 1.0) -> Labels:
    return Labels(torch.tensor(values).reshape(1, 1, 1, -1), Grid.from_spacing((1, len(values)), spacing))


@pytest.mark.parametrize("offset", [0, -500, 614454277, 2**40])
def test_dice_of_each_label_whatever_its_id(offset: int) -> None:
    one, two, three = 1 + offset, 2 + offset, 3 + offset
    scores = dice(labels([0, one, one, two, two, two]), labels([0, one, two, two, two, three]))
    assert scores == {one: pytest.approx(2 / 3), two: pytest.approx(4 / 6), three: 0.0}


def test_the_background_is_left_out_unless_asked_for() -> None:
    a = labels([0, 0, 1])
    assert dice(a, a) == {1: 1.0}
    assert dice(a, a, background=None) == {0: 1.0, 1: 1.0}
    assert dice(a, a, background=1) == {0: 1.0}


def test_a_label_in_neither_map_has_no_score() -> None:
    a = labels([0, 1, 1])
    scores = dice(a, a, labels=[1, 2, 10**12])
    assert scores[1] == 1.0
    assert math.isnan(scores[2])
    assert math.isnan(scores[10**12])
    assert dice(labels([0, 0]), labels([0, 0])) == {}


def test_maps_on_different_grids_are_refused() -> None:
    with pytest.raises(UsageError, match="one grid"):
        dice(labels([0, 1]), labels([0, 1], spacing=2.0))
    with pytest.raises(UsageError, match="one grid"):
        dice(labels([0, 1]), labels([0, 1, 1]))
