import pytest
import torch
from phantoms import field_of_view, phantom

from inforeg.image import find_foreground
from inforeg.solve.sampler import Stratified, dilate
from inforeg.space import Grid
from inforeg.transforms import Linear


def some(ndim: int = 3, n: int = 6) -> Stratified:
    """All cells of a small grid with voxels that are no cubes."""
    grid = Grid.from_spacing([n] * ndim, [2.0, 3.0, 5.0][:ndim])
    axis = torch.arange(n, dtype=torch.float64)
    return Stratified(grid, torch.cartesian_prod(*[axis] * ndim))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_mask_grows_by_voxels_in_every_direction(ndim: int) -> None:
    mask = torch.zeros([9] * ndim, dtype=torch.bool)
    mask[(4,) * ndim] = True
    for steps in (0, 1, 2):
        grown = dilate(mask, steps)
        assert int(grown.sum()) == (2 * steps + 1) ** ndim
        assert bool(grown[(4 - steps,) * ndim])


@pytest.mark.parametrize("ndim", [2, 3])
def test_every_cell_is_drawn_from_equally_often(ndim: int) -> None:
    sampler = some(ndim)
    n = len(sampler.cells)
    points = sampler.draw(5 * n, generator())
    assert points.shape == (5 * n, ndim)
    assert points.dtype == torch.float64
    cell = torch.floor(sampler.grid.to_voxel(points) + 0.5)
    _, counts = torch.unique(cell, dim=0, return_counts=True)
    assert counts.tolist() == [5] * n
    # In the order of the cells: neighbours lie near each other in memory.
    assert torch.equal(cell, sampler.cells.repeat_interleave(5, dim=0))


def test_positions_are_spread_evenly_within_their_cells() -> None:
    sampler = some(3)
    voxel = sampler.grid.to_voxel(sampler.draw(40 * len(sampler.cells), generator()))
    within = voxel - torch.floor(voxel + 0.5) + 0.5
    assert float(within.min()) >= 0 and float(within.max()) <= 1
    assert torch.allclose(within.mean(0), torch.full((3,), 0.5, dtype=torch.float64), atol=0.01)
    assert torch.allclose(within.var(0), torch.full((3,), 1 / 12, dtype=torch.float64), atol=0.003)


def test_fewer_positions_than_cells_are_in_different_cells() -> None:
    sampler = some(3)
    points = sampler.draw(50, generator())
    cell = torch.floor(sampler.grid.to_voxel(points) + 0.5)
    assert len(torch.unique(cell, dim=0)) == 50
    others = torch.floor(sampler.grid.to_voxel(sampler.draw(50, generator(1))) + 0.5)
    assert not torch.equal(cell, others)


def test_the_same_generator_draws_the_same() -> None:
    sampler = some(3)
    assert torch.equal(sampler.draw(1000, generator(5)), sampler.draw(1000, generator(5)))
    assert not torch.equal(sampler.draw(1000, generator(5)), sampler.draw(1000, generator(6)))
    # Nothing is drawn from, or left in, the global stream.
    before = torch.random.get_rng_state()
    sampler.draw(1000, generator(5))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_object_and_a_rim_around_it_are_covered(ndim: int) -> None:
    image = phantom(field_of_view(ndim, 7.0 if ndim == 3 else 3.0))
    found = find_foreground(image)
    sampler = Stratified.around(found, image, rim=1)
    chosen = torch.zeros(image.grid.shape, dtype=torch.bool)
    chosen[tuple(sampler.cells.long().T)] = True
    assert torch.equal(chosen, dilate(found.mask, 1))
    assert bool(chosen[found.mask].all())
    assert int(chosen.sum()) > int(found.mask.sum())


def test_only_cells_that_land_in_the_field_of_view_are_seen() -> None:
    """Voxels of 2 mm along x, shifted by 6 mm: three of six layers are left, and one more within a margin."""
    sampler = some(3)
    shift = Linear.translation(torch.tensor([6.0, 0.0, 0.0], dtype=torch.float64))
    seen = sampler.seen_by(shift, sampler.grid, 0.0)
    assert sorted(set(seen.cells[:, 0].tolist())) == [0.0, 1.0, 2.0]
    wider = sampler.seen_by(shift, sampler.grid, 2.1)
    assert sorted(set(wider.cells[:, 0].tolist())) == [0.0, 1.0, 2.0, 3.0]
    assert len(sampler.seen_by(Linear.identity(3), sampler.grid, 0.0).cells) == len(sampler.cells)


def test_no_cell_is_seen_by_a_transform_that_leads_past_the_image() -> None:
    sampler = some(3)
    far = Linear.translation(torch.tensor([900.0, 0.0, 0.0], dtype=torch.float64))
    nowhere = sampler.seen_by(far, sampler.grid, 5.0)
    assert nowhere.cells.shape == (0, 3)
    assert nowhere.draw(100, generator()).shape == (0, 3)
