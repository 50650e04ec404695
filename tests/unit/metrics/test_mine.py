import math

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import MINE

SHUFFLES = {
    "permutation": {"marginal": "permutation"},
    "derangement": {"marginal": "derangement"},
    "several permutations": {"marginal": "permutation", "permutations": 3},
    "table": {"marginal": "table"},
}
every_shuffle = pytest.mark.parametrize("settings", SHUFFLES.values(), ids=SHUFFLES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def trained(fixed, warped, steps=200, batch=2048, **settings):
    metric = MINE(hidden=32, generator=seeded(), **settings)
    optimiser = torch.optim.Adam(metric.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    draw = seeded(1)
    for _ in range(steps):
        seen = torch.randperm(fixed.shape[2], generator=draw)[:batch]
        optimiser.zero_grad()
        metric(fixed[..., seen], warped[..., seen]).backward()
        optimiser.step()
        schedule.step()
    return metric.eval()


def force(metric, logit):
    """Make the network answer `logit`, whatever it is asked."""
    with torch.no_grad():
        metric.network.weights[-1].zero_()
        metric.network.biases[-1].fill_(logit)


@every_shuffle
@pytest.mark.parametrize("rho", [0.5, 0.9, 0.99])
def test_trained_on_gaussians_it_is_within_5_percent(gaussian_pair, settings, rho):
    metric = trained(*gaussian_pair(rho, 1 << 15)[:2], **settings)
    fixed, warped, truth = gaussian_pair(rho, 1 << 16, seed=2)
    with torch.no_grad():
        assert -float(metric(fixed, warped)) == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(
    "settings", [{"bias_correction": "ema", "rate": 0.1}, {"drift_penalty": 0.1}], ids=str
)
def test_corrected_and_penalised_it_is_within_5_percent_too(gaussian_pair, settings):
    metric = trained(*gaussian_pair(0.9, 1 << 15)[:2], **settings)
    fixed, warped, truth = gaussian_pair(0.9, 1 << 16, seed=2)
    with torch.no_grad():
        assert -float(metric(fixed, warped)) == pytest.approx(truth, rel=0.05)


@every_shuffle
def test_trained_on_independent_images_it_is_zero(gaussian_pair, settings):
    metric = trained(*gaussian_pair(0.0, 1 << 15)[:2], steps=100, **settings)
    fixed, warped, _ = gaussian_pair(0.0, 1 << 16, seed=2)
    with torch.no_grad():
        assert abs(float(metric(fixed, warped))) < 0.02


def test_of_colours_it_finds_what_no_single_channel_tells():
    # Whether two channels have the same sign is independent of each of them alone.
    signs = torch.randn(1, 2, 1 << 14, generator=seeded()).sign()
    warped = signs[:, :1] * signs[:, 1:]
    metric = trained(signs, warped, steps=100, channels=(2, 1))
    with torch.no_grad():
        assert -float(metric(signs, warped)) == pytest.approx(math.log(2), rel=0.05)


@every_shuffle
@pytest.mark.parametrize("correction", ["none", "ema"])
@pytest.mark.parametrize("logit", [200.0, -200.0, 1e4])
def test_large_logits_stay_finite_and_cancel(gaussian_pair, settings, correction, logit):
    metric = MINE(hidden=8, bias_correction=correction, **settings)
    force(metric, logit)
    fixed, warped, _ = gaussian_pair(0.5, 500)
    value = metric(fixed, warped.requires_grad_())
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-3)
    assert all(bool(torch.isfinite(p.grad).all()) for p in metric.parameters())
    assert bool(torch.isfinite(warped.grad).all())


@every_shuffle
def test_low_precision_around_it_does_not_reach_the_exponential(gaussian_pair, settings):
    fixed, warped, _ = gaussian_pair(0.5, 500)
    metric = MINE(hidden=8, **settings)
    expected = metric(fixed, warped)
    metric.reset()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(metric(fixed, warped), expected)


def test_the_network_has_the_stated_layers():
    metric = MINE(channels=(3, 2), hidden=100)
    assert [tuple(w.shape) for w in metric.network.weights] == [(100, 5), (100, 100), (1, 100)]
    assert sum(p.numel() for p in metric.parameters()) == 5 * 100 + 100 + 100 * 100 + 100 + 100 + 1


@pytest.mark.parametrize("weighted", [False, True])
def test_the_bound_is_what_its_definition_says(weighted):
    metric = MINE(hidden=8, generator=seeded(3))
    fixed, warped, weight = torch.randn(3, 1, 1, 50, generator=seeded())
    weight = weight[0].abs() if weighted else torch.ones(1, 50)
    state = metric.generator.get_state()
    found = metric(fixed, warped, weight)
    metric.generator.set_state(state)
    order = torch.randperm(50, generator=metric.generator)
    x, y, w = fixed[0].T, warped[0].T, weight[0]
    paired, unpaired = metric.network(x, y), metric.network(x, y[order])
    both = w * w[order]
    expected = ((both * unpaired.exp()).sum() / both.sum()).log() - (w * paired).sum() / w.sum()
    torch.testing.assert_close(found, expected)


def test_the_table_is_all_pairs_at_once():
    metric = MINE(hidden=8, marginal="table", bins=400, generator=seeded(3))
    fixed, warped, weight = torch.randn(3, 1, 1, 60, generator=seeded())
    weight = weight[0].abs()
    x, y, w = fixed[0].T, warped[0].T, weight[0] / weight.sum()
    i, j = torch.cartesian_prod(torch.arange(60), torch.arange(60)).T
    everything = (w[i] * w[j] * metric.network(x[i], y[j]).exp()).sum().log()
    expected = everything - (w * metric.network(x, y)).sum()
    torch.testing.assert_close(metric(fixed, warped, weight), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_in_a_derangement_nobody_meets_its_own_partner(count):
    metric = MINE()
    for _ in range(20):
        order, partner = metric._shuffle(count, "derangement")
        assert not bool((order == partner).any())
        assert sorted(order.tolist()) == sorted(partner.tolist()) == list(range(count))


def test_several_permutations_vary_less():
    fixed, warped = torch.randn(2, 1, 1, 200, generator=seeded())

    def spread(permutations):
        metric = MINE(hidden=8, permutations=permutations, generator=seeded(3))
        return float(torch.stack([metric(fixed, warped) for _ in range(30)]).std().detach())

    assert spread(10) < 0.6 * spread(1)


def test_the_running_mean_is_the_one_of_the_paper_and_one_for_each_key():
    metric = MINE(hidden=8, bias_correction="ema", rate=0.25)
    fixed, warped = torch.randn(2, 1, 1, 50, generator=seeded())

    def see(key, logit):
        metric.at(key)
        force(metric, logit)
        metric(fixed, warped)
        return float(metric._log_means[key].exp())

    assert see("coarse", 1.0) == pytest.approx(math.e)
    assert see("coarse", 2.0) == pytest.approx(0.75 * math.e + 0.25 * math.e**2)
    assert see("fine", 2.0) == pytest.approx(math.e**2)
    metric.eval()
    see("fine", 3.0)
    assert float(metric._log_means["fine"].exp()) == pytest.approx(math.e**2)
    metric.reset()
    metric.train()
    assert see("fine", -1.0) == pytest.approx(1 / math.e)


def test_the_correction_changes_gradients_and_not_the_value():
    fixed, warped = torch.randn(2, 1, 1, 50, generator=seeded())

    def value_and_slope(correction, calls):
        metric = MINE(hidden=8, bias_correction=correction, rate=0.5, generator=seeded(3))
        for _ in range(calls):
            metric.generator.manual_seed(4)
            value = metric(fixed, warped)
        (slope,) = torch.autograd.grad(value, metric.network.biases[0])
        return value, slope

    plain, corrected = value_and_slope("none", 1), value_and_slope("ema", 1)
    torch.testing.assert_close(plain, corrected)  # the first mean is the sample's own
    metric = MINE(hidden=8, bias_correction="ema", rate=0.5, generator=seeded(3))
    metric._log_means[None] = torch.tensor(5.0)
    metric.generator.manual_seed(4)
    value = metric(fixed, warped)
    (slope,) = torch.autograd.grad(value, metric.network.biases[0])
    torch.testing.assert_close(value, plain[0])
    assert float((slope - plain[1]).abs().max()) > 1e-3


def test_the_penalty_is_the_squared_logarithm():
    fixed, warped = torch.randn(2, 1, 1, 50, generator=seeded())
    metric = MINE(hidden=8, drift_penalty=0.5)
    force(metric, 3.0)
    assert float(metric(fixed, warped).detach()) == pytest.approx(0.5 * 9, rel=1e-5)


def test_reset_forgets_and_the_same_generator_learns_the_same(gaussian_pair):
    fixed, warped, _ = gaussian_pair(0.9, 500)
    metric = MINE(hidden=8, generator=seeded(5))
    first = metric(fixed, warped)
    metric.reset(seeded(6))
    assert not torch.equal(metric(fixed, warped), first)
    metric.reset(seeded(5))
    assert torch.equal(metric(fixed, warped), first)


def test_a_generator_that_goes_on_gives_another_shuffle(gaussian_pair):
    fixed, warped, _ = gaussian_pair(0.9, 500)
    metric = MINE(hidden=8)
    assert not torch.equal(metric(fixed, warped), metric(fixed, warped))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"marginal": "table", "channels": (3, 1)}, "the marginal table needs one channel"),
        ({"permutations": 0}, "permutations"),
        ({"rate": 0.0}, "rate"),
        ({"drift_penalty": -1.0}, "drift_penalty"),
        ({"channels": (0, 1)}, "channels"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        MINE(**settings)


def test_images_of_other_channels_are_refused():
    with pytest.raises(UsageError, match=r"make it with channels=\(3, 1\)"):
        MINE()(torch.zeros(1, 3, 10), torch.zeros(1, 1, 10))
