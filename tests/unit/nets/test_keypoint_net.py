import pytest
import torch

from inforeg.errors import UsageError
from inforeg.nets.keypoint_net import KeypointNet, KeypointNetSettings, centres_of_mass

SMALL = {"widths": (8, 8, 16, 16, 16), "encoder": (8, 8, 8), "decoder": (8, 8, 8), "keypoints": 6}
BACKBONES = ["convolutions", "unet"]


def made(**changes):
    return KeypointNet(KeypointNetSettings(**{**SMALL, **changes}))


def blob(shape, at, width=3.0):
    """Something to be found that has no symmetry, in the dark."""
    lines = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
    image = torch.zeros(shape)
    for k, size in enumerate((1.0, 0.6, 0.8)):
        middle = [a + (5.0 * k if axis == k % len(shape) else 0.0) for axis, a in enumerate(at)]
        squares = sum((line - m) ** 2 for line, m in zip(lines, middle, strict=True))
        image += size * torch.exp(-squares / (2 * width**2))
    return image[None, None] * (image > 0.01)


@pytest.mark.parametrize("voxel", [1, 2, 4])
@pytest.mark.parametrize("shape", [(6, 9), (5, 6, 7)])
def test_a_map_with_one_voxel_in_it_gives_its_centre(shape, voxel):
    for place in (tuple(0 for _ in shape), tuple(n - 1 for n in shape), tuple(n // 2 for n in shape)):
        maps = torch.zeros(1, 2, *shape)
        maps[(0, 0, *place)], maps[(0, 1, *place)] = 3.0, 1.0
        found = centres_of_mass(maps, voxel)
        middle = torch.tensor([voxel * p + (voxel - 1) / 2 for p in place])
        torch.testing.assert_close(found.voxel[0], middle.expand(2, -1))
        torch.testing.assert_close(found.weights, torch.tensor([[0.75, 0.25]]))


def test_between_two_voxels_lies_their_weighted_middle():
    maps = torch.zeros(1, 1, 8, 8)
    maps[0, 0, 2, 3], maps[0, 0, 2, 7] = 3.0, 1.0
    torch.testing.assert_close(centres_of_mass(maps).voxel[0, 0], torch.tensor([2.0, 4.0]))


@pytest.mark.parametrize("shape", [(6, 9), (5, 6, 7)])
def test_how_likely_a_place_is_by_a_map(shape):
    maps = torch.rand(2, 3, *shape) + 0.1
    found = centres_of_mass(maps, 2)
    share = maps / maps.flatten(2).sum(2)[(..., *[None] * len(shape))]
    index = (1, 2, *[n // 2 for n in shape])
    place = torch.zeros(2, 3, len(shape))
    place[1, 2] = 2 * torch.tensor(index[2:]) + 0.5
    torch.testing.assert_close(found.likelihood(place)[1, 2], share[index].log())
    # The corner of the image lies outside the middle of the first voxel: at the edge.
    torch.testing.assert_close(found.likelihood(place)[0, 0], share[(0, 0, *[0] * len(shape))].log())
    between, next_one = place.clone(), (*index[:-1], index[-1] + 1)
    between[1, 2, -1] += 0.5
    wanted = 0.75 * share[index].log() + 0.25 * share[next_one].log()
    torch.testing.assert_close(found.likelihood(between)[1, 2], wanted)


def test_packed_voxels_are_the_same_points_for_less():
    """The network sees every voxel, and a shift by a voxel of its map is one, wherever it ends."""
    net = made(ndim=3, packed=2, halvings=1, norm="none")
    assert net.multiple == 4
    image = torch.rand(1, 1, 16, 16, 16)
    heat = net.heat(image)
    assert tuple(heat.shape) == (1, 6, 4, 4, 4)
    for voxel in [(5, 6, 7), (4, 6, 7), (5, 7, 7), (5, 6, 6)]:
        other = image.clone()
        other[(0, 0, *voxel)] += 1
        assert not torch.equal(net.heat(other), heat)
    wide = torch.zeros(1, 1, 48, 16, 16)
    wide[:, :, 16:28, 4:12, 4:12] = torch.rand(12, 8, 8)
    with torch.no_grad():
        one, other = net.heat(wide), net.heat(wide.roll(4, 2))
    torch.testing.assert_close(other[:, :, 5:9], one[:, :, 4:8], atol=1e-5, rtol=1e-5)


def test_digits_are_kept_in_large_fields_of_view():
    maps = torch.full((1, 1, 4, 4096), 1e-6)
    maps[0, 0, 1, 4000] = 1e6
    assert float((centres_of_mass(maps).voxel[0, 0] - torch.tensor([1.0, 4000.0])).abs().max()) < 1e-2


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_shifted_image_has_shifted_points(backbone, ndim):
    """By whole voxels of the coarsest map exactly; the object lies far from where the image ends."""
    net = made(ndim=ndim, backbone=backbone, norm="none")
    shape, at = (128, *[32] * (ndim - 1)), [60, *[14] * (ndim - 1)]
    by = net.multiple
    with torch.no_grad():
        # What a map has beside the object has no place of its own.
        one, other = (net.heat(blob(shape, [at[0] + k, *at[1:]])) for k in (0, by))
        dark = net.heat(torch.zeros(1, 1, *shape))
    step, third = by // (shape[0] // one.shape[2]), one.shape[2] // 3
    same = other.roll(-step, 2).narrow(2, third, third), one.narrow(2, third, third)
    torch.testing.assert_close(*same, atol=1e-5, rtol=1e-5)
    lit = [centres_of_mass((maps - dark).abs(), shape[0] // maps.shape[2]).voxel for maps in (one, other)]
    shift = torch.tensor([float(by), *[0.0] * (ndim - 1)]).expand_as(lit[0])
    torch.testing.assert_close(lit[1] - lit[0], shift, atol=0.05, rtol=0)


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_points_are_in_the_field_of_view_and_move_by_the_weights(backbone, norm):
    net = made(ndim=2, backbone=backbone, norm=norm)
    image = blob((64, 48), (30, 20)).requires_grad_()
    found = net(image)
    assert tuple(found.voxel.shape) == (1, 6, 2) and bool((found.voxel > 0).all())
    assert bool((found.voxel < torch.tensor([63.0, 47.0])).all())
    torch.testing.assert_close(found.weights.sum(1), torch.ones(1))
    found.voxel.square().sum().backward()
    assert all(p.grad is not None and float(p.grad.abs().sum()) > 0 for p in net.head.parameters())


def test_no_channel_is_ever_dead():
    net = made(ndim=2)
    with torch.no_grad():
        net.head.bias.fill_(-1e4)
    image = blob((64, 64), (20, 40))
    found = net(image)
    assert bool(torch.isfinite(found.voxel).all())
    # The middle of the field of view, and no corner of it.
    torch.testing.assert_close(found.voxel[0], torch.full((6, 2), 31.5), atol=1e-2, rtol=0)


def test_a_batch_is_the_same_as_one_after_the_other():
    net = made(ndim=2)
    images = torch.cat([blob((64, 64), at) for at in ((20, 30), (40, 25))])
    together = net(images)
    for k in range(2):
        alone = net(images[k : k + 1])
        torch.testing.assert_close(together.voxel[k], alone.voxel[0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("blur", [True, False])
def test_what_is_halved_by_a_filter_shifts_by_parts_of_a_voxel(blur):
    """A shift by one voxel is half a voxel of the next level, which a maximum does not know."""
    net = made(ndim=2, blur=blur)
    image = blob((64, 64), (30, 30))
    halves = [net._halved(i) for i in (image, image.roll(1, 2))]
    middles = [centres_of_mass(h, 2).voxel[0, 0] for h in halves]
    off = float((middles[1] - middles[0] - torch.tensor([1.0, 0.0])).abs().max())
    assert (off < 1e-3) == blur
    # Voxel centres stay where they are.
    assert not blur or torch.allclose(middles[0], centres_of_mass(image).voxel[0, 0], atol=1e-3)


def test_checkpointing_changes_no_gradient():
    image, grads = blob((64, 64), (30, 30)), []
    for checkpointing in (False, True):
        net = made(ndim=2, checkpointing=checkpointing)
        net(image).voxel.square().sum().backward()
        grads.append(net.blocks[0].weight.grad)
    torch.testing.assert_close(*grads)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="multiple of 4 voxels"):
        made(ndim=2)(torch.zeros(1, 1, 62, 64))
