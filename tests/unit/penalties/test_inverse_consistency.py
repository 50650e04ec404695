import pytest
import torch

from inforeg.penalties import inverse_consistency
from inforeg.space import Grid
from inforeg.transforms import Displacement


def random(*shape, seed=0, **options):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), **options)


GRIDS = {
    "2-D": Grid.from_spacing((9, 12), (0.8, 2.5)),
    "3-D": Grid.from_spacing((8, 7, 9), (1.5, 0.7, 3.0)),
}
on_every_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


@on_every_grid
def test_a_translation_and_its_negative_are_consistent_also_at_the_border(grid):
    shift = random(1, grid.ndim, *[1] * grid.ndim).expand(1, grid.ndim, *grid.shape)
    assert float(inverse_consistency(shift, -shift, grid)) < 1e-10
    # Not undone, each point misses its start by the shift twice.
    expected = 4 * float(shift[0].square().sum(dim=0).mean())
    assert float(inverse_consistency(shift, shift, grid)) == pytest.approx(expected, rel=1e-5)


@on_every_grid
def test_linear_fields_and_their_inverses_are_consistent(grid):
    d = grid.ndim
    matrix = torch.eye(d, dtype=torch.float64) + 0.1 * random(d, d, dtype=torch.float64)

    def field(m, g):
        moved = g.points_mm() @ (m - torch.eye(d, dtype=torch.float64)).T
        return moved.T.reshape(1, d, *g.shape).float()

    # Large enough to hold wherever the points of the first are taken.
    wide = Grid.from_spacing([2 * n for n in grid.shape], [1.3 * s for s in grid.spacing_mm.tolist()])
    there, back = field(matrix, grid), field(torch.linalg.inv(matrix), wide)
    assert float(inverse_consistency(there, back, grid, wide)) < 1e-9
    assert float(inverse_consistency(there, -back, grid, wide)) > 0.1


@on_every_grid
def test_inside_the_field_it_is_what_the_transforms_do(grid):
    there, back = 0.3 * random(2, 1, grid.ndim, *grid.shape)
    # Nothing moves near the faces, so no point leaves.
    mask = torch.zeros(grid.shape)
    mask[(slice(2, -2),) * grid.ndim] = 1
    there, back = there * mask, back * mask
    points = grid.points_mm()
    home = Displacement(back[0], grid)(Displacement(there[0], grid)(points))
    expected = float((home - points).square().sum(dim=-1).mean())
    assert float(inverse_consistency(there, back, grid)) == pytest.approx(expected, rel=1e-4)


@on_every_grid
def test_the_gradient_is_that_of_finite_differences_through_both_fields(grid):
    # Small steps inside the cells: the slope of linear interpolation jumps at their walls.
    there, back = 0.2 + 0.1 * random(2, 1, grid.ndim, *grid.shape).clamp(-1, 1)
    inputs = [there.requires_grad_(), back.requires_grad_()]
    slopes = torch.autograd.grad(inverse_consistency(*inputs, grid), inputs)
    for which in (0, 1):
        direction = random(*there.shape, seed=7)
        ends = []
        for sign in (1, -1):
            moved = [x.detach() for x in inputs]
            moved[which] = moved[which] + sign * 1e-2 * direction
            ends.append(inverse_consistency(*moved, grid).double())
        expected = float(ends[0] - ends[1]) / 2e-2
        assert float((slopes[which] * direction).sum()) == pytest.approx(expected, rel=2e-3)


def test_a_batch_costs_the_mean():
    grid = GRIDS["2-D"]
    there, back = random(2, 3, 2, *grid.shape)
    singles = [inverse_consistency(there[i : i + 1], back[i : i + 1], grid) for i in range(3)]
    torch.testing.assert_close(inverse_consistency(there, back, grid), torch.stack(singles).mean())
