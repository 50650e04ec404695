import pytest
import torch
from scipy.ndimage import gaussian_filter, zoom
from torch import Tensor

from inforeg.image import Image, sample
from inforeg.solve.octaves import normalised_frame, octaves
from inforeg.space import Grid


def image(shape: tuple[int, ...], channels: int = 1, grid: Grid | None = None) -> Image:
    values = torch.rand(1, channels, *shape, generator=torch.Generator().manual_seed(0))
    return Image(values, grid or Grid.from_spacing(shape, [1.0 + 0.3 * k for k in range(len(shape))]))


def oblique(shape: tuple[int, ...]) -> Grid:
    d = len(shape)
    generator = torch.Generator().manual_seed(d)
    turned = torch.linalg.matrix_exp(torch.triu(torch.ones(d, d), 1).double() * 0.4)
    turned = turned @ torch.diag(torch.tensor([1.3, 0.7, 2.1][:d], dtype=torch.float64))
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d], matrix[:d, d] = turned, 40 * torch.randn(d, generator=generator, dtype=torch.float64)
    return Grid(shape, matrix)


@pytest.mark.parametrize(
    ("shape", "count", "shapes"),
    [
        ((64, 64), 6, [(64, 64), (32, 32), (16, 16), (8, 8)]),
        ((65, 47), 3, [(65, 47), (33, 24), (17, 12)]),
        ((40, 40, 6), 6, [(40, 40, 6), (20, 20, 6), (10, 10, 6)]),
        ((15, 15), 6, [(15, 15)]),
        ((256, 256), 6, [(256, 256), (128, 128), (64, 64), (32, 32), (16, 16), (8, 8)]),
    ],
)
def test_sizes_halve_until_eight(shape: tuple[int, ...], count: int, shapes: list[tuple[int, ...]]) -> None:
    assert [level.image.grid.shape for level in octaves(image(shape), count)] == shapes


@pytest.mark.parametrize("shape", [(64, 51), (40, 33, 24)])
def test_levels_are_the_ones_that_scipy_makes(shape: tuple[int, ...]) -> None:
    """Away from the borders, which are treated otherwise, and but for the tails of Gaussians."""
    expected = gaussian_filter(image(shape).data[0, 0].numpy().astype(float), 1.0, mode="reflect")
    for level in octaves(image(shape), 2):
        values = level.image.data[0, 0].double() * level.width + level.lowest
        inner = (slice(4, -4),) * len(shape)
        assert values.shape == expected.shape
        torch.testing.assert_close(values[inner], torch.from_numpy(expected)[inner], rtol=0, atol=4e-3)
        factors = [-(-n // 2) / n for n in expected.shape]
        smoothed = gaussian_filter(expected, 2 / 3, mode="reflect")
        expected = zoom(smoothed, factors, order=1, mode="nearest", grid_mode=True)


@pytest.mark.parametrize("shape", [(64, 50), (33, 40, 48)])
def test_all_levels_lie_in_one_place(shape: tuple[int, ...]) -> None:
    """A slope that does not change has the same values in the world at every level, also where sizes are odd."""
    grid = oblique(shape)
    slope = torch.arange(1.0, len(shape) + 1, dtype=torch.float64)
    ramp = (grid.points_mm() @ slope).reshape(1, 1, *shape)
    made = Image(ramp, grid)
    centre = grid.centre_mm + 0.05 * grid.extent_mm.min() * torch.rand(20, len(shape), dtype=torch.float64)
    for level in octaves(made, 2):
        assert torch.allclose(level.image.grid.centre_mm, grid.centre_mm, atol=1e-9)
        whole = Image(level.image.data * level.width + level.lowest, level.image.grid)
        values, inside = sample(whole, centre[None].float())
        assert bool(inside.all())
        span = float(ramp.max() - ramp.min())
        assert torch.allclose(values[0, 0].double(), centre @ slope, rtol=0, atol=2e-4 * span)


def test_every_level_runs_from_nought_to_one_over_all_its_channels() -> None:
    made = image((64, 64), 3)
    made.data[:, 1] *= 0.3
    for level in octaves(made, 3):
        assert (float(level.image.data.min()), float(level.image.data.max())) == (0.0, pytest.approx(1.0))
        assert float(level.image.data[:, 1].max()) < 0.5
        assert level.width > 0


def test_a_constant_image_is_zero() -> None:
    (level,) = octaves(Image(torch.full((1, 2, 9, 9), 7.0), Grid.from_spacing((9, 9))), 4)
    assert float(level.image.data.abs().max()) < 1e-5 and level.width == 1.0


def corners(frame: Tensor, points: Tensor) -> Tensor:
    return points @ frame[:-1, :-1].T + frame[:-1, -1]


@pytest.mark.parametrize("shape", [(64, 51), (40, 33, 24)])
def test_faces_are_at_minus_one_and_one_at_every_level(shape: tuple[int, ...]) -> None:
    made = image(shape, grid=oblique(shape))
    frames = [normalised_frame(level.image.grid, isotropic=False) for level in octaves(made, 2)]
    at = corners(frames[0], made.grid.corners_mm())
    assert torch.allclose(at.abs(), torch.ones(()).double(), atol=1e-9)
    assert torch.allclose(frames[1], frames[0], atol=1e-9)


@pytest.mark.parametrize("shape", [(64, 51), (40, 33, 24)])
def test_centres_are_at_minus_one_and_one_if_asked(shape: tuple[int, ...]) -> None:
    grid = oblique(shape)
    frame = normalised_frame(grid, isotropic=False, centres=True)
    assert torch.allclose(corners(frame, grid.points_mm()[[0, -1]]).abs(), torch.ones(()).double(), atol=1e-9)


@pytest.mark.parametrize("centres", [False, True])
def test_one_unit_for_all_axes_is_half_the_longest_side(centres: bool) -> None:
    grid = Grid.from_spacing((100, 60), (1.0, 2.0))
    frame = normalised_frame(grid, isotropic=True, centres=centres)
    assert torch.allclose(frame[:2, :2], torch.eye(2).double() / (0.5 * (118 if centres else 120)))
    assert torch.allclose(corners(frame, grid.centre_mm[None]), torch.zeros(1, 2).double())
