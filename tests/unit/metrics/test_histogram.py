import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from inforeg.metrics import histogram
from inforeg.metrics.histogram import bin_centres, intensity_range, joint_histogram, place

BINS = 9
DEGREE = {"nearest": 0, "linear": 1, "cubic": 3}
WINDOWS = [(a, b) for a in DEGREE for b in DEGREE]


def drawn(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    fixed, warped = 1 + (BINS - 3) * torch.rand(2, n, generator=generator, dtype=torch.float64)
    return fixed, warped, torch.rand(n, generator=generator, dtype=torch.float64)


def window_weights(places, window):
    """Every sample's weight on every bin, `(n, bins)`, from scipy's B-splines."""
    degree = DEGREE[window]
    knots = np.arange(degree + 2) - (degree + 1) / 2
    spline = BSpline.basis_element(knots, extrapolate=False)
    return np.nan_to_num(spline(places.numpy()[:, None] - np.arange(BINS)))


@pytest.mark.parametrize(("fixed_window", "warped_window"), WINDOWS)
def test_it_is_what_scipys_splines_give(fixed_window, warped_window):
    fixed, warped, weight = drawn(50)
    found = joint_histogram(fixed, warped, weight, BINS, fixed_window, warped_window)
    rows = window_weights(fixed, fixed_window) * weight.numpy()[:, None]
    np.testing.assert_allclose(found.numpy(), rows.T @ window_weights(warped, warped_window), atol=1e-14)


@pytest.mark.parametrize(("fixed_window", "warped_window"), WINDOWS)
def test_all_weight_is_counted_also_at_the_ends(fixed_window, warped_window):
    values = torch.tensor([-1e9, 0.0, 1e-7, 0.5, 1.0 - 1e-7, 1.0, 1e9])
    ends = torch.tensor(0.0), torch.tensor(1.0)
    fixed, warped = (place(values, *ends, BINS, w) for w in (fixed_window, warped_window))
    weight = torch.arange(7.0)
    table = joint_histogram(fixed, warped.flip(0), weight, BINS, fixed_window, warped_window)
    assert float(table.sum()) == pytest.approx(float(weight.sum()), rel=1e-6)
    assert float(table.min()) >= 0


@pytest.mark.parametrize(("fixed_window", "warped_window"), WINDOWS)
def test_its_derivatives_are_exact(fixed_window, warped_window):
    inputs = [x.requires_grad_() for x in drawn(20)]
    assert torch.autograd.gradcheck(
        lambda f, w, m: joint_histogram(f, w, m, BINS, fixed_window, warped_window),
        inputs,
        eps=1e-7,
        atol=1e-6,
    )


@pytest.mark.parametrize(("fixed_window", "warped_window"), WINDOWS)
def test_counting_by_product_is_the_same_as_by_index(fixed_window, warped_window):
    arguments = (*drawn(200), BINS, fixed_window, warped_window)
    by_index = histogram._count_by_index(*arguments)
    torch.testing.assert_close(histogram._count_by_product(*arguments), by_index, rtol=1e-12, atol=1e-12)


def test_chunks_add_up(monkeypatch):
    def value_and_slopes():
        inputs = [x.requires_grad_() for x in drawn(100)]
        table = joint_histogram(*inputs, BINS, "cubic", "cubic")
        slope = torch.arange(BINS * BINS, dtype=torch.float64).reshape(BINS, BINS).sin()
        return table, *torch.autograd.grad((table * slope).sum(), inputs)

    whole = value_and_slopes()
    monkeypatch.setattr(histogram, "_CHUNK", 7)
    for a, b in zip(value_and_slopes(), whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_what_is_kept_for_the_gradient_does_not_depend_on_the_bins():
    n, kept = 10_000, []

    def keep(tensor):
        kept.append(tensor.numel())
        return tensor

    fixed, warped, weight = (x.requires_grad_() for x in drawn(n))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        joint_histogram(fixed, warped, weight, 64, "cubic", "cubic")
    assert sum(kept) == 3 * n


def test_millions_of_samples_keep_their_small_change():
    n = 1 << 22
    table = joint_histogram(
        torch.full((n,), 3.3), torch.full((n,), 4.9), torch.full((n,), 0.1), BINS, "linear", "cubic"
    )
    assert float(table.double().sum()) == pytest.approx(0.1 * n, rel=1e-6)


def test_a_few_bright_voxels_do_not_stretch_the_range():
    values = torch.linspace(0, 1, 10_001)
    values[5000] = 1e6
    low, high = intensity_range(values, torch.ones_like(values), clip=0.001)
    assert float(low) == pytest.approx(0.001, abs=2e-4)
    assert float(high) == pytest.approx(0.999, abs=2e-4)
    assert [float(v) for v in intensity_range(values, torch.ones_like(values), clip=0.0)] == [0.0, 1e6]


def test_only_what_has_weight_sets_the_range():
    values = torch.tensor([-5.0, 1.0, 2.0, 3.0, 50.0])
    low, high = intensity_range(values, torch.tensor([0.0, 1.0, 0.5, 1.0, 0.0]), clip=0.001)
    assert (float(low), float(high)) == (1.0, 3.0)
    assert [float(v) for v in intensity_range(values, torch.zeros(5), clip=0.001)] == [0.0, 0.0]


def test_where_nearly_all_is_background_the_range_is_that_of_the_rest():
    values = torch.zeros(100_000)
    values[17], values[33] = -1.0, 2.0
    low, high = intensity_range(values, torch.ones_like(values), clip=0.001)
    assert (float(low), float(high)) == (-1.0, 2.0)


@pytest.mark.parametrize("window", DEGREE)
def test_centres_lie_where_their_intensities_are_placed(window):
    low, high = torch.tensor(-2.0), torch.tensor(3.0)
    centres = bin_centres(low, high, BINS, window)
    inside = (centres >= low) & (centres <= high)
    torch.testing.assert_close(
        place(centres, low, high, BINS, window)[inside], torch.arange(BINS)[inside].float()
    )
    assert int(inside.sum()) == (BINS - 2 if window == "cubic" else BINS)


def test_a_range_of_no_width_is_the_middle_bin():
    three = torch.tensor(3.0)
    assert place(torch.full((4,), 3.0), three, three, BINS, "cubic").tolist() == [4.0] * 4
