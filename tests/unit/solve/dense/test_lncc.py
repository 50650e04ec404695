"""Local correlation: exact slopes, what squares are expected, and windows."""

import pytest
import torch
from torch import Tensor

from inforeg.image import windows
from inforeg.solve.dense.lncc import LocalCorrelation
from inforeg.solve.dense.tables import BINS


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def related(shape: tuple[int, ...], noise: float = 2.0) -> tuple[Tensor, Tensor]:
    """Bright where the other is dark, up to noise, under a slow light of its own."""
    fixed = torch.rand(shape, generator=generator(0)) * 20 + 5
    light = torch.linspace(-4, 4, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return fixed, 28 - 0.8 * fixed + light + noise * torch.randn(shape, generator=generator(1))


@pytest.mark.parametrize(("shape", "window"), [((24, 20), (5, 3)), ((11, 9, 10), (3, 5, 3))])
@pytest.mark.parametrize("hole", [False, True])
def test_the_slope_is_that_of_the_information(
    shape: tuple[int, ...], window: tuple[int, ...], hole: bool
) -> None:
    """Against differences, along a random way to change the warped image; also about a hole that is not seen."""
    fixed, warped = related(shape)
    weight, inside = torch.ones(shape), torch.ones(shape)
    if hole:
        weight[:4], inside[..., -5:] = 0, 0
    likeness = LocalCorrelation(fixed, weight, window)
    told = likeness(warped, inside)
    way = torch.randn(shape, generator=generator(2))
    up, down = (likeness(warped + step * way, inside).nats for step in (0.05, -0.05))
    count = float((weight * inside).sum())
    assert float((told.slope * way).sum()) == pytest.approx(count * (up - down) / 0.1, rel=5e-3)
    assert float(told.curvature.min()) >= 0
    if hole:
        unseen = weight * inside == 0
        assert float(told.slope[unseen].abs().max()) == float(told.curvature[unseen].max()) == 0
        other = torch.where(unseen, 3.0, warped)
        assert torch.equal(likeness(other, inside).slope, told.slope)


@pytest.mark.parametrize("shape", [(70, 12), (40, 6, 7)])
def test_a_few_rows_at_a_time_are_as_good_as_all(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed, warped = related(shape)
    weight = (torch.rand(shape, generator=generator(5)) > 0.1).float()
    likeness = LocalCorrelation(fixed, weight, (5, 3, 3)[: len(shape)])
    whole = likeness(warped, torch.ones(shape))
    monkeypatch.setattr(windows, "_CPU_SLAB", 1)
    parts = likeness(warped, torch.ones(shape))
    assert torch.allclose(parts.slope, whole.slope, atol=1e-5 * float(whole.slope.abs().max()))
    assert torch.allclose(parts.curvature, whole.curvature, rtol=1e-4)
    assert parts.nats == pytest.approx(whole.nats, rel=1e-5)


def test_curvatures_are_the_squares_that_slopes_have() -> None:
    """On average, in a window as large as the image, where nothing is averaged away, and counted for one window."""
    shape = (40, 40)
    fixed = torch.rand(shape, generator=generator(0)) * 20 + 5
    warped = 0.8 * fixed + 4 * torch.randn(shape, generator=generator(1)) + 3
    likeness = LocalCorrelation(fixed, torch.ones(shape), (81, 81))
    told = likeness(warped, torch.ones(shape))
    assert float(told.slope.square().mean()) == pytest.approx(float(told.curvature.mean()), rel=0.1)


def test_information_is_that_of_the_correlation() -> None:
    shape = (30, 30)
    fixed, warped = torch.rand(2, *shape, generator=generator(0)) * 25
    warped = warped + 2 * fixed
    told = LocalCorrelation(fixed, torch.ones(shape), (61, 61))(warped, torch.ones(shape))
    correlation = torch.corrcoef(torch.stack((fixed.flatten(), warped.flatten())))[0, 1]
    assert told.nats == pytest.approx(float(-0.5 * (1 - correlation**2).log()), rel=0.02)


@pytest.mark.parametrize("width", [5, 9])
def test_images_that_tell_nothing_of_each_other(width: int) -> None:
    shape = (120, 120)
    fixed, warped = torch.rand(2, *shape, generator=generator(3)) * (BINS - 1)
    likeness = LocalCorrelation(fixed, torch.ones(shape), (width, width))
    told = likeness(warped, torch.ones(shape))
    assert told.nats == pytest.approx(likeness.chance(shape[0] * shape[1]), rel=0.15)
    kin = likeness(fixed + warped, torch.ones(shape))
    assert float(told.curvature.mean()) < 0.1 * float(kin.curvature.mean())


def test_what_is_flat_or_wholly_alike_is_finite() -> None:
    shape = (16, 16)
    flat, ones = torch.full(shape, 7.0), torch.ones(shape)
    image = torch.rand(shape, generator=generator(4)) * 20
    for fixed, warped in ((flat, image), (image, flat), (image, image), (flat, flat)):
        told = LocalCorrelation(fixed, ones, (3, 3))(warped, ones)
        assert bool(told.slope.isfinite().all()) and bool(told.curvature.isfinite().all())
    assert LocalCorrelation(flat, ones, (3, 3))(image, ones).nats == pytest.approx(0, abs=1e-5)
    nothing = LocalCorrelation(image, ones, (3, 3))(image, torch.zeros(shape))
    assert nothing.nats == 0 and float(nothing.slope.abs().max()) == 0
