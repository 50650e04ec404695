from math import pi

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from strategies import rotation

from inforeg.image import Image, downsample, smooth
from inforeg.image.filters import factors_for
from inforeg.space import Grid


def oblique(shape: tuple[int, ...], spacing_mm: list[float]) -> Grid:
    d = len(shape)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = rotation([0.4] * (2 * d - 3)) @ torch.diag(torch.tensor(spacing_mm, dtype=torch.float64))
    matrix[:d, d] = torch.tensor([7.0, -3.0, 11.0][:d], dtype=torch.float64)
    return Grid(shape, matrix)


def noise(grid: Grid, seed: int = 0) -> Image:
    return Image(torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(seed)), grid)


def ramp(grid: Grid) -> Image:
    """Intensity is a linear function of the place in the world."""
    return Image(slope(grid).float().reshape(1, 1, *grid.shape), grid)


def slope(grid: Grid) -> torch.Tensor:
    weights = torch.tensor([0.3, -0.5, 0.7][: grid.ndim], dtype=torch.float64)
    return grid.points_mm() @ weights


@pytest.mark.parametrize("shape", [(31, 24), (19, 22, 17)])
def test_smoothing_is_a_gaussian_of_so_many_millimetres(shape: tuple[int, ...]) -> None:
    spacing = [0.5, 2.0, 1.0][: len(shape)]
    image = noise(oblique(shape, spacing))
    expected = gaussian_filter(
        image.data[0, 0].double().numpy(), [1.5 / s for s in spacing], mode="nearest", truncate=6
    )
    # The window is cut at three sigma: of a range of one, that is what may differ.
    assert np.abs(smooth(image, 1.5).data[0, 0].numpy() - expected).max() < 0.01


def test_smoothing_may_differ_by_axis_and_leaves_an_axis_alone_at_none() -> None:
    image = noise(oblique((12, 13, 14), [1.0, 1.0, 1.0]))
    some = smooth(image, [0.0, 2.0, 0.0]).data[0, 0]
    expected = gaussian_filter(image.data[0, 0].numpy(), [0, 2.0, 0], mode="nearest", truncate=6)
    assert np.abs(some.numpy() - expected).max() < 0.01
    assert torch.equal(smooth(image, 0.0).data, image.data)


def test_smoothing_changes_neither_a_constant_nor_the_input() -> None:
    grid = oblique((9, 8, 7), [1.0, 2.0, 3.0])
    constant = Image(torch.full((1, 2, 9, 8, 7), 5.25), grid, "t1", "int16")
    result = smooth(constant, 4.0)
    assert torch.allclose(result.data, constant.data, atol=1e-5)
    assert (result.grid, result.name, result.dtype) == (grid, "t1", "int16")
    image = noise(grid)
    before = image.data.clone()
    smooth(image, 3.0)
    downsample(image, [2, 2, 2])
    assert torch.equal(image.data, before)


@pytest.mark.parametrize("factors", [(2, 2, 2), (3, 1, 2), (4, 5, 3), (1, 1, 1)])
@pytest.mark.parametrize("shape", [(24, 30, 18), (23, 31, 19)])
def test_downsampling_shifts_nothing(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    """A ramp comes out as the ramp at the new voxels, half-voxel remainders included, away from the ends."""
    image = ramp(oblique(shape, [1.0, 1.5, 0.7]))
    small = downsample(image, factors)
    assert small.grid.shape == tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
    assert torch.allclose(small.grid.centre_mm, image.grid.centre_mm, atol=1e-9)
    expected = torch.tensor(factors, dtype=torch.float64) * image.grid.spacing_mm
    assert torch.allclose(small.grid.spacing_mm, expected)
    inner = tuple(slice(2, -2) if f > 1 else slice(None) for f in factors)
    right = slope(small.grid).reshape(small.grid.shape)[inner]
    # Kernels between voxels are cut unevenly, by a thousandth of their height.
    assert (small.data[0, 0].double()[inner] - right).abs().max() < 0.01


def test_downsampling_in_2d_and_every_channel_and_image_alike() -> None:
    grid = oblique((16, 14), [1.0, 1.0])
    data = torch.rand(2, 3, 16, 14, generator=torch.Generator().manual_seed(0))
    whole = downsample(Image(data, grid), [2, 3]).data
    for b in range(2):
        for c in range(3):
            alone = downsample(Image(data[b : b + 1, c : c + 1], grid), [2, 3]).data[0, 0]
            assert torch.allclose(whole[b, c], alone)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_what_the_coarser_grid_cannot_hold_is_gone(factor: int) -> None:
    """Waves shorter than two new voxels would come back as waves that are not there."""
    n = 96
    i = torch.arange(n, dtype=torch.float32)
    left = []
    for cycles_per_new_voxel in (0.9, 1.0):
        wave = torch.cos(2 * pi * cycles_per_new_voxel / factor * i)
        image = Image(wave[:, None].expand(n, n)[None, None], Grid.from_spacing((n, n), 1.0))
        left.append(float(downsample(image, [factor, 1]).data[..., 3:-3, :].abs().max()))
    assert max(left) < 0.06


def test_what_the_coarser_grid_can_hold_is_kept() -> None:
    i = torch.arange(96, dtype=torch.float32)
    wave = torch.cos(2 * pi / 24 * i)
    image = Image(wave[:, None].expand(96, 96)[None, None], Grid.from_spacing((96, 96), 1.0))
    assert float(downsample(image, [2, 1]).data[..., 3:-3, :].max()) > 0.9


def test_thinning_goes_by_millimetres_and_exceeds_them_by_no_more_than_a_fifth() -> None:
    grid = Grid.from_spacing((50, 50, 20), (0.5, 1.0, 4.0))
    assert factors_for(grid, 2.0) == [4, 2, 1]
    assert factors_for(grid, 0.5) == [1, 1, 1]
    for spacing in (1.3, 2.0, 3.7, 5.0, 9.0):
        reached = [f * float(s) for f, s in zip(factors_for(grid, spacing), grid.spacing_mm, strict=True)]
        assert all(
            r <= 1.2 * spacing + 1e-9 or r == float(s) for r, s in zip(reached, grid.spacing_mm, strict=True)
        )
