"""Fields whose penalties are known on paper."""

from math import log, pi

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.penalties import bending, diffusion, inverse_consistency, velocity_prior
from inforeg.space import Grid

SPACING = (1.5, 0.5, 4.0)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(grid, matrix):
    return (grid.points_mm() @ matrix.T).T.reshape(1, grid.ndim, *grid.shape)


@pytest.mark.parametrize("d", [2, 3])
def test_of_a_linear_field_diffusion_is_the_norm_of_the_matrix_and_bending_is_zero(d):
    grid = Grid.from_spacing((6, 7, 5)[:d], SPACING[:d])
    matrix = random(d, d)
    field = linear(grid, matrix)
    assert float(diffusion(field, grid)) == pytest.approx(float(matrix.square().sum()), rel=1e-12)
    assert float(bending(field, grid)) < 1e-24


def test_turned_axes_change_nothing_for_a_linear_field():
    turn = torch.linalg.matrix_exp(torch.tensor([[0, 0.5, 0.2], [-0.5, 0, 0.9], [-0.2, -0.9, 0]]).double())
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = turn @ torch.diag(torch.tensor(SPACING).double())
    grid, slopes = Grid((5, 6, 4), matrix), random(3, 3)
    assert float(diffusion(linear(grid, slopes), grid)) == pytest.approx(
        float(slopes.square().sum()), rel=1e-12
    )


def test_of_quadratic_fields_bending_is_exact_with_mixed_terms_twice():
    grid = Grid.from_spacing((6, 7, 5), SPACING)
    forms = random(3, 3, 3)
    forms = forms + forms.transpose(1, 2)
    points = grid.points_mm()
    field = torch.einsum("ni,cij,nj->cn", points, forms, points).reshape(1, 3, *grid.shape) / 2
    assert float(bending(field, grid)) == pytest.approx(float(forms.square().sum()), rel=1e-10)


def test_of_waves_both_are_what_the_integrals_say():
    # u = 2 sin(kx) cos(qy) mm along one axis, over whole waves; differences of a wave damp it by sin(ks/2) / (ks/2).
    grid = Grid.from_spacing((64, 48), (0.5, 1.0))
    x, y = grid.points_mm().T
    k, q = 2 * pi / 32, 2 * pi / 24
    wave = (2 * torch.sin(k * x) * torch.cos(q * y)).reshape(grid.shape)
    field = torch.stack((wave, torch.zeros_like(wave)))[None]
    assert float(diffusion(field, grid)) == pytest.approx(k**2 + q**2, rel=0.03)
    assert float(bending(field, grid)) == pytest.approx((k**2 + q**2) ** 2, rel=0.04)


def reference_prior(mean, log_variance, strength):
    """VoxelMorph-diff's formula, voxel by voxel, for voxels of 1 mm."""
    d = mean.shape[1]
    degrees = torch.zeros(mean.shape[2:], dtype=torch.float64)
    for voxel in torch.cartesian_prod(*map(torch.arange, mean.shape[2:])).tolist():
        inside = [(i > 0) + (i < n - 1) for i, n in zip(voxel, mean.shape[2:], strict=True)]
        degrees[tuple(voxel)] = sum(inside)
    smooth = sum(mean.diff(dim=axis).square().mean() for axis in range(2, d + 2)) / (2 * d)
    noise = (strength * degrees * log_variance.exp() - log_variance).mean()
    return d / 2 * (noise + strength * smooth)


@pytest.mark.parametrize("shape", [(4, 6), (4, 3, 5)])
@pytest.mark.parametrize("strength", [10.0, 3.0])
def test_the_prior_is_voxelmorphs_on_a_grid_of_one_millimetre(shape, strength):
    mean, log_variance = random(2, len(shape), *shape), random(2, len(shape), *shape, seed=1) - 4
    found = velocity_prior(mean, log_variance, Grid.from_spacing(shape), strength)
    torch.testing.assert_close(found, reference_prior(mean, log_variance, strength))


