"""The likelihood of patches: exact slopes, what lies outside tells nothing, halves make the whole."""

import pytest
import torch

from inforeg.image import Image
from inforeg.image.patches import cut
from inforeg.solve.patches import PatchLikelihood
from inforeg.space import Grid
from inforeg.transforms import Linear, group

RADIUS_MM = 20.0


def smooth_image(ndim, seed, half=20):
    """Waves, whose slopes linear interpolation follows closely on a fine grid."""
    grid = Grid.from_spacing((2 * half,) * ndim, 1.0)
    points = grid.points_mm()
    generator = torch.Generator().manual_seed(seed)
    data = torch.zeros(len(points), dtype=torch.float64)
    for _ in range(4):
        way = 0.25 * torch.randn(ndim, generator=generator, dtype=torch.float64)
        data += torch.sin(points @ way + 6 * torch.rand((), generator=generator))
    return Image(data.float().reshape(1, 1, *grid.shape), grid)


def score(patches):
    """Some function of pairs of patches that is not linear."""
    fixed, moving = patches.flatten(2).unbind(1)
    return (fixed * moving).mean(1) - 0.3 * (moving.mean(1) - 0.2).square() + torch.sin(moving[:, 0])


def likelihood(ndim, kind="affine", mask=None, count=50):
    generator = torch.Generator().manual_seed(2)
    centres = 16 * (torch.rand((count, ndim), generator=generator, dtype=torch.float64) - 0.5)
    images = smooth_image(ndim, 3), smooth_image(ndim, 4)
    zero = torch.zeros(ndim, dtype=torch.float64)
    return PatchLikelihood(score, 5, 1.0, *images, centres, group(kind, ndim), zero + 1.0, RADIUS_MM, mask)


def moved(found, start, step):
    made = found.group.exp(step, found.centre_mm, found.radius_mm)
    return Linear(start.matrix @ made.matrix)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
def test_slopes_are_those_of_the_value(ndim, kind):
    found = likelihood(ndim, kind)
    start = moved(
        likelihood(ndim), Linear.identity(ndim), torch.full((group("affine", ndim).size,), 0.03).double()
    )
    here = found(start)
    assert here.information == pytest.approx(found.told(start), abs=1e-6) and here.overlap == 1
    for n in range(found.group.size):
        # So short that hardly a voxel steps over a kink of linear interpolation.
        step = torch.zeros(found.group.size, dtype=torch.float64)
        step[n] = 5e-4
        up, down = found.told(moved(found, start, step)), found.told(moved(found, start, -step))
        assert float(here.gradient[n]) == pytest.approx((up - down) / 1e-3, abs=0.01)


def test_the_curvature_is_that_of_single_patches():
    found = likelihood(2, "rigid", count=6)
    total = torch.zeros(3, 3, dtype=torch.float64)
    for n in range(6):
        one = likelihood(2, "rigid", count=6)
        one.centres, one.fixed = one.centres[n : n + 1], one.fixed[n : n + 1]
        slope = one(Linear.identity(2)).gradient
        total += torch.outer(slope, slope) / 6
    torch.testing.assert_close(found(Linear.identity(2)).curvature, total, atol=1e-6, rtol=1e-4)


def test_what_leaves_the_image_or_its_mask_tells_nothing():
    found = likelihood(2)
    far = Linear.translation(torch.tensor([500.0, 0.0], dtype=torch.float64))
    assert found.told(far) == 0 and found(far).overlap == 0 and found.overlap(far) == 0
    grid = found.moving.grid
    mask = torch.zeros((1, 1, *grid.shape))
    mask[:, :, : grid.shape[0] // 2] = 1
    half = likelihood(2, mask=Image(mask, grid))
    inside = half.centres[:, 0] < 0
    assert half.overlap(Linear.identity(2)) == pytest.approx(float(inside.double().mean()), abs=0.05)


def test_what_is_told_by_chance_is_the_mean_of_all_deals():
    """A score that depends on one side alone tells nothing: its mean is what chance tells, or less."""
    found = likelihood(2, count=60)
    found.score = lambda patches: patches[:, 1].flatten(1).mean(1)
    start = Linear.identity(2)
    logits = found._logits(torch.arange(60), cut(found.moving, next(found._parts(start))[1]))
    assert found.by_chance(start) == pytest.approx(float(logits.exp().mean().log()), abs=1e-5)
    assert found.told(start) < found.by_chance(start)
    far = Linear.translation(torch.tensor([500.0, 0.0], dtype=torch.float64))
    assert found.by_chance(far) == 0


def test_halves_make_the_whole():
    found = likelihood(2)
    one, other = found.split()
    start = Linear.identity(2)
    assert (one.told(start) + other.told(start)) / 2 == pytest.approx(found.told(start), abs=1e-6)
