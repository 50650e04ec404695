import math

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import METRICS, MINE, DonskerVaradhan, LocalMINE
from inforeg.metrics.local_mine import partners_nearby


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def partners(metric, voxel, weight, shape):
    reach = [metric.settings.neighbourhood_voxels] * len(shape)
    return partners_nearby(voxel, weight, shape, reach, metric.generator)


def all_partners(metric, shape, weight=None, calls=1):
    """Who is paired with whom: indices `(calls * voxels, d)` of voxels and of their partners."""
    count = math.prod(shape)
    voxel = torch.arange(count)
    weight = torch.ones(count) if weight is None else weight.flatten()
    partner = torch.cat([partners(metric, voxel, weight, shape) for _ in range(calls)])
    there = [torch.stack(torch.unravel_index(v, shape), dim=1) for v in (voxel.repeat(calls), partner)]
    return there[0], there[1]


@pytest.mark.parametrize("shape", [(40, 9), (12, 20, 5)])
@pytest.mark.parametrize("reach", [1, 3, 8])
def test_partners_lie_in_the_neighbourhood_and_in_the_image(shape, reach):
    voxel, partner = all_partners(LocalMINE(neighbourhood_voxels=reach), shape, calls=3)
    offset = partner - voxel
    assert int(offset.abs().max()) == min(reach, max(shape) - 1)
    assert bool((partner >= 0).all() and (partner < torch.tensor(shape)).all())
    # As many to one side as to the other, along every axis.
    assert float(offset.float().mean(dim=0).abs().max()) < 0.1 * reach


@pytest.mark.parametrize("place", [0, 1, 10, 19])
def test_of_what_the_image_holds_of_the_neighbourhood_every_voxel_is_drawn_alike(place):
    metric = LocalMINE(neighbourhood_voxels=4)
    count = 20_000
    drawn = partners(metric, torch.full((count,), place), torch.ones(20), (20,))
    first, last = max(0, place - 4), min(19, place + 4)
    seen = torch.bincount(drawn, minlength=20)
    assert int(seen[first : last + 1].sum()) == count
    expected = count / (last - first + 1)
    assert float((seen[first : last + 1] - expected).abs().max()) < 5 * expected**0.5


def test_every_call_draws_anew_and_the_same_seed_draws_the_same():
    metric = LocalMINE(generator=seeded(1))
    first, second = (all_partners(metric, (30, 30))[1] for _ in range(2))
    assert not torch.equal(first, second)
    metric.reset(seeded(1))
    assert torch.equal(all_partners(metric, (30, 30))[1], first)


def test_partners_without_weight_are_drawn_again_and_lonely_voxels_keep_to_themselves():
    weight = (torch.rand(30, 20, generator=seeded()) < 0.5).float()
    weight[:12] = 0
    weight[2, 2] = 1  # 10 rows from all others
    voxel, partner = all_partners(LocalMINE(neighbourhood_voxels=3), weight.shape, weight)
    seen = weight[tuple(voxel.T)] > 0
    voxel, partner = voxel[seen], partner[seen]
    assert bool((weight[tuple(partner.T)] > 0).all())
    alone = (voxel == partner).all(dim=1)
    assert partner[(voxel == torch.tensor([2, 2])).all(dim=1)].tolist() == [[2, 2]]
    assert int(alone.sum()) < 0.1 * len(alone)


def test_the_bound_is_what_its_definition_says():
    metric = LocalMINE(neighbourhood_voxels=2, hidden=8, generator=seeded(3))
    fixed, warped = torch.randn(2, 1, 1, 7, 6, generator=seeded())
    weight = torch.rand(1, 7, 6, generator=seeded(1)) + 0.1
    state = metric.generator.get_state()
    found = metric(fixed, warped, weight)
    metric.generator.set_state(state)
    partner = partners(metric, torch.arange(42), weight.flatten(), (7, 6))
    x, y, w = fixed.reshape(-1, 1), warped.reshape(-1, 1), weight.flatten()
    both = w * w[partner]
    unpaired = (both * metric.network(x, y[partner]).exp()).sum() / both.sum()
    expected = unpaired.log() - (w * metric.network(x, y)).sum() / w.sum()
    torch.testing.assert_close(found, expected)


