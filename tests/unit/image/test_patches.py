"""Patches: cut where they are said to be, in voxels, in millimetres, and through a transform."""

import pytest
import torch

from inforeg.image import Image
from inforeg.image.patches import cut, patch_lattice, patch_levels, patch_voxels
from inforeg.space import Grid
from inforeg.transforms import Linear, group


def noise(shape, spacing=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Image(torch.rand((1, 1, *shape), generator=generator), Grid.from_spacing(shape, spacing))


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_patch_about_a_voxel_is_that_part_of_the_image(ndim):
    image = noise((15, 13, 11)[:ndim], spacing=2.0)
    middle = torch.tensor([7.0, 6.0, 5.0][:ndim], dtype=torch.float64)
    centres = image.grid.to_world(middle[None])
    eye = torch.eye(ndim + 1, dtype=torch.float64)
    voxel = patch_voxels(image.grid, eye, centres, patch_lattice(5, ndim, 2.0))
    part = image.data[0, 0][tuple(slice(int(m) - 2, int(m) + 3) for m in middle)]
    torch.testing.assert_close(cut(image, voxel).reshape(part.shape), part, atol=1e-5, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_patches_go_through_an_affine_transform_as_points_do(ndim):
    grid = Grid.from_spacing((20, 18, 16)[:ndim], 1.5)
    affine = group("affine", ndim)
    generator = torch.Generator().manual_seed(1)
    step = 0.2 * torch.randn(affine.size, generator=generator, dtype=torch.float64)
    transform = affine.exp(step, torch.zeros(ndim, dtype=torch.float64), 10.0)
    centres = 5 * torch.randn((4, ndim), generator=generator, dtype=torch.float64)
    lattice = patch_lattice(3, ndim, 2.0)
    found = patch_voxels(grid, transform.matrix, centres, lattice).transpose(1, 2)
    wanted = grid.to_voxel(transform(centres[:, None] + lattice))
    torch.testing.assert_close(found.double(), wanted, atol=1e-5, rtol=1e-5)


def test_beyond_the_rim_the_edge_goes_on():
    image = noise((8, 8))
    far = image.grid.to_world(torch.tensor([[-30.0, 3.0]], dtype=torch.float64))
    voxel = patch_voxels(image.grid, Linear.identity(2).matrix, far, patch_lattice(1, 2, 1.0))
    assert float(cut(image, voxel)) == pytest.approx(float(image.data[0, 0, 0, 3]), abs=1e-6)


def test_levels_are_thinned_scaled_and_in_the_order_asked_for():
    image = noise((32, 32))
    levels = patch_levels(Image(500 * image.data + 20, image.grid), [4.0, 2.0, 1.0])
    assert [level.grid.shape for level in levels] == [(8, 8), (16, 16), (32, 32)]
    assert -0.1 <= float(levels[2].data.min()) < 0.01 and 0.99 < float(levels[2].data.max()) <= 1.1
    twice = patch_levels(image, [2.0, 2.0])
    assert torch.equal(twice[0].data, twice[1].data)
