"""Whether the fixed object comes to lie on the moving one."""

import pytest
import torch
from phantoms import field_of_view, phantom

from inforeg.image import Image
from inforeg.methods.landing import landing
from inforeg.methods.pair import prepare_pair
from inforeg.transforms import Linear


def shifted(ndim: int, by_mm: float) -> Linear:
    return Linear.translation(torch.tensor([by_mm] + [0.0] * (ndim - 1), dtype=torch.float64))


@pytest.mark.parametrize(("ndim", "spacing_mm"), [(2, 2.0), (3, 5.0)])
def test_less_of_an_object_lies_on_the_other_the_further_it_is_moved(ndim: int, spacing_mm: float) -> None:
    grid = field_of_view(ndim, spacing_mm)
    pair = prepare_pair(phantom(grid), phantom(grid, "t2", seed=5), None, None)
    radius = pair.fixed_view.object.radius_mm
    found = [landing(pair, shifted(ndim, share * radius)) for share in (0.0, 0.3, 1.0, 3.0)]
    assert found[0] > 0.95 and found == sorted(found, reverse=True)
    assert found[1] > 0.7 and found[2] < 0.6 and found[3] == 0


def test_a_small_object_lies_wholly_on_a_large_one_and_the_other_way_round() -> None:
    grid = field_of_view(2, 2.0)
    whole = phantom(grid)
    left = Image((grid.points_mm()[:, 0] < -20).reshape(1, 1, *grid.shape).float(), grid)
    for masks in ((left, None), (None, left)):
        pair = prepare_pair(whole, whole, *masks)
        assert landing(pair, Linear.identity(2)) > 0.95
        # The small one is carried off to the other's rim, and half beyond it.
        assert landing(pair, shifted(2, -60.0 if masks[0] is not None else 60.0)) < 0.6
