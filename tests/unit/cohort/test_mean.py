"""The mean of sets of points, whatever their poses."""

import pytest
import torch

from inforeg.cohort.group import mean_of
from inforeg.transforms import group


def posed(name, d, amount, generator):
    """A random transform of a group about the origin, and far from it."""
    unknowns = len(group(name, d).generators)
    values = amount * torch.randn(unknowns, generator=generator, dtype=torch.float64)
    return group(name, d).exp(values, torch.zeros(d).double(), 60.0).matrix


def moved(matrix, points):
    d = points.shape[1]
    return points @ matrix[:d, :d].T + matrix[:d, d]


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("kind", ["rigid", "similarity", "affine"])
def test_copies_in_any_pose_come_together(kind, d):
    generator = torch.Generator().manual_seed(d)
    points = 40 * torch.randn(20, d, generator=generator, dtype=torch.float64)
    matrices = [posed(kind, d, 0.6 if kind == "rigid" else 0.25, generator) for _ in range(5)]
    sets = torch.stack([moved(m, points) for m in matrices])
    weights = torch.rand(5, 20, generator=generator, dtype=torch.float64) + 0.1
    mean, found, rounds = mean_of(sets, weights, points, kind)
    assert rounds < 10
    for matrix, own in zip(found, sets, strict=True):
        torch.testing.assert_close(moved(matrix, mean), own, atol=0.02, rtol=0)
    # None is the measure of all: sizes are between those of the members, and the order of these does not matter.
    volumes = torch.linalg.det(found[:, :d, :d])
    assert float(volumes.log().mean().abs()) < 1e-3
    again, _, _ = mean_of(sets.flip(0), weights.flip(0), points, kind)
    torch.testing.assert_close(again, mean, atol=0.02, rtol=0)


def test_noise_is_averaged():
    generator = torch.Generator().manual_seed(4)
    points = 40 * torch.randn(30, 3, generator=generator, dtype=torch.float64)
    matrices = [posed("rigid", 3, 1.0, generator) for _ in range(16)]
    noise = torch.randn(16, 30, 3, generator=generator, dtype=torch.float64)
    sets = torch.stack([moved(m, points) for m in matrices]) + noise
    mean, _, _ = mean_of(sets, torch.ones(16, 30).double(), points, "rigid")
    apart = (mean - points).square().sum(1).mean().sqrt()
    # Of the noise of 1 mm along each of three axes a quarter is left; the mean has the pose of what it is held to.
    assert 0.25 < float(apart) < 0.65
