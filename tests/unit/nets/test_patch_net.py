"""The patch classifier: patches and whole images agree, and its logits are the information of what it is shown."""

import math

import pytest
import torch
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.nets.patch_net import PatchNet, PatchNetSettings, information_nats


def test_four_convolutions_see_seventeen_voxels():
    assert PatchNetSettings().patch == 17
    assert PatchNetSettings(widths=(4, 4, 4)).patch == 13


@pytest.mark.parametrize("ndim", [2, 3])
def test_patches_and_whole_images_agree(ndim):
    net = PatchNet(PatchNetSettings(ndim=ndim, widths=(4, 8, 8, 8)))
    shape = (26, 23, 19)[:ndim]
    pair = torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        dense = net.dense(pair)[0]
        assert dense.shape == tuple((n - 17) // 2 + 1 for n in shape)
        for place in (tuple(0 for _ in shape), tuple(n - 1 for n in dense.shape), (2, 1, 0)[:ndim]):
            box = (slice(None), slice(None), *[slice(2 * i, 2 * i + 17) for i in place])
            torch.testing.assert_close(net(pair[box])[0], dense[place], atol=1e-5, rtol=1e-5)


def test_every_voxel_of_a_patch_counts():
    net = PatchNet(PatchNetSettings(ndim=2, widths=(8, 8, 8, 8)))
    patch = torch.rand(1, 2, 17, 17, generator=torch.Generator().manual_seed(1)).requires_grad_()
    net(patch).sum().backward()
    assert float((patch.grad.abs() > 0).float().mean()) > 0.95


def test_the_seed_draws_the_weights_and_nothing_else():
    before = torch.random.get_rng_state()
    one, other = (PatchNet(PatchNetSettings(ndim=2, widths=(4, 4))) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_what_does_not_fit_is_refused():
    net = PatchNet(PatchNetSettings(ndim=2, widths=(4, 4, 4, 4)))
    with pytest.raises(UsageError, match=r"patches of shape \(2, 17, 17\)"):
        net(torch.zeros(3, 2, 17, 16))
    with pytest.raises(UsageError, match="at least 17 voxels"):
        net.dense(torch.zeros(1, 2, 40, 16))


def test_odds_of_the_classes_are_taken_off():
    logits = torch.tensor([1.0, 2.0, 3.0]) + math.log(0.8 / 0.2)
    assert float(information_nats(logits, 0.8)) == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_it_learns_the_information_of_patches_that_have_one_common_bit(share):
    """Patches of one place share a sign and nothing else: ln 2 nats, whatever the share of such pairs is."""
    generator = torch.Generator().manual_seed(3)
    net = PatchNet(PatchNetSettings(ndim=2, widths=(8, 8, 8, 8)), generator)

    def patches(count, same):
        signs = torch.randint(0, 2, (2, count), generator=generator) * 2.0 - 1
        signs[1] = torch.where(same, signs[0], signs[1])
        noise = 0.3 * torch.randn(count, 2, 17, 17, generator=generator)
        return signs.T[:, :, None, None] + noise

    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(150):
        same = torch.rand(256, generator=generator) < share
        cost = functional.binary_cross_entropy_with_logits(net(patches(256, same)), same.float())
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()
    with torch.no_grad():
        found = float(information_nats(net(patches(2000, torch.ones(2000).bool())), share))
    assert found == pytest.approx(math.log(2), abs=0.08)
