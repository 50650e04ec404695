import math

import pytest
import torch

from inforeg.image.sample import sample_displaced
from inforeg.nets import VelocityBelief, VelocityNet, VelocityNetSettings


def small(ndim, **settings):
    widths = {"encoder": (4, 8), "decoder": (8, 4), "extra": (4,)}
    return VelocityNet(VelocityNetSettings(ndim=ndim, **widths, **settings))


def pair(ndim, batch=1):
    shape = (16, 20, 24)[:ndim]
    return torch.rand(2, batch, 1, *shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_it_starts_with_next_to_no_velocity_and_the_published_doubt(ndim, half):
    with torch.no_grad():
        belief = small(ndim, half=half)(*pair(ndim))
    assert belief.mean.shape == (1, ndim, *[n // (1 + half) for n in (16, 20, 24)[:ndim]])
    assert 0 < float(belief.mean.abs().max()) < 1e-3
    torch.testing.assert_close(belief.log_variance, torch.full_like(belief.log_variance, -10.0))


@pytest.mark.parametrize("ndim", [2, 3])
def test_velocities_are_never_in_half_precision(ndim):
    with torch.autocast("cpu", torch.bfloat16):
        belief = small(ndim)(*pair(ndim))
        moved = belief.displaced(belief.mean)
    assert belief.mean.dtype == belief.log_variance.dtype == moved.dtype == torch.float32


def test_the_prior_is_the_published_term():
    """`1/2 d (mean(lambda D e^s - s) + lambda/2 sum_i mean((diff_i mean)^2) / d)`, written out on a lattice by hand."""
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 1, 3, 4, 5, 6, generator=generator, dtype=torch.float64)
    degrees = torch.zeros(4, 5, 6, dtype=torch.float64)
    for axis in range(3):
        inner = degrees.movedim(axis, 0)
        inner[1:] += 1
        inner[:-1] += 1
    noise = (10 * degrees * log_variance.exp() - log_variance).mean()
    rough = sum(mean.diff(dim=axis + 2).square().mean() for axis in range(3)) / 3
    expected = 0.5 * 3 * (noise + 10 * 0.5 * rough)
    torch.testing.assert_close(VelocityBelief(mean, log_variance, 1).prior(10.0), expected)


def test_where_only_the_prior_counts_the_noise_settles_where_it_should():
    """Trap 9 of the published code: s settles near -log(6 lambda), a standard deviation of 0.13 voxels."""
    log_variance = torch.full((1, 3, 12, 12, 12), -10.0, requires_grad=True)
    optimiser = torch.optim.Adam([log_variance], lr=0.1)
    for _ in range(200):
        cost = VelocityBelief(torch.zeros(1, 3, 12, 12, 12), log_variance, 1).prior(10.0)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
    inside = log_variance.detach()[..., 4:8, 4:8, 4:8].mean()
    assert float(inside) == pytest.approx(-math.log(60), abs=0.02)
    assert math.exp(float(inside) / 2) == pytest.approx(0.13, abs=0.002)


@pytest.mark.parametrize("voxel", [1, 2])
def test_a_velocity_of_a_shift_moves_by_that_shift_at_any_resolution(voxel):
    shape = [n // voxel for n in (16, 16, 16)]
    mean = torch.tensor([1.5, -0.5, 0.25]).reshape(1, 3, 1, 1, 1).expand(1, 3, *shape)
    moved = VelocityBelief(mean, torch.zeros_like(mean), voxel).displaced(mean)
    assert moved.shape == (1, 3, 16, 16, 16)
    torch.testing.assert_close(moved, mean[:, :, :1, :1, :1].expand_as(moved))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_exponential_of_the_negative_leads_back(ndim):
    shape = (24, 32, 24)[:ndim]
    generator = torch.Generator().manual_seed(1)
    nodes = torch.randn(1, ndim, *[4] * ndim, generator=generator)
    mode = "bilinear" if ndim == 2 else "trilinear"
    field = 0.5 * torch.nn.functional.interpolate(nodes, size=shape, mode=mode, align_corners=True)
    belief = VelocityBelief(field, torch.zeros_like(field), 1)
    there, back = belief.displaced(field), belief.displaced(-field)
    left = there + sample_displaced(back, there)
    inner = (..., *[slice(4, -4)] * ndim)
    assert float(there[inner].abs().max()) > 0.5
    assert float(left[inner].abs().max()) < 0.05 * float(there[inner].abs().max())


def test_each_pair_draws_its_own_noise():
    mean = torch.zeros(2, 2, 40, 40)
    belief = VelocityBelief(mean, torch.full_like(mean, math.log(0.25)), 1)
    seeds = [torch.Generator().manual_seed(n) for n in (1, 2)]
    drawn = belief.draw(seeds)
    alone = VelocityBelief(mean[1:], belief.log_variance[1:], 1).draw([torch.Generator().manual_seed(2)])
    assert torch.equal(drawn[1:], alone) and not torch.equal(drawn[0], drawn[1])
    assert float(drawn.std()) == pytest.approx(0.5, rel=0.03)
