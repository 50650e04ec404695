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


def plain(fixed, warped, weight, window):
    """The same, of whole volumes and left to autograd."""
    d = fixed.ndim - 2
    convolve = torch.nn.functional.conv2d if d == 2 else torch.nn.functional.conv3d
    box = fixed.new_ones(1, 1, *[window] * d)

    def summed(values):
        return convolve(values.flatten(0, 1)[:, None], box, padding="same").reshape(values.shape)

    def mean(values):
        axes = tuple(range(2, d + 2))
        return (values * w).sum(axes, keepdim=True) / w.sum(axes, keepdim=True)

    w = weight[:, None]
    x, y = fixed - mean(fixed), warped - mean(warped)
    count = summed(w)
    share = torch.where(count > 0, count, 1.0)
    x_mean, y_mean = summed(w * x) / share, summed(w * y) / share
    xx, yy = summed(w * x * x) / share - x_mean**2, summed(w * y * y) / share - y_mean**2
    xy = summed(w * x * y) / share - x_mean * y_mean
    squared = xy**2 / ((xx + 1e-4 * mean(x * x)) * (yy + 1e-4 * mean(y * y)))
    most = w.amax(tuple(range(1, d + 2)), keepdim=True)
    return -mean(torch.where(count >= 0.1 * window**d * most, squared, 0.0)).mean(1).flatten()


CASES = {
    "many slabs": ((200, 9), 3),
    "3-D": ((40, 9, 8), 3),
    "wide": ((36, 11, 5), 9),
    "wider than the image": ((5, 6, 4), 9),
}


# Of a few voxels of which some are masked, what is left may all but not vary, which no formula forgives.
LARGE = [name for name, (shape, window) in CASES.items() if window ** len(shape) >= 27]


@pytest.fixture
def thin_slabs(monkeypatch):
    """As thin as slabs may be, so that small images have several."""
    monkeypatch.setattr("inforeg.image.windows._CPU_SLAB", 1)


@pytest.mark.parametrize(("case", "precision"), [*product(CASES, ["double"]), *product(LARGE, ["single"])])
@pytest.mark.parametrize("masked", [False, True])
def test_values_and_gradients_are_those_of_the_plain_formula(case, precision, masked, thin_slabs):
    shape, window = CASES[case]
    dtype, tolerance = (torch.float64, 1e-10) if precision == "double" else (torch.float32, 1e-5)
    generator = torch.Generator().manual_seed(0)
    fixed, noise = torch.randn(2, 2, 2, *shape, generator=generator, dtype=torch.float64)
    warped = fixed.sin() + 0.5 * noise
    weight = torch.rand(2, *shape, generator=generator, dtype=torch.float64) + 0.1
    if masked:
        weight = torch.where(weight < 0.5, 0.0, weight)
        weight[:, 1:3] = 0
        fixed, warped = (torch.where(weight[:, None] > 0, x, 0.0) for x in (fixed, warped))
    upstream = torch.tensor([0.7, -0.3], dtype=torch.float64)

    def value_and_slopes(compare, *inputs):
        inputs = [x.clone().requires_grad_() for x in inputs]
        value = compare(*inputs)
        return value.detach(), *torch.autograd.grad((value * upstream.to(value)).sum(), inputs)

    exact = (fixed, warped, weight)
    expected = value_and_slopes(lambda *inputs: plain(*inputs, window), *exact)
    metric = LNCC(window_voxels=window)
    found = value_and_slopes(metric.per_pair, *(x.to(dtype) for x in exact))
    for a, b in zip(found, expected, strict=True):
        assert float((a - b).abs().max()) <= tolerance * float(b.abs().max())


def test_in_single_precision_nothing_is_lost_of_weak_texture_on_a_steep_ramp():
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(2, 1, 1, 60, 30, generator=generator, dtype=torch.float64)
    ramp = torch.linspace(0, 1000, 60, dtype=torch.float64)[:, None]
    fixed, warped = ramp + 3 * noise[0], 2 * ramp + 4 * noise[0] + 3 * noise[1] + 5000

    def value_and_slope(dtype):
        moved = warped.to(dtype).requires_grad_()
        value = LNCC(window_voxels=5)(fixed.to(dtype), moved)
        return value.detach(), *torch.autograd.grad(value, moved)

    for a, b in zip(value_and_slope(torch.float32), value_and_slope(torch.float64), strict=True):
        assert float((a - b).abs().max()) <= 1e-3 * float(b.abs().max())


def test_what_is_kept_for_the_gradient_is_the_gradient():
    fixed, warped = torch.randn(2, 1, 1, 30, 20, 10, generator=torch.Generator().manual_seed(0))
    kept = []

    def keep(tensor):
        kept.append(tensor.shape)
        return tensor

    metric = LNCC()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        metric(fixed, warped.requires_grad_())
    assert [shape for shape in kept if len(shape) > 2] == [warped.shape]
    with torch.no_grad():
        assert not metric(fixed, warped).requires_grad
