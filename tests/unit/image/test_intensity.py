from math import pi

import pytest
import torch
from phantoms import field_of_view, phantom
from torch import Tensor

from inforeg.image import Image, find_foreground, normalise, to_scalar
from inforeg.image.intensity import measure, quantiles, window
from inforeg.space import Grid


def ball(ndim: int, radius_mm: float, centre_mm: list[float], spacing_mm: list[float]) -> tuple[Tensor, Grid]:
    """A ball of ones on a grid, and the grid."""
    grid = Grid.from_spacing([round(100 / s) for s in spacing_mm], spacing_mm)
    away = (grid.points_mm() - torch.tensor(centre_mm, dtype=torch.float64)).norm(dim=1)
    return (away < radius_mm).reshape(grid.shape), grid


@pytest.mark.parametrize(
    ("centre", "spacing"), [([6.0, -4.0], [1.0, 1.0]), ([6.0, -4.0, 9.0], [1.0, 2.0, 1.5])]
)
def test_place_and_size_of_a_ball(centre: list[float], spacing: list[float]) -> None:
    d = len(centre)
    mask, grid = ball(d, 25.0, centre, spacing)
    found = measure(mask, Image(mask.float()[None, None], grid))
    assert torch.allclose(found.centre_mm, torch.tensor(centre, dtype=torch.float64), atol=0.1)
    assert found.radius_mm == pytest.approx(25.0, rel=0.02)
    size = pi * 25**2 if d == 2 else 4 / 3 * pi * 25**3
    assert found.volume_mm == pytest.approx(size, rel=0.02)
    even = 25.0**2 / (d + 2) * torch.eye(d, dtype=torch.float64)
    assert torch.allclose(found.covariance_mm2, even, atol=4.0)