def trained(metric, fixed, warped, steps=150):
    optimiser = torch.optim.Adam(metric.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        metric(fixed, warped).backward()
        optimiser.step()
    with torch.no_grad():
        return -float(torch.stack([metric(fixed, warped) for _ in range(20)]).mean())


def local_information(picture, reach):
    """What a picture tells of itself beyond its neighbourhoods, in nats, counted over all pairs there are."""
    kinds = picture.unique().tolist()
    unpaired = torch.zeros(len(kinds), len(kinds))
    for i, j in torch.cartesian_prod(*map(torch.arange, picture.shape)).tolist():
        around = picture[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1]
        own = kinds.index(float(picture[i, j]))
        unpaired[own] += torch.tensor([float((around == k).float().mean()) for k in kinds])
    unpaired /= unpaired.sum()
    return sum(
        float(share * (share / unpaired[k, k]).log())
        for k, share in enumerate((picture == kind).float().mean() for kind in kinds)
    )


def test_it_counts_what_tells_a_voxel_from_its_neighbours_and_not_from_the_background():
    """Two tissues in fine stripes over background: 1.04 nats in all, of which the stripes alone are a part."""
    stripes = torch.ones(32, 32)
    stripes[:, ::2] = 2
    picture = torch.where(torch.arange(32)[:, None] < 16, 0.0, stripes)
    expected = local_information(picture, 2)
    assert 0.25 < expected < 0.35
    image = picture[None, None]
    whole = trained(MINE(hidden=16), image.flatten(2), image.flatten(2))
    local = trained(LocalMINE(hidden=16, neighbourhood_voxels=2), image, image)
    assert whole == pytest.approx(1.5 * math.log(2), rel=0.05)
    assert local == pytest.approx(expected, rel=0.05)


def test_a_few_voxels_tell_what_all_do_and_only_they_are_looked_at():
    fixed, noise = torch.randn(2, 1, 1, 60, 60, generator=seeded())
    warped = fixed + 0.3 * noise
    metric = LocalMINE(hidden=8, samples=50, generator=seeded(3))
    moved = warped.clone().requires_grad_()
    metric(fixed, moved).backward()
    assert 50 < int((moved.grad != 0).sum()) <= 100
    every = LocalMINE(hidden=8, generator=seeded(3))
    with torch.no_grad():
        some = torch.stack([metric(fixed, warped) for _ in range(400)]).mean()
        torch.testing.assert_close(some, every(fixed, warped), rtol=0, atol=0.01)


def test_samples_are_drawn_where_there_is_weight():
    metric = LocalMINE(hidden=8, samples=500)
    fixed, warped = torch.randn(2, 1, 1, 40, 40, generator=seeded())
    weight = torch.zeros(1, 40, 40)
    weight[:, 5:9, 30:] = 1
    moved = warped.requires_grad_()
    metric(fixed, moved, weight).backward()
    assert bool((moved.grad[0, 0][weight[0] == 0] == 0).all())
    assert float(moved.grad.abs().max()) > 0


def test_running_means_and_penalties_are_those_of_mine():
    fixed, warped = torch.randn(2, 1, 1, 9, 9, generator=seeded())
    metric = LocalMINE(hidden=8, drift_penalty=0.5, bias_correction="ema")
    with torch.no_grad():
        metric.network.weights[-1].zero_()
        metric.network.biases[-1].fill_(3.0)
    metric.at("fine")
    assert float(metric(fixed, warped).detach()) == pytest.approx(0.5 * 9, rel=1e-5)
    assert float(metric._log_means["fine"]) == pytest.approx(3)
    assert issubclass(METRICS["mine"], DonskerVaradhan) and issubclass(METRICS["mine_local"], DonskerVaradhan)


@pytest.mark.parametrize(
    "settings", [{"neighbourhood_voxels": 0}, {"samples": 1}, {"hidden": 0}, {"rate": 2.0}], ids=str
)
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        LocalMINE(**settings)


def test_samples_without_a_place_and_other_channels_are_refused():
    with pytest.raises(UsageError, match="on loose samples take another metric"):
        LocalMINE()(torch.zeros(1, 1, 100), torch.zeros(1, 1, 100))
    with pytest.raises(
        UsageError, match=r"as LocalMINE was made for, got 3 and 1; make it with channels=\(3, 1\)"
    ):
        LocalMINE()(torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8))


def test_the_reach_is_that_of_each_axis():
    voxel = torch.arange(600)
    drawn = partners_nearby(voxel, torch.ones(600), (20, 30), (2, 5), seeded())
    offset = torch.stack((drawn // 30 - voxel // 30, drawn % 30 - voxel % 30))
    assert offset.abs().amax(dim=1).tolist() == [2, 5]
