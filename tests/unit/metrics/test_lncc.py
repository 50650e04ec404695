from itertools import product

import numpy as np
import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import LNCC, NCC


def reference(fixed, warped, weight, window):
    """The definition, voxel by voxel."""
    fixed, warped, weight = (x.numpy() for x in (fixed, warped, weight))
    flat = [
        1e-4 * np.average((x - np.average(x, weights=weight)) ** 2, weights=weight) for x in (fixed, warped)
    ]
    total = 0.0
    for voxel in product(*map(range, fixed.shape)):
        box = tuple(slice(max(0, i - window // 2), i + window // 2 + 1) for i in voxel)
        w = weight[box].ravel()
        if w.sum() < 0.1 * window**fixed.ndim * weight.max():
            continue
        v = np.cov(fixed[box].ravel(), warped[box].ravel(), aweights=w, ddof=0)
        total += weight[voxel] * v[0, 1] ** 2 / ((v[0, 0] + flat[0]) * (v[1, 1] + flat[1]))
    return -total / weight.sum()


@pytest.mark.parametrize(("shape", "window"), [((9, 7), 5), ((6, 5, 7), 3), ((12, 1, 6), 3), ((4, 5), 9)])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_definition(shape, window, masked):
    generator = torch.Generator().manual_seed(0)
    fixed, noise, weight = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    warped = fixed.sin() + 0.5 * noise
    weight = weight.abs() * (weight > -0.5) if masked else torch.ones(shape, dtype=torch.float64)
    if masked:
        weight[:3] = 0
    found = LNCC(window_voxels=window)(fixed[None, None], warped[None, None], weight[None])
    assert float(found) == pytest.approx(reference(fixed, warped, weight, window), rel=1e-9)


def test_it_sees_through_a_bias_field_that_correlation_of_the_whole_does_not():
    generator = torch.Generator().manual_seed(0)
    fixed = torch.randn(1, 1, 40, 40, generator=generator)
    ramp = torch.linspace(-5, 5, 40)[:, None]
    assert float(LNCC()(fixed, -2 * fixed)) == pytest.approx(-1, abs=1e-3)
    # Noise of variance 1 over a slope of 0.26: by voxel the slope hides it, in a small window it does not.
    assert float(NCC(squared=True)(fixed, fixed + ramp)) > -0.15
    assert float(LNCC(window_voxels=3)(fixed, fixed + ramp)) < -0.9


def test_scale_and_offset_of_intensities_do_not_matter_in_single_precision():
    generator = torch.Generator().manual_seed(0)
    fixed, warped = torch.randn(2, 1, 1, 20, 20, generator=generator)
    expected = float(LNCC()(fixed, warped))
    assert float(LNCC()(1e-3 * fixed, 1e3 * warped + 1e4)) == pytest.approx(expected, abs=1e-3)


def test_two_voxels_alone_do_not_correlate():
    generator = torch.Generator().manual_seed(0)
    fixed, warped = torch.randn(2, 1, 1, 20, 20, generator=generator)
    weight = torch.zeros(1, 20, 20)
    weight[0, 3, 3:5] = 1
    assert float(LNCC()(fixed, warped, weight)) == 0


@pytest.mark.parametrize("window", [4, 1, -3])
def test_a_window_without_a_middle_is_refused(window):
    with pytest.raises(UsageError, match="window"):
        LNCC(window_voxels=window)


def test_samples_are_refused():
    with pytest.raises(UsageError, match="on loose samples take another metric"):
        LNCC()(torch.zeros(1, 1, 100), torch.zeros(1, 1, 100))
