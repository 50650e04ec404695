import math

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import MutualInformation, NormalisedMutualInformation

COUNTS = torch.tensor([[40, 3, 0, 7], [1, 25, 9, 0], [0, 0, 5, 30], [2, 2, 2, 2]])


def samples_of(counts):
    """Images that hold each pair of levels as often as the table says."""
    fixed, warped = counts.nonzero().T
    times = counts[fixed, warped]
    return [x.repeat_interleave(times).double()[None, None] for x in (fixed, warped)]


def entropy(counts):
    shares = [n / int(counts.sum()) for n in counts.flatten().tolist() if n]
    return -sum(p * math.log(p) for p in shares)


@pytest.mark.parametrize("window", ["nearest", "linear"])
def test_of_discrete_images_it_is_the_closed_form(window):
    fixed, warped = samples_of(COUNTS)
    settings = {"bins": 4, "fixed_window": window, "warped_window": window, "clip": 0.0}
    rows, columns, both = entropy(COUNTS.sum(1)), entropy(COUNTS.sum(0)), entropy(COUNTS)
    information = MutualInformation(**settings)(fixed, warped)
    assert float(information) == pytest.approx(-(rows + columns - both), rel=1e-12)
    normalised = NormalisedMutualInformation(**settings)(fixed, warped)
    assert float(normalised) == pytest.approx(1 - (rows + columns) / both, rel=1e-12)


def test_one_to_one_images_share_all_their_entropy():
    fixed, _ = samples_of(COUNTS)
    settings = {"bins": 4, "fixed_window": "nearest", "warped_window": "nearest"}
    assert float(MutualInformation(**settings)(fixed, 3 - fixed)) == pytest.approx(-entropy(COUNTS.sum(1)))
    assert float(NormalisedMutualInformation(**settings)(fixed, 3 - fixed)) == pytest.approx(-1)


@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99])
def test_of_gaussians_it_is_within_3_percent_with_fine_bins_and_many_samples(gaussian_pair, rho):
    fixed, warped, truth = gaussian_pair(rho, 1 << 20)
    assert -float(MutualInformation(bins=128)(fixed, warped)) == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(("rho", "low"), [(0.5, 0.95), (0.9, 0.91), (0.99, 0.75)])
def test_of_gaussians_the_usual_bins_underestimate_but_no_more_than_stated(gaussian_pair, rho, low):
    fixed, warped, truth = gaussian_pair(rho, 200_000)
    assert low < -float(MutualInformation()(fixed, warped)) / truth < 1


@pytest.mark.parametrize("kind", [MutualInformation, NormalisedMutualInformation])
def test_of_independent_images_it_is_zero(gaussian_pair, kind):
    fixed, warped, _ = gaussian_pair(0.0, 20_000)
    assert abs(float(kind()(fixed, warped))) < 0.01


def test_any_contrast_that_can_be_undone_has_the_same_information(gaussian_pair):
    fixed, warped, _ = gaussian_pair(0.9, 50_000)
    metric = MutualInformation(bins=64)
    expected = float(metric(fixed, warped))
    assert float(metric(-40 * fixed + 3, warped)) == pytest.approx(expected, rel=1e-3)


def test_several_channels_cost_the_mean_over_all_their_pairs(gaussian_pair):
    fixed, warped, _ = gaussian_pair(0.9, 2000)
    other = warped.sin()
    metric = MutualInformation()
    expected = (metric(fixed, warped) + metric(fixed, other)) / 2
    torch.testing.assert_close(metric(fixed, torch.cat((warped, other), dim=1)), expected)


def test_a_given_range_is_used():
    fixed, warped = samples_of(COUNTS)
    settings = {"bins": 4, "fixed_window": "nearest", "warped_window": "nearest"}
    lumped = MutualInformation(**settings, fixed_range=(10.0, 20.0))(fixed, warped)
    assert float(lumped) == pytest.approx(0, abs=1e-12)
    same = MutualInformation(**settings, fixed_range=(0.0, 3.0), warped_range=(0.0, 3.0))(fixed, warped)
    torch.testing.assert_close(same, MutualInformation(**settings, clip=0.0)(fixed, warped))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fixed_range": (1.0, 1.0)}, "expected fixed_range as"),
        ({"warped_range": (2.0, 1.0)}, "expected warped_range as"),
        ({"bins": 3}, "bins"),
        ({"clip": 0.5}, "clip"),
        ({"clip": -0.1}, "clip"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        MutualInformation(**settings)


@pytest.mark.parametrize("kind", [MutualInformation, NormalisedMutualInformation])
def test_images_without_any_entropy_have_a_value_and_a_gradient(kind):
    metric = kind(
        bins=4, fixed_window="linear", warped_window="linear", fixed_range=(0.0, 3.0), warped_range=(0.0, 3.0)
    )
    warped = torch.ones(1, 1, 10, requires_grad=True)
    value = metric(torch.ones(1, 1, 10), warped)
    value.backward()
    assert float(value.detach()) == 0
    assert bool(torch.isfinite(warped.grad).all())
