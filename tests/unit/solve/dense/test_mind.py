"""Descriptors as a likelihood: slopes, noise, and nothing from what is unrelated."""

import pytest
import torch
from torch import Tensor

from inforeg.solve.dense.mind import Descriptors


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def related(shape: tuple[int, ...], noise: float = 0.1) -> tuple[Tensor, Tensor]:
    fixed = torch.rand(4, *shape, generator=generator(0))
    return fixed, fixed + noise * torch.randn(4, *shape, generator=generator(1))


@pytest.mark.parametrize("shape", [(20, 24), (9, 8, 10)])
@pytest.mark.parametrize("hole", [False, True])
def test_the_slope_is_that_of_the_information(shape: tuple[int, ...], hole: bool) -> None:
    """Of the sum over channels and voxels, against differences."""
    fixed, warped = related(shape)
    weight, inside = torch.ones(shape), torch.ones(shape)
    if hole:
        weight[:4], inside[..., -5:] = 0, 0
    likeness = Descriptors(fixed, weight)
    told = likeness(warped, inside)
    way = torch.randn(warped.shape, generator=generator(2))
    up, down = (likeness(warped + step * way, inside).nats for step in (0.002, -0.002))
    count = float((weight * inside).sum()) * len(fixed)
    assert float((told.slope * way).sum()) == pytest.approx(count * (up - down) / 0.004, rel=5e-3)
    assert float(told.curvature.min()) >= 0
    if hole:
        unseen = weight * inside == 0
        assert float(told.slope[:, unseen].abs().max()) == float(told.curvature[:, unseen].max()) == 0


def test_where_descriptors_agree_it_is_squares_over_the_noise() -> None:
    fixed, warped = related((60, 60), 0.05)
    told = Descriptors(fixed, torch.ones(60, 60))(warped, torch.ones(60, 60))
    wanted = (fixed - warped) / 0.05**2
    assert float((told.slope - wanted).std()) < 0.25 * float(wanted.std())
    assert float(told.curvature.mean()) == pytest.approx(1 / 0.05**2, rel=0.1)
    # And as much as the squares of slopes.
    assert float(told.slope.square().mean()) == pytest.approx(float(told.curvature.mean()), rel=0.05)


def test_descriptors_that_tell_nothing_of_each_other() -> None:
    shape = (100, 100)
    fixed, warped = torch.rand(2, 4, *shape, generator=generator(3))
    likeness = Descriptors(fixed, torch.ones(shape))
    told = likeness(warped, torch.ones(shape))
    assert 0 <= told.nats < 5 * likeness.chance(1e4)
    assert float(told.curvature.max()) < 0.05
    assert likeness(fixed, torch.ones(shape)).nats > 1


def test_what_never_changes_is_finite() -> None:
    shape = (12, 12)
    flat, image = torch.ones(4, *shape), torch.rand(4, *shape, generator=generator(4))
    for fixed, warped in ((flat, image), (image, flat), (image, image), (flat, flat)):
        told = Descriptors(fixed, torch.ones(shape))(warped, torch.ones(shape))
        assert bool(told.slope.isfinite().all()) and bool(told.curvature.isfinite().all())
    nothing = Descriptors(image, torch.ones(shape))(image, torch.zeros(shape))
    assert float(nothing.slope.abs().max()) == 0 and nothing.nats == 0
