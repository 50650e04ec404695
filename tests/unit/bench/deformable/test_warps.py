from functools import lru_cache

import pytest
import torch

from inforeg.bench.deformable.warps import SIGMA_MM, Warp, flow, random_warp, regular, spread, warped
from inforeg.bench.drmime.changes import generator_for
from inforeg.evaluate import inverse_error_mm, jacobian_determinants
from inforeg.image import Image
from inforeg.space import Grid
from inforeg.transforms import Linear


def frame() -> Grid:
    return Grid.from_spacing((36, 34, 30), 2.0)


def brain(grid: Grid) -> torch.Tensor:
    """Which voxels of a grid are looked at."""
    return (grid.points_mm().norm(dim=1) < 24).reshape(grid.shape)


@lru_cache
def made(amplitude_mm: float, number: int) -> Warp:
    grid = frame()
    where = grid.points_mm()[brain(grid).reshape(-1)]
    return random_warp(grid, where, amplitude_mm, generator_for("warp", number))


@pytest.mark.parametrize("amplitude_mm", [2.0, 8.0])
def test_the_amplitude_is_the_95th_percentile_in_the_brain(amplitude_mm):
    lengths = made(amplitude_mm, 0).on(frame()).vectors[:, brain(frame())].norm(dim=0)
    assert float(lengths.quantile(0.95)) == pytest.approx(amplitude_mm, rel=0.01)
    assert 0.3 < float(lengths.mean()) / amplitude_mm < 0.8


@pytest.mark.parametrize("amplitude_mm", [2.0, 8.0])
def test_there_and_back_is_where_it_was_and_nothing_folds(amplitude_mm):
    warp = made(amplitude_mm, 1)
    # Fields are linear between voxel centres, which at 1 mm costs more than the flow is off: half a millimetre, a slab.
    fine = regular(frame(), 0.5, margin_mm=7.0)
    fields = warp.on(fine), warp.inverse_on(fine)
    some = brain(fine)
    some[: fine.shape[0] // 2 - 2] = some[fine.shape[0] // 2 + 2 :] = False
    for first, then in (fields, fields[::-1]):
        assert float(inverse_error_mm(first, then, fine, some).max()) < 0.02
    determinants = jacobian_determinants(warp.on(frame()), frame())
    assert 0.05 < float(determinants.min()) < 1 < float(determinants.max())


def test_the_same_words_give_the_same_warp_and_others_another():
    first, again, other = made(2.0, 1), made.__wrapped__(2.0, 1), made(2.0, 0)
    assert torch.equal(first.there, again.there) and torch.equal(first.back, again.back)
    assert not torch.allclose(first.there, other.there, atol=0.1)


def test_a_field_is_the_same_however_finely_it_is_asked_for():
    warp, odd = made(8.0, 1), Grid.from_spacing((19, 19, 19), 3.0)
    coarse, fine = warp.on(odd), warp.on(Grid.from_spacing((55, 55, 55), 1.0))
    assert torch.allclose(coarse.vectors, fine.vectors[:, ::3, ::3, ::3], atol=1e-5)


def test_a_flow_in_a_turning_velocity_turns():
    nodes = Grid.from_spacing((21, 21, 21), 4.0)
    x = nodes.points_mm()
    angle = 0.5
    spin = angle * torch.stack((-x[:, 1], x[:, 0], torch.zeros(len(x))), dim=1)
    velocity = Image(spin.T.reshape(1, 3, *nodes.shape), nodes)
    points = torch.tensor([[20.0, 0.0, 3.0], [-5.0, 12.0, 0.0]], dtype=torch.float64)
    matrix = torch.eye(3, dtype=torch.float64)
    turn = torch.tensor(angle, dtype=torch.float64)
    matrix[0, 0] = matrix[1, 1] = turn.cos()
    matrix[1, 0], matrix[0, 1] = turn.sin(), -turn.sin()
    assert float((flow(velocity, points) - points @ matrix.T).norm(dim=1).max()) < 1e-4


def test_vectors_are_spread_by_splines_and_not_by_lines():
    lattice, grid = Grid.from_spacing((12, 11, 10), 4.0), Grid.from_spacing((30, 25, 24), 1.0)

    def wave(points: torch.Tensor) -> torch.Tensor:
        return torch.stack([(points @ torch.ones(3).double() / 20 + k).sin() for k in range(3)])

    field = spread(wave(lattice.points_mm()).reshape(3, *lattice.shape), lattice, grid)
    assert float((field.vectors.reshape(3, -1) - wave(grid.points_mm())).abs().max()) < 2e-4


def test_an_image_is_warped_as_a_whole_though_only_its_head_is_computed():
    grid = frame()
    inside = grid.points_mm().norm(dim=1).reshape(1, 1, *grid.shape) < 15
    values = torch.where(inside, torch.rand((1, 1, *grid.shape), generator=generator_for("values")), 0.0)
    image = Image(values, grid)
    shift = Linear.translation(torch.tensor([2.0, -4.0, 6.0], dtype=torch.float64))
    moved = warped(image, grid, lambda _part: shift)
    expected = torch.zeros_like(values)
    expected[:, :, :-1, 2:, :-3] = values[:, :, 1:, :-2, 3:]
    assert torch.allclose(moved.data, expected, atol=1e-4)


def test_a_regular_grid_keeps_axes_and_middle():
    matrix = torch.tensor(
        [[0.0, -1.0, 0, 5], [0.9, 0, 0, -3], [0, 0, 1.2, 7], [0, 0, 0, 1]], dtype=torch.float64
    )
    grid = Grid((30, 41, 22), matrix)
    other = regular(grid, 3.0, margin_mm=6.0)
    assert torch.allclose(other.centre_mm, grid.centre_mm) and torch.allclose(
        other.spacing_mm, torch.tensor(3.0, dtype=torch.float64)
    )
    # 27, 41 and 26.4 mm long.
    assert other.shape == (13, 18, 13)
    assert 2 * float(other.spacing_mm.max()) < SIGMA_MM
