import math

import pytest
import torch
from torch import Tensor

from inforeg.solve.edges import canny, grey

both = pytest.mark.parametrize("ndim", [2, 3])


def step(ndim: int, height: float, axis: int = 0, n: int = 24) -> Tensor:
    """Dark up to the middle of an axis, `height` brighter from there on."""
    bright = torch.zeros([n] * ndim)
    bright.narrow(axis, n // 2, n - n // 2).fill_(height)
    return bright + 10


def distance(ndim: int, n: int = 40) -> Tensor:
    """Voxels from the middle of an image."""
    axis = torch.arange(n) - (n - 1) / 2
    return torch.stack(torch.meshgrid(*[axis] * ndim, indexing="ij")).norm(dim=0)


@both
@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.5])
def test_a_step_is_one_voxel_thin_and_where_it_is(ndim: int, sigma: float) -> None:
    for axis in range(ndim):
        found = canny(step(ndim, 120, axis), sigma=sigma)
        where = found.nonzero()[:, axis].unique().tolist()
        assert len(where) == 1 and where[0] in (11, 12)
        assert int(found.sum()) == 24 ** (ndim - 1)


@both
@pytest.mark.parametrize(("height", "expected"), [(7, False), (8, True), (-7, False), (-8, True)])
def test_the_thresholds_are_opencvs_in_any_dimension(ndim: int, height: float, expected: bool) -> None:
    """Four times the height of a sharp step: 28 is no edge for a threshold of 30, 32 is one."""
    assert bool(canny(step(ndim, height), sigma=0, high=30).any()) == expected


@both
def test_the_gaussian_is_the_stated_one(ndim: int) -> None:
    """The slope of a step after a Gaussian is the Gaussian's own height; the rest is rounding to whole numbers."""
    sigma, high = 3.5, 60.0
    just = high / 8 * sigma * math.sqrt(2 * math.pi)
    assert not bool(canny(step(ndim, 0.85 * just), sigma=sigma, high=high).any())
    assert bool(canny(step(ndim, 1.15 * just), sigma=sigma, high=high).any())


@both
def test_a_ball_has_a_closed_thin_shell_at_its_radius(ndim: int) -> None:
    n, radius = 40, 13.0
    d = distance(ndim, n)
    found = canny(200 * (d < radius).float(), sigma=1.0)
    assert float((d[found] - radius).abs().max()) < 1.5
    # One voxel thin: about as many as the shell has voxels, in any direction.
    surface = 2 * math.pi * radius if ndim == 2 else 4 * math.pi * radius**2
    assert 0.75 * surface < int(found.sum()) < 1.6 * surface
    # Closed: from every direction it is met.
    away = torch.randn(300, ndim, generator=torch.Generator().manual_seed(0))
    away = away / away.norm(dim=1, keepdim=True)
    places = found.nonzero() - (n - 1) / 2
    assert float(torch.cdist(radius * away, places.float()).amin(dim=1).max()) < 1.5


def test_weak_edges_stay_only_where_they_lead_to_strong_ones() -> None:
    picture = torch.full((60, 40), 10.0)
    picture[:20, 20:] += 40  # strong
    picture[20:40, 20:] += 5  # weak, and goes on from it
    picture[45:, 20:] += 5  # as weak, and apart
    found = canny(picture, sigma=0, low=10, high=30)
    assert bool(found[:19].any()) and bool(found[22:38].any())
    assert not bool(found[47:].any())
    assert not bool(canny(picture, sigma=0, low=25, high=30)[22:38].any())


@both
def test_a_slope_that_never_changes_is_no_edge(ndim: int) -> None:
    ramp = torch.arange(24.0).reshape(-1, *[1] * (ndim - 1)).expand([24] * ndim) * 9
    assert not bool(canny(ramp, sigma=0)[2:-2].any())
    assert not bool(canny(torch.full([24] * ndim, 37.0)).any())


def test_rounding_hides_what_eight_bits_could_not_hold() -> None:
    waves = 20 + 0.4 * torch.sin(torch.arange(64) / 3)[:, None].expand(64, 64)
    assert not bool(canny(waves, sigma=0, low=0, high=0).any())


def test_an_image_of_a_few_voxels_is_no_trouble() -> None:
    assert canny(torch.rand(2, 3) * 255).shape == (2, 3)
    assert canny(torch.rand(1, 5, 4) * 255).shape == (1, 5, 4)


def test_grey_is_weighed_as_pictures_are() -> None:
    colours = torch.rand(3, 4, 5)
    expected = 0.299 * colours[0] + 0.587 * colours[1] + 0.114 * colours[2]
    torch.testing.assert_close(grey(colours), expected)
    torch.testing.assert_close(grey(colours[:1]), colours[0])
    two = torch.rand(2, 4, 5, 6)
    torch.testing.assert_close(grey(two), two.mean(dim=0))
