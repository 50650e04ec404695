import pytest
import torch

from inforeg.errors import UsageError
from inforeg.nets import UNet


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("ndim", [2, 3])
def test_features_come_at_the_images_resolution_or_half_of_it(ndim, half):
    net = UNet(ndim, 2, (4, 6, 8), (8, 6, 4), (5, 3), half=half)
    shape = (16, 24, 32)[:ndim]
    features = net(torch.rand(2, 2, *shape))
    assert features.shape == (2, 3, *[n // (1 + half) for n in shape])
    assert net.multiple == 8 and net.features == 3


def test_the_published_widths_have_the_published_number_of_weights():
    """Two images; 16-32-32-32 in, 32-32-32-32 back, 32-16-16 at the end: counted by hand, 27 taps and a bias each."""
    widths = [
        (2, 16),
        (16, 32),
        (32, 32),
        (32, 32),
        (32, 32),
        (64, 32),
        (64, 32),
        (64, 32),
        (48, 32),
        (32, 16),
        (16, 16),
    ]
    assert sum(p.numel() for p in UNet(3, 2).parameters()) == sum((27 * i + 1) * o for i, o in widths)


def test_what_is_computed_again_gives_the_same_gradients():
    x = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    slopes = []
    for checkpointing in (False, True):
        net = UNet(2, 2, (4, 4), (4, 4), (4,), checkpointing=checkpointing)
        net(x).square().sum().backward()
        slopes.append([p.grad for p in net.parameters()])
    for one, other in zip(*slopes, strict=True):
        assert torch.equal(one, other) and float(one.abs().sum()) > 0


def test_weights_come_from_the_generator_alone():
    torch.random.default_generator.manual_seed(5)
    before = torch.random.get_rng_state()
    one, other = (UNet(2, 2, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(torch.random.get_rng_state(), before)
    third = UNet(2, 2, generator=torch.Generator().manual_seed(4))
    same = [torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True)]
    assert all(same) and not torch.equal(one.down[0].weight, third.down[0].weight)


def test_features_keep_their_size_through_all_layers():
    """As He et al. meant it: neither dies out nor grows, however deep."""
    x = torch.randn(1, 2, 32, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = UNet(3, 2)(x)
    assert 0.3 < float(features.square().mean().sqrt()) < 3


@pytest.mark.parametrize(
    ("shape", "said"), [((20, 16), "multiple of 16"), ((16,), "2 axes"), ((16, 16, 16), "2 axes")]
)
def test_sizes_that_do_not_fit_are_refused(shape, said):
    with pytest.raises(UsageError, match=said):
        UNet(2, 1)(torch.rand(1, 1, *shape))


@pytest.mark.parametrize(
    ("widths", "said"),
    [(((4, 4), (4,), (4,)), "1 and 2"), (((), (), (4,)), "at least one"), (((4,), (4,), ()), "at least")],
)
def test_widths_that_do_not_fit_are_refused(widths, said):
    with pytest.raises(UsageError, match=said):
        UNet(2, 1, *widths)