def test_an_axis_of_one_voxel_has_no_neighbours_in_the_prior():
    flat, plane = Grid.from_spacing((4, 1, 5)), Grid.from_spacing((4, 5))
    mean, log_variance = random(1, 3, *flat.shape), random(1, 3, *flat.shape, seed=1)
    # Each of the three components is a field on the plane; the formula counts two for each of its means.
    parts = [
        velocity_prior(
            mean[:, c : c + 1, :, 0].expand(-1, 2, -1, -1),
            log_variance[:, c : c + 1, :, 0].expand(-1, 2, -1, -1),
            plane,
        )
        for c in range(3)
    ]
    noise_only = [
        velocity_prior(
            torch.zeros(1, 2, *plane.shape, dtype=torch.float64),
            log_variance[:, c : c + 1, :, 0].expand(-1, 2, -1, -1),
            plane,
        )
        for c in range(3)
    ]
    noise = torch.stack(noise_only).mean() * 3 / 2
    smooth = torch.stack(parts).sum() - torch.stack(noise_only).sum()
    # 1 / (4 d) of the sum over components, which each of the parts has twice over.
    torch.testing.assert_close(velocity_prior(mean, log_variance, flat), noise + smooth * (8 / 12) / 2)


def test_on_other_voxels_it_is_that_of_the_field_in_voxels_but_for_a_constant():
    h = 2.5
    grid, ones = Grid.from_spacing((5, 4, 6), h), Grid.from_spacing((5, 4, 6))
    mean, log_variance = random(1, 3, *grid.shape), random(1, 3, *grid.shape, seed=1) - 4
    in_voxels = velocity_prior(mean / h, log_variance - 2 * log(h), ones)
    torch.testing.assert_close(velocity_prior(mean, log_variance, grid) + 3 * log(h), in_voxels)


def test_alone_the_log_variance_settles_where_the_prior_says():
    grid = Grid.from_spacing((5, 6, 7))
    zero = torch.zeros(1, 3, *grid.shape, dtype=torch.float64)
    settled = torch.full_like(zero, -log(60)).requires_grad_()
    (slope,) = torch.autograd.grad(velocity_prior(zero, settled, grid), settled)
    assert float(slope[:, :, 1:-1, 1:-1, 1:-1].abs().max()) < 1e-15
    # At the faces there are fewer neighbours, so more noise would be likelier.
    assert float(slope[:, :, 0].max()) < -1e-4


def test_the_gradient_of_the_prior_is_that_of_finite_differences():
    grid = Grid.from_spacing((3, 4, 3), SPACING)
    inputs = [(random(1, 3, *grid.shape, seed=s) - 2 * s).requires_grad_() for s in (0, 1)]
    assert torch.autograd.gradcheck(lambda m, s: velocity_prior(m, s, grid), inputs, fast_mode=True)


@pytest.mark.parametrize("strength", [0.0, -1.0, float("nan")])
def test_a_prior_without_strength_is_refused(strength):
    grid = Grid.from_spacing((3, 3))
    with pytest.raises(UsageError, match="expected a strength above zero"):
        velocity_prior(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), grid, strength)


def test_fields_that_do_not_belong_together_are_refused():
    grid, other = Grid.from_spacing((3, 3)), Grid.from_spacing((4, 3))
    with pytest.raises(UsageError, match="as many fields of log-variances as of means, got 2 and 1"):
        velocity_prior(torch.zeros(1, 2, 3, 3), torch.zeros(2, 2, 3, 3), grid)
    with pytest.raises(
        UsageError, match=r"expected a field \(batch, 2, 4, 3\) for its grid, got \(1, 2, 3, 3\)"
    ):
        inverse_consistency(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3), grid, other)
    with pytest.raises(UsageError, match="one batch"):
        inverse_consistency(torch.zeros(1, 2, 3, 3), torch.zeros(2, 2, 3, 3), grid)
