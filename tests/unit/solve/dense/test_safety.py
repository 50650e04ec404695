"""Folds are found where there are any, and fields are given back without."""

from itertools import product

import pytest
import torch
from torch import Tensor

from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.safety import (
    largest_inverse_error_mm,
    made_safe,
    smallest_determinant,
    with_room,
)
from inforeg.space import Grid
from inforeg.transforms import Velocity
from inforeg.transforms.velocity import exponential

APART_MM = 4.0
SHAPES = {2: (12, 10), 3: (8, 7, 9)}


def lattice(ndim: int) -> Lattice:
    return Lattice(Grid.from_spacing(SHAPES[ndim], APART_MM), torch.eye(ndim, dtype=torch.float64))


def noise(ndim: int, size_mm: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size_mm * torch.randn(ndim, *SHAPES[ndim], generator=generator)


def smooth(ndim: int, size_mm: float) -> Tensor:
    """One slow wave, still at the rim."""
    lines = [torch.sin(torch.pi * torch.linspace(0, 1, n)) for n in SHAPES[ndim]]
    bump = lines[0].reshape(-1, *[1] * (ndim - 1))
    for axis in range(1, ndim):
        bump = bump * lines[axis].reshape(-1, *[1] * (ndim - 1 - axis))
    return size_mm * torch.stack([bump, -0.5 * bump, 0.8 * bump][:ndim])


def by_points(displacement: Tensor, spacing_mm: float, per_cell: int = 5) -> float:
    """The least determinant of the multilinear field at many places of every cell, derived by hand."""
    d = displacement.ndim - 1
    shape = displacement.shape[1:]
    corners = {
        corner: displacement[
            (slice(None), *(slice(c, c + n - 1) for c, n in zip(corner, shape, strict=True)))
        ].double()
        for corner in product((0, 1), repeat=d)
    }
    least = float("inf")
    for place in product(torch.linspace(0, 1, per_cell).tolist(), repeat=d):
        columns = []
        for axis in range(d):
            total = torch.zeros(())
            for corner, values in corners.items():
                weight = 1.0 if corner[axis] else -1.0
                for other in range(d):
                    if other != axis:
                        weight *= place[other] if corner[other] else 1 - place[other]
                total = total + weight * values
            columns.append(total / spacing_mm)
        jacobian = torch.stack(columns, dim=1).movedim((0, 1), (-2, -1)) + torch.eye(d)
        least = min(least, float(torch.linalg.det(jacobian).min()))
    return least


@pytest.mark.parametrize("ndim", [2, 3])
def test_of_an_affine_field_it_is_the_matrix_determinant(ndim: int) -> None:
    generator = torch.Generator().manual_seed(4)
    for _ in range(5):
        matrix = 0.4 * torch.randn(ndim, ndim, generator=generator, dtype=torch.float64)
        points = lattice(ndim).grid.points_mm()
        field = (points @ matrix.T).T.reshape(ndim, *SHAPES[ndim])
        wanted = float(torch.linalg.det(matrix + torch.eye(ndim)))
        assert smallest_determinant(field, APART_MM) == pytest.approx(wanted, abs=1e-10)


def test_of_nothing_it_is_one() -> None:
    for ndim in (2, 3):
        assert smallest_determinant(torch.zeros(ndim, *SHAPES[ndim]), APART_MM) == 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_one_node_past_its_neighbour_is_a_fold(ndim: int) -> None:
    for place in product(*[(0, n // 2, n - 1) for n in SHAPES[ndim]]):
        field = torch.zeros(ndim, *SHAPES[ndim])
        field[(0, *place)] = 0.9 * APART_MM * (-1 if place[0] else 1)
        assert smallest_determinant(field, APART_MM) == pytest.approx(0.1, abs=1e-6)
        field[(0, *place)] *= 1.2 / 0.9
        assert smallest_determinant(field, APART_MM) == pytest.approx(-0.2, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_in_two_dimensions_nothing_inside_a_cell_is_less(seed: int) -> None:
    field = noise(2, 1.0, seed)
    at_corners, inside = smallest_determinant(field, APART_MM), by_points(field, APART_MM)
    assert inside == pytest.approx(at_corners, abs=1e-5)


@pytest.mark.parametrize("seed", range(2))
def test_in_three_dimensions_little_inside_a_cell_is_less(seed: int) -> None:
    """There derivatives of edges that do not meet multiply too; what is called safe has a margin for that."""
    field = noise(3, 0.55, seed)
    at_corners, inside = smallest_determinant(field, APART_MM), by_points(field, APART_MM)
    assert at_corners - 0.05 < inside <= at_corners + 1e-5


def test_a_slice_has_no_extent_to_fold_along() -> None:
    field = torch.zeros(3, 6, 1, 5)
    field[0, 3] = -1.3 * APART_MM
    assert smallest_determinant(field, APART_MM) == pytest.approx(-0.3, abs=1e-6)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_inverse_error_is_what_is_left_of_there_and_back(ndim: int) -> None:
    on, vectors = lattice(ndim), smooth(ndim, 5.0)
    found = largest_inverse_error_mm(vectors, on)
    there, back = Velocity(vectors, on.grid), Velocity(-vectors, on.grid)
    points = on.grid.points_mm()
    ways = [(second(first(points)) - points).norm(dim=1) for first, second in ((there, back), (back, there))]
    # What leaves the grid there takes the edge's vector here, and none there.
    clear = (points.abs() < on.grid.extent_mm / 2 - APART_MM).all(1)
    assert found >= max(float(way[clear].max()) for way in ways) - 1e-5
    assert 0 < found < 0.5
    assert largest_inverse_error_mm(torch.zeros_like(vectors), on) == 0


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_safe_comes_back_untouched(ndim: int) -> None:
    vectors, on = smooth(ndim, 3.0), lattice(ndim)
    found, there, notes = made_safe(vectors, on, 0.5)
    assert found is vectors and there is on and notes == []


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("size_mm", [3.0, 12.0])
def test_what_folds_comes_back_without_folds_and_with_a_note(ndim: int, size_mm: float) -> None:
    vectors, on, most_mm = noise(ndim, size_mm), lattice(ndim), 0.3
    given = vectors.clone()
    assert smallest_determinant(exponential(vectors[None], on.local)[0], APART_MM) < 0.05
    found, there, notes = made_safe(vectors, on, most_mm)
    assert torch.equal(vectors, given)
    assert there.spacing_mm == APART_MM / 2
    for way in (found, -found):
        moved = exponential(way[None], there.local)[0]
        assert smallest_determinant(moved, there.spacing_mm) > 0
        assert by_points(moved, there.spacing_mm, 3) > 0
    assert largest_inverse_error_mm(found, there) <= most_mm
    # Not by giving up: a fair share is left.
    assert float(found.norm(dim=0).mean()) > 0.1 * min(size_mm, APART_MM)
    (note,) = notes
    assert "smoothed" in note and "0.3 mm" in note and "\n" not in note


def test_the_inverse_error_is_also_that_of_the_middle_of_cells() -> None:
    """Mostly nodes fare worst, but not in every field."""
    on = Lattice.over(Grid.from_spacing((14, 14), APART_MM), APART_MM)
    vectors = torch.zeros(2, *on.grid.shape)
    vectors[:, 6:9, 6:9] = 3 * torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(28))
    ways = Velocity(vectors, on.grid), Velocity(-vectors, on.grid)

    def left_mm(points: Tensor) -> float:
        return max(
            float((second(first(points)) - points).norm(dim=1).max())
            for first, second in (ways, reversed(ways))
        )

    nodes = on.grid.points_mm()
    at_nodes, between = left_mm(nodes), left_mm(nodes + APART_MM / 2)
    assert between > 1.2 * at_nodes
    assert largest_inverse_error_mm(vectors, on) == pytest.approx(between, rel=1e-4)


@pytest.mark.parametrize("ndim", [2, 3])
def test_folds_alone_are_enough_to_back_off(ndim: int) -> None:
    """Whatever is allowed of the inverse."""
    vectors, on = noise(ndim, 6.0), lattice(ndim)
    finer = on.halved()
    assert smallest_determinant(exponential(on.moved_to(finer, vectors)[None], finer.local)[0], 2.0) < 0
    found, there, notes = made_safe(vectors, on, 1e6)
    for way in (found, -found):
        assert smallest_determinant(exponential(way[None], there.local)[0], there.spacing_mm) > 0
    assert len(notes) == 1


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_lies_far_from_a_fold_is_left_alone(ndim: int) -> None:
    """One node that folds costs nothing at the other end of the field of view."""
    on = Lattice.over(Grid.from_spacing((40,) * ndim, APART_MM), APART_MM)
    vectors = torch.zeros(ndim, *on.grid.shape)
    x = torch.arange(on.grid.shape[0]).reshape(-1, *[1] * (ndim - 1)) * APART_MM
    vectors[1] = 2 * torch.sin(x / 20)
    vectors[(0, *[8] * ndim)] = 5 * APART_MM
    found, there, notes = made_safe(vectors, on, 0.5)
    assert len(notes) == 1
    away = (found - on.moved_to(there, vectors)).norm(dim=0)
    far = tuple([slice(60, None)] * ndim)
    assert float(away.max()) > APART_MM and float(away[far].max()) < 1e-6
    for way in (found, -found):
        assert smallest_determinant(exponential(way[None], there.local)[0], there.spacing_mm) > 0


@pytest.mark.parametrize("ndim", [2, 3])
def test_where_finer_nodes_are_enough_nothing_is_smoothed(ndim: int) -> None:
    """The same field, on nodes half as far apart, has an inverse that is more exact; there is nothing to tell."""
    vectors, on = smooth(ndim, 9.0), lattice(ndim)
    error_mm = largest_inverse_error_mm(vectors, on)
    finer = on.halved()
    better_mm = largest_inverse_error_mm(on.moved_to(finer, vectors), finer)
    assert better_mm < 0.9 * error_mm
    found, there, notes = made_safe(vectors, on, 0.5 * (error_mm + better_mm))
    assert notes == [] and there.spacing_mm == finer.spacing_mm
    assert torch.equal(found, on.moved_to(finer, vectors))


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_carried_past_the_rim_finds_its_way_back(ndim: int) -> None:
    """Everything moves by 13 mm along the first axis, and back; beyond a field's faces nothing would."""
    grid = Grid.from_spacing((20,) * ndim, 2.0)
    narrow = Lattice.over(grid, 4.0)
    vectors = torch.zeros(ndim, *narrow.grid.shape)
    vectors[0] = 13.0
    points = grid.points_mm()

    def lost(field: torch.Tensor, lattice: Lattice) -> float:
        velocity = Velocity(lattice.to_world(field), lattice.grid)
        return float((velocity.inverse()(velocity(points)) - points).norm(dim=1).max())

    assert lost(vectors, narrow) > 10
    wide = with_room(vectors, narrow)
    assert lost(*wide) < 1e-4
    inside = wide[1].moved_to(narrow, wide[0])
    assert torch.allclose(inside, vectors, atol=1e-5)
    # What stays inside needs no room.
    vectors[0] = 0.5
    assert with_room(vectors, narrow)[1] is narrow