@pytest.mark.parametrize("levels", [(0.0, 1.0), (1.0, 0.0), (-1000.0, 40.0), (255.0, 180.0)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_object_is_found_on_dark_and_on_bright_ground(ndim: int, levels: tuple[float, float]) -> None:
    mask, grid = ball(ndim, 25.0, [6.0, -4.0, 9.0][:ndim], [2.0] * ndim)
    ground, inside = levels
    generator = torch.Generator().manual_seed(0)
    noise = 0.02 * abs(inside - ground) * torch.randn(mask.shape, generator=generator)
    data = torch.where(mask, inside, ground) + noise
    found = find_foreground(Image(data[None, None], grid))
    assert found.background == pytest.approx(ground, abs=0.05 * abs(inside - ground))
    assert float((found.mask == mask).double().mean()) > 0.995


@pytest.mark.parametrize("contrast", ["t1", "t2", "pd"])
def test_the_whole_head_counts_also_where_it_is_dim(contrast: str) -> None:
    """Fluid in T1 has a sixth of the brightest signal."""
    grid = field_of_view(3, 4.0)
    data = phantom(grid, contrast, noise=0.02)
    found = find_foreground(data)
    anything = phantom(grid, "pd", noise=0.0).data[0, 0] > 0.3
    assert float(found.mask[anything].double().mean()) > 0.9
    assert found.radius_mm == pytest.approx(64.0, rel=0.08)


def test_an_image_that_is_all_object_has_an_object() -> None:
    data = 1 + torch.rand(1, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    found = find_foreground(Image(data, Grid.from_spacing((30, 30), 1.0)))
    assert float(found.mask.double().mean()) > 0.3


def test_a_constant_image_has_no_object_and_one_odd_voxel_is_one() -> None:
    grid = Grid.from_spacing((20, 20, 20), 1.0)
    data = torch.full((1, 1, 20, 20, 20), 3.0)
    assert find_foreground(Image(data, grid)).is_empty
    data[0, 0, 10, 11, 12] = 5.0
    found = find_foreground(Image(data, grid))
    assert not found.is_empty
    assert torch.allclose(found.centre_mm, torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64))
    assert found.radius_mm == 0.5


def test_a_mask_keeps_a_part_of_the_object() -> None:
    mask, grid = ball(3, 25.0, [0.0, 0.0, 0.0], [2.0] * 3)
    image = Image(mask.float()[None, None], grid)
    right = (grid.points_mm()[:, 0] > 0).reshape(grid.shape)
    part = find_foreground(image).within(right, image)
    assert torch.equal(part.mask, mask & right)
    # The centre of half a ball is three eighths of its radius off.
    assert float(part.centre_mm[0]) == pytest.approx(25 * 3 / 8, abs=0.6)


def test_a_few_very_bright_voxels_change_the_scale_hardly_at_all() -> None:
    grid = Grid.from_spacing((60, 60), 1.0)
    data = torch.rand(1, 1, 60, 60, generator=torch.Generator().manual_seed(0))
    plain = normalise(Image(data, grid)).data
    spoiled = data.clone()
    spoiled[0, 0, :2, :2] = 1e6
    result = normalise(Image(spoiled, grid)).data
    assert float((result - plain)[0, 0, 2:].abs().max()) < 0.01
    assert float(result.max()) == pytest.approx(1.1)


def test_normalising_is_a_matter_of_each_channel_and_leaves_the_input_alone() -> None:
    grid = Grid.from_spacing((40, 40), 1.0)
    data = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    scaled = data * torch.tensor([1.0, 50.0, 3000.0])[:, None, None] - 7.0
    before = scaled.clone()
    result = normalise(Image(scaled, grid)).data
    assert torch.equal(scaled, before)
    assert torch.allclose(result, normalise(Image(data, grid)).data, atol=1e-3)
    assert -0.1 <= float(result.min()) < 0.001 and 0.999 < float(result.max()) <= 1.1


def test_a_constant_becomes_zero_and_its_window_is_itself() -> None:
    constant = Image(torch.full((1, 1, 8, 8), 4.0), Grid.from_spacing((8, 8), 1.0))
    assert torch.equal(normalise(constant).data, torch.zeros(1, 1, 8, 8))
    assert window(constant) == (4.0, 4.0)


def test_a_window_is_open_where_nearly_all_is_one_value() -> None:
    data = torch.zeros(1, 1, 100, 100)
    data[0, 0, 50, 50] = 2.0
    assert window(Image(data, Grid.from_spacing((100, 100), 1.0))) == (0.0, 2.0)


def test_quantiles_of_many_values_come_from_an_even_selection() -> None:
    values = torch.arange(1_000_000, dtype=torch.float32)
    low, middle, high = quantiles(values, (0.01, 0.5, 0.99))
    assert (low, middle, high) == (
        pytest.approx(10_000, abs=50),
        pytest.approx(500_000, abs=50),
        pytest.approx(990_000, abs=50),
    )


def test_colour_becomes_the_channel_that_keeps_most_contrast() -> None:
    """A stain that lives in one colour; the other channels are nearly flat."""
    grid = Grid.from_spacing((30, 30), 1.0)
    stain = torch.rand(30, 30, generator=torch.Generator().manual_seed(0))
    data = torch.stack((0.9 - 0.05 * stain, 0.1 + 0.8 * stain, torch.full((30, 30), 0.5)))[None]
    scalar = to_scalar(Image(data, grid)).data[0, 0]
    assert scalar.shape == (30, 30)
    correlation = torch.corrcoef(torch.stack((scalar.reshape(-1), stain.reshape(-1))))[0, 1]
    assert float(correlation) > 0.999


def test_bright_stays_bright_in_grey_colours_and_one_channel_is_itself() -> None:
    grid = Grid.from_spacing((30, 30), 1.0)
    grey = torch.rand(1, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    scalar = to_scalar(Image(grey.expand(1, 3, 30, 30).contiguous(), grid)).data
    assert torch.allclose(scalar, 3**0.5 * grey, atol=1e-5)
    one = Image(grey, grid)
    assert to_scalar(one) is one
