"""What is true of every penalty of one field, in 2-D and in 3-D."""

from math import pi

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.penalties import PENALTIES
from inforeg.space import Grid

GRIDS = {
    "2-D": Grid.from_spacing((7, 9), (0.8, 2.5)),
    "3-D": Grid.from_spacing((5, 6, 7), (1.5, 0.7, 3.0)),
    "oblique": Grid(
        (6, 5), torch.tensor([[1.2, -0.9, 5.0], [1.6, 0.675, -3.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    ),
}
every_penalty = pytest.mark.parametrize("name", PENALTIES)
on_every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def random(grid, batch=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, grid.ndim, *grid.shape, generator=generator, dtype=torch.float64)


def waves(grid, lengths_mm):
    """A smooth field of whole waves along every axis of the world."""
    phase = sum(2 * pi * x / length for x, length in zip(grid.points_mm().T, lengths_mm, strict=True))
    parts = [torch.sin(phase + axis) for axis in range(grid.ndim)]
    return torch.stack(parts).reshape(1, grid.ndim, *grid.shape)


@every_penalty
@on_every_grid
def test_a_translation_is_free_and_anything_rough_is_not(name, grid):
    penalty = PENALTIES[name]
    constant = torch.full((1, grid.ndim, *grid.shape), 37.0, dtype=torch.float64)
    assert float(penalty(constant, grid)) == 0
    field = random(grid)
    assert float(penalty(field, grid)) > 0
    torch.testing.assert_close(penalty(field + constant, grid), penalty(field, grid))


@every_penalty
@on_every_grid
def test_it_grows_with_the_square_and_has_no_side(name, grid):
    penalty, field = PENALTIES[name], random(grid)
    torch.testing.assert_close(penalty(-3 * field, grid), 9 * penalty(field, grid))
    mirrored = field.flip(*range(2, field.ndim))
    torch.testing.assert_close(penalty(mirrored, grid), penalty(field, grid))


@every_penalty
@on_every_grid
def test_the_gradient_is_that_of_finite_differences(name, grid):
    field = random(grid).requires_grad_()
    assert torch.autograd.gradcheck(lambda u: PENALTIES[name](u, grid), field, fast_mode=True)


@every_penalty
def test_a_batch_costs_the_mean(name):
    grid = GRIDS["3-D"]
    field = random(grid, batch=3)
    singles = torch.stack([PENALTIES[name](field[i : i + 1], grid) for i in range(3)])
    torch.testing.assert_close(PENALTIES[name](field, grid), singles.mean())


@every_penalty
@pytest.mark.parametrize("lengths_mm", [(16.0, 24.0), (16.0, 24.0, 48.0)], ids=["2-D", "3-D"])
def test_the_same_field_costs_the_same_on_a_finer_grid_of_any_spacing(name, lengths_mm):
    d = len(lengths_mm)
    values = []
    for spacing in ((1.0, 1.0, 2.0), (0.5, 0.75, 1.5)):
        shape = [round(48 / s) for s in spacing[:d]]
        grid = Grid.from_spacing(shape, spacing[:d])
        values.append(float(PENALTIES[name](waves(grid, lengths_mm), grid)))
    # Differences of a wave of 16 mm over 1 mm are its slope to within 1.3 %.
    assert values[0] == pytest.approx(values[1], rel=0.03)


@every_penalty
def test_axes_of_one_voxel_count_for_nothing(name):
    flat, plane = Grid.from_spacing((6, 1, 5), (1.0, 4.0, 2.0)), Grid.from_spacing((6, 5), (1.0, 2.0))
    field = random(flat)
    field[:, 1] = 0
    expected = PENALTIES[name](field[:, (0, 2), :, 0], plane)
    torch.testing.assert_close(PENALTIES[name](field, flat), expected)


@every_penalty
def test_half_precision_is_computed_in_single(name):
    grid = GRIDS["2-D"]
    field = random(grid).to(torch.bfloat16)
    found = PENALTIES[name](field, grid)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, PENALTIES[name](field.float(), grid))


@every_penalty
@pytest.mark.parametrize("shape", [(1, 2, 7, 8), (1, 3, 7, 9), (2, 7, 9)])
def test_a_field_of_another_grid_is_refused(name, shape):
    with pytest.raises(UsageError, match=rf"{name} expected a field \(batch, 2, 7, 9\) for its grid, got"):
        PENALTIES[name](torch.zeros(shape), GRIDS["2-D"])
