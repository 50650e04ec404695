import math

import pytest
import torch
from strategies import points

from inforeg.errors import UsageError
from inforeg.evaluate import naed, rtre
from inforeg.space import Grid
from inforeg.transforms import Linear


def picture() -> Grid:
    """40 wide and 30 high in mm, in pixels of 0.5 by 2 mm, laid as pictures are: left and down."""
    matrix = torch.tensor([[-0.5, 0, 100], [0, -2.0, -7], [0, 0, 1]], dtype=torch.float64)
    return Grid((80, 15), matrix)


def test_errors_by_hand() -> None:
    fixed = torch.tensor([[0.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    moving = fixed + torch.tensor([[4.0, 0.0], [-8.0, 6.0]], dtype=torch.float64)
    # 4 of 40; 8 of 40 and 6 of 30.
    expected = [0.1, math.hypot(0.2, 0.2)]
    assert naed(None, fixed, moving, picture()).tolist() == pytest.approx(expected)
    # The diagonal is 50 mm long.
    assert rtre(None, fixed, moving, picture()).tolist() == pytest.approx([4 / 50, 10 / 50])


def test_fixed_points_go_through_the_transform() -> None:
    shift = Linear.translation(torch.tensor([4.0, 0.0], dtype=torch.float64))
    fixed = points(2)
    assert float(naed(shift, fixed, shift(fixed), picture()).max()) < 1e-12
    assert float(rtre(shift, fixed, shift(fixed), picture()).max()) < 1e-12
    assert naed(shift, fixed, fixed, picture()).tolist() == pytest.approx([0.1] * 40)
    # The error is that of where points land: a transform that doubles, doubles it.
    double = Linear(torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64)))
    assert naed(double @ shift, fixed, double(fixed), picture()).tolist() == pytest.approx([0.2] * 40)


def test_a_volume_is_divided_by_its_three_lengths() -> None:
    grid = Grid.from_spacing((10, 20, 40), (1.0, 2.0, 0.5))
    fixed = points(3).float()
    moving = fixed + torch.tensor([1.0, 4.0, 2.0])
    assert naed(None, fixed, moving, grid).tolist() == pytest.approx([0.1 * math.sqrt(3)] * 40, rel=1e-5)
    assert rtre(None, fixed, moving, grid).tolist() == pytest.approx(
        [math.sqrt(21 / (10**2 + 40**2 + 20**2))] * 40, rel=1e-5
    )


@pytest.mark.parametrize("measure", [naed, rtre])
def test_points_that_do_not_fit_are_refused(measure) -> None:
    with pytest.raises(UsageError, match="expected points of 2 coordinates, got 3"):
        measure(None, points(3), points(3), picture())
    with pytest.raises(UsageError, match="expected points of 2 coordinates, got 3"):
        measure(None, points(2), points(3), picture())
    with pytest.raises(UsageError, match="as many"):
        measure(None, points(2), points(2, 7), picture())
    with pytest.raises(UsageError, match=r"3 coordinates|3-D"):
        measure(Linear.identity(3), points(2), points(2), picture())
