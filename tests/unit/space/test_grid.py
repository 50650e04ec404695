import pytest
import torch
from hypothesis import given, settings
from strategies import GridNumbers, grids

from inforeg.errors import ReadError
from inforeg.space import Grid

EYE = torch.eye(4, dtype=torch.float64)


@pytest.mark.parametrize(
    ("shape", "matrix", "expected"),
    [
        ((4,), torch.eye(2), "2 or 3 axes"),
        ((4, 4, 4, 4), torch.eye(5), "2 or 3 axes"),
        ((4, 0, 4), EYE, "at least one voxel"),
        ((4, 4), EYE, "3x3"),
        ((4, 4, 4), EYE * float("nan"), "NaN"),
        ((4, 4, 4), EYE * torch.tensor([1.0, 1, 0, 1]), "singular"),
        (
            (4, 4, 4),
            EYE + torch.tensor([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
            "singular",
        ),
    ],
)
def test_what_is_no_grid_is_refused(shape: tuple[int, ...], matrix: torch.Tensor, expected: str) -> None:
    with pytest.raises(ReadError, match=expected):
        Grid(shape, matrix)


def test_a_grid_keeps_its_own_matrix_in_double() -> None:
    matrix = torch.eye(4)
    grid = Grid((2, 3, 4), matrix)
    matrix[0, 0] = 9
    assert grid.voxel_to_world.dtype == torch.float64
    assert torch.equal(grid.voxel_to_world, EYE)


def test_centre_extent_and_corners() -> None:
    grid = Grid.from_spacing((3, 4, 5), (1.0, 2.0, 0.5))
    assert grid.centre_mm.tolist() == [0.0, 0.0, 0.0]
    assert grid.extent_mm.tolist() == [3.0, 8.0, 2.5]
    assert grid.corners_mm().amax(0).tolist() == [1.5, 4.0, 1.25]
    assert grid.voxel_count == 60
    assert repr(grid) == "Grid(3x4x5, (1, 2, 0.5) mm, centre (0, 0, 0) mm)"


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_come_in_the_order_of_a_flattened_image(ndim: int) -> None:
    grid = Grid.from_spacing((2, 3, 4)[:ndim])
    index = grid.to_voxel(grid.points_mm())
    flat = torch.arange(grid.voxel_count).reshape(grid.shape)
    for n, position in enumerate(index.round().long().tolist()):
        assert int(flat[tuple(position)]) == n


@given(grids(3))
@settings(max_examples=30)
def test_voxel_and_world_undo_each_other(numbers: GridNumbers) -> None:
    grid = numbers.grid()
    index = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 10
    assert torch.allclose(grid.to_voxel(grid.to_world(index)), index, atol=1e-8)
    assert grid.same_as(Grid(grid.shape, grid.voxel_to_world))
    assert torch.allclose(grid.corners_mm().mean(0), grid.centre_mm)


def test_same_as_is_about_shape_and_place() -> None:
    grid = Grid.from_spacing((3, 4, 5))
    moved = grid.voxel_to_world.clone()
    moved[0, 3] += 1e-3
    assert not grid.same_as(Grid((3, 4, 5), moved))
    assert grid.same_as(Grid((3, 4, 5), moved), tolerance_mm=1e-2)
    assert not grid.same_as(Grid((3, 4, 6), grid.voxel_to_world))
