import pytest
import torch

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.descriptors import mind_ssc
from inforeg.metrics import MINDSSC, MSE
from inforeg.space import Grid

SHAPES = {"2-D": (30, 9), "3-D": (26, 7, 6)}
in_2d_and_3d = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def images(shape, channels=1, batch=2):
    return torch.randn(2, batch, channels, *shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def thin_slabs(monkeypatch):
    """As thin as slabs may be, so that small images have several."""
    monkeypatch.setattr("inforeg.image.windows._CPU_SLAB", 1)


@in_2d_and_3d
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("settings", [{}, {"distance_voxels": 1, "patch_radius_voxels": 0}], ids=str)
def test_it_is_the_mean_squared_difference_of_the_descriptors(shape, channels, settings, thin_slabs):
    fixed, warped = images(shape, channels)
    grid = Grid.from_spacing(shape)
    described = [mind_ssc(Image(x, grid), **settings).data for x in (fixed, warped)]
    torch.testing.assert_close(MINDSSC(**settings)(fixed, warped), MSE()(*(d.flatten(2) for d in described)))
    torch.testing.assert_close(MINDSSC(**settings).neutral(fixed), MSE().neutral(described[0].flatten(2)))


@in_2d_and_3d
def test_weights_weigh_the_voxels(shape, thin_slabs):
    fixed, warped = images(shape)
    weight = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1)) + 0.5
    grid = Grid.from_spacing(shape)
    # The typical variance is weighted too, but only counts where a variance is far from it.
    described = [mind_ssc(Image(x, grid)).data.flatten(2) for x in (fixed, warped)]
    expected = MSE()(*described, weight.flatten(1))
    torch.testing.assert_close(MINDSSC()(fixed, warped, weight), expected)


@in_2d_and_3d
def test_gradients_are_those_of_finite_differences_across_slabs(shape, thin_slabs):
    fixed, warped = images(shape, batch=1)
    weight = torch.rand(1, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) + 0.5
    inputs = [x.double().requires_grad_() for x in (fixed, warped)]
    weight.requires_grad_()
    metric = MINDSSC()
    slopes = torch.autograd.grad(metric(*inputs, weight), [*inputs, weight])
    for which, slope in enumerate(slopes):
        direction = torch.randn(slope.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [x.detach().clone() for x in (*inputs, weight)]
            moved[which] += sign * 1e-6 * direction
            ends.append(float(metric(*moved)))
        assert float((slope * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_contrast_does_not_matter():
    fixed, _ = images((20, 20))
    assert float(MINDSSC()(fixed, 700 - 30 * fixed)) < 1e-8


def test_what_is_kept_for_the_gradient_is_the_gradient():
    fixed, warped = images((20, 10, 10), batch=1)
    kept = []

    def keep(tensor):
        kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        MINDSSC()(fixed, warped.requires_grad_())
    assert kept.count(warped.shape) >= 1


@pytest.mark.parametrize("settings", [{"distance_voxels": 0}, {"patch_radius_voxels": -1}])
def test_distances_that_are_none_are_refused(settings):
    with pytest.raises(UsageError, match=next(iter(settings))):
        MINDSSC(**settings)


def test_other_channels_and_loose_samples_are_refused():
    with pytest.raises(UsageError, match="MINDSSC compares channel by channel"):
        MINDSSC()(torch.zeros(1, 3, 9, 9), torch.zeros(1, 1, 9, 9))
    with pytest.raises(UsageError, match="on loose samples take another metric"):
        MINDSSC()(torch.zeros(1, 1, 100), torch.zeros(1, 1, 100))
