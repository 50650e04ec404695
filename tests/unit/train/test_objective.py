import math

import pytest
import torch
from made_up import recipe

from inforeg.errors import UsageError
from inforeg.image.sample import sample_displaced
from inforeg.metrics import LNCC, MINE, LocalMINE
from inforeg.train import machine
from inforeg.train.objective import VelocityObjective, metric_of, soft_dice
from inforeg.train.source import seeded


def pair(batch=2):
    """Bright squares on noise, in two contrasts, so that there is something to tell."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(batch, 1, 48, 64)
    mask[..., 10:30, 20:50] = 1
    noise = 0.05 * torch.randn(2, batch, 1, 48, 64, generator=generator)
    return mask + noise[0], 0.3 + 0.5 * (1 - mask) + noise[1]


def seeds():
    return [seeded(1, n) for n in range(2)]


@pytest.mark.parametrize("metric", ["mine", "mine_local", "lncc", "mse", "nmi", "mi", "ncc", "mind_ssc"])
def test_every_metric_gives_a_cost_and_moves_the_network(made_up, metric):
    objective = VelocityObjective(recipe(made_up, metric=metric))
    found = objective(*pair(), seeds())
    torch.testing.assert_close(found.cost, 2 * found.metric + found.prior)
    found.cost.backward()
    assert float(objective.net.mean.weight.grad.abs().sum()) > 0
    assert all(p.grad is not None for p in objective.metric.parameters())


def test_the_published_losses(made_up):
    """Two convolutions over single voxels, 30 units, 8 mm about each voxel; a window of 9."""
    local, everywhere = (metric_of(recipe(made_up, metric=m, spacing_mm=2.0)) for m in ("mine_local", "mine"))
    assert isinstance(local, LocalMINE) and local.settings.neighbourhood_voxels == 4
    assert isinstance(everywhere, MINE) and everywhere.settings.marginal == "permutation"
    for metric in (local, everywhere):
        assert metric.network.sizes == (2, 30, 1)
    window = metric_of(recipe(made_up, metric="lncc"))
    assert isinstance(window, LNCC) and window.window_voxels == 9


def test_soft_dice_of_what_is_the_same_and_what_is_apart():
    one = torch.zeros(2, 3, 8, 8)
    one[:, 0, :4], one[:, 1, 4:] = 1.0, 0.5
    assert float(soft_dice(one, one)) == pytest.approx(1)
    assert float(soft_dice(one, one.flip(2))) == 0
    half = one.clone()
    half[:, 0, :2] = 0
    # 2 * 16 / (32 + 16) of the first structure, the second as it was; the third is nowhere.
    assert float(soft_dice(one, half)) == pytest.approx((2 / 3 + 1) / 2)
    assert float(soft_dice(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))) == 1


def test_overlap_alone_teaches_a_network(made_up):
    """The metric weighs nothing: what is learnt is learnt from labels."""
    objective = VelocityObjective(recipe(made_up, metric="mse", alpha=0.0, label_weight=10.0, smoothness=1.0))
    square = torch.zeros(1, 1, 48, 64)
    square[..., 14:34, 20:44] = 1
    shifted = square.roll(3, dims=-2)
    optimiser = torch.optim.Adam(objective.parameters(), lr=1e-3)
    overlaps = []
    for step in range(60):
        found = objective(square, shifted, [seeded(1, step)], (square, shifted))
        torch.testing.assert_close(found.cost, found.prior + 10 * (1 - found.overlap))
        optimiser.zero_grad()
        found.cost.backward()
        optimiser.step()
        overlaps.append(float(found.overlap.detach()))
    assert overlaps[0] < 0.87 and overlaps[-1] > 0.95


def test_settings_of_the_metric_are_taken_and_wrong_ones_are_named(made_up):
    settings = {"marginal": "table", "bins": 16, "activation": "leaky_relu", "hidden_layers": 2}
    metric = metric_of(recipe(made_up, metric="mine", metric_settings=settings))
    assert (
        metric.settings.bins == 16 and metric.network.sizes == (2, 30, 30, 1) and metric.network.slope == 0.2
    )
    with pytest.raises(UsageError, match="metric_settings of mse"):
        metric_of(recipe(made_up, metric="mse", metric_settings={"bins": 4}))
    with pytest.raises(UsageError, match="hidden"):
        metric_of(recipe(made_up, metric="mine", metric_settings={"hidden": 0}))


def test_a_batch_costs_the_mean_of_its_pairs(made_up):
    objective = VelocityObjective(recipe(made_up, metric="mine_local"))
    fixed, moving = pair()
    whole = objective(fixed, moving, seeds())
    parts = [objective(fixed[n : n + 1], moving[n : n + 1], seeds()[n : n + 1]) for n in range(2)]
    one, other = (part.parts() for part in parts)
    assert set(whole.parts()) == {"cost", "metric", "prior"}
    for name, value in whole.parts().items():
        torch.testing.assert_close(value, (one[name] + other[name]) / 2)


def test_the_gradient_reaches_the_image_through_both_means(made_up):
    """The shuffled pairs see the warped image too (Snaauw et al., eq. 3): a constant added to F changes nothing."""
    objective = VelocityObjective(recipe(made_up, metric="mine"))
    fixed, moving = pair()
    with torch.no_grad():
        for weight in objective.metric.network.weights:
            weight.mul_(3)
    warped = moving[0].clone().requires_grad_()
    slope = torch.autograd.grad(objective.compare(fixed[0], warped, seeded(1)), warped)[0]
    n = warped.numel()
    scores = objective.metric.network
    paired = scores(fixed[0].reshape(n, 1), warped.reshape(n, 1)).mean()
    alone = torch.autograd.grad(-paired, warped)[0]
    assert float((slope - alone).abs().max()) > 0.1 * float(alone.abs().max())


def test_noise_starts_where_the_prior_has_it(made_up):
    for half, degrees in ((False, 4.0), (True, 1.0)):
        net = {**recipe(made_up).net.to_dict(), "half": half}
        objective = VelocityObjective(recipe(made_up, net=net, smoothness=25.0))
        belief = objective.belief(*pair())
        torch.testing.assert_close(
            belief.log_variance.detach(),
            torch.full_like(belief.log_variance, -math.log(25 * degrees)),
            atol=1e-6,
            rtol=0,
        )
        # There the prior is at its least: more noise costs, and so does less.
        costs = []
        for change in (-0.5, 0.0, 0.5):
            with torch.no_grad():
                objective.net.log_variance.bias.fill_(-math.log(25 * degrees) + change)
                costs.append(float(objective.belief(*pair()).prior(25.0)))
        assert costs[1] < costs[0] and costs[1] < costs[2]


def test_bf16_is_computed_in_where_the_device_does(monkeypatch):
    cpu = torch.device("cpu")
    for there in (False, True):
        monkeypatch.setattr(machine, "computes_in_bf16", lambda device, there=there: there)
        with machine.features_in("bf16", cpu):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == (torch.bfloat16 if there else torch.float32)
        with machine.features_in("32", cpu):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def test_what_a_network_says_of_a_pair_does_not_depend_on_precision_much(made_up, monkeypatch):
    monkeypatch.setattr(machine, "computes_in_bf16", lambda device: True)
    fixed, moving = pair()
    found = []
    for precision in ("32", "bf16"):
        objective = VelocityObjective(recipe(made_up, precision=precision))
        with torch.no_grad():
            objective.net.mean.weight.mul_(1e4)
            belief = objective.belief(fixed, moving)
            found.append(sample_displaced(moving, belief.displaced(belief.mean)))
    assert float((found[0] - moving).abs().max()) > 0.05
    assert float((found[0] - found[1]).abs().max()) < 0.05
