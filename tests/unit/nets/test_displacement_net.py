"""The network of displacements: the sizes that are known of it, its labels' order, and what it refuses."""

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.nets import DisplacementNet, DisplacementNetSettings
from inforeg.nets.canonical import Canonical
from inforeg.nets.files import ModelFile, read_model, write_model
from inforeg.nets.verify import tried

SMALL = {"patch": 16, "reach": 4.0, "labels": 3, "widths": (4, 6), "strides": (2, 1), "classifier": (8,)}


def test_it_has_as_many_weights_and_maps_as_published():
    net = DisplacementNet(DisplacementNetSettings())
    patches = torch.rand(2, 72, 72)
    assert 12_000 < sum(p.numel() for p in net.features.parameters()) < 13_500
    for classifier in net.classifiers:
        assert 69_000 < sum(p.numel() for p in classifier.parameters()) < 71_000
    assert net.maps(patches).shape == (2, 16, 18, 18) and net.settings.side == 18
    logits = net(patches, patches.flip(0))
    assert logits.shape == (2, 2, 25) and not torch.equal(*logits)
    assert torch.allclose(net.beliefs(logits), torch.softmax(logits, -1))
    both = net.log_probabilities(patches, patches.flip(0))
    assert torch.allclose(both, torch.log_softmax(logits.mean(0), -1))


def test_displacements_go_from_end_to_end_the_last_axis_fastest():
    found = DisplacementNetSettings().displacements()
    assert found.shape == (25, 2)
    assert (
        found[0].tolist() == [-38, -38] and found[1].tolist() == [-38, -19] and found[12].tolist() == [0, 0]
    )
    assert DisplacementNetSettings(ndim=3, **SMALL).displacements().shape == (27, 3)


@pytest.mark.parametrize("ndim", [2, 3])
def test_contrast_and_brightness_of_a_patch_are_no_matter(ndim):
    net = DisplacementNet(DisplacementNetSettings(ndim=ndim, **SMALL))
    one, other = torch.rand(2, 3, *[16] * ndim)
    assert torch.allclose(net(one, other), net(5 * one + 2, 0.3 * other - 1), atol=1e-4)
    assert bool(torch.isfinite(net(torch.zeros_like(one), other)).all())


def test_it_is_the_same_from_a_file(tmp_path):
    net = DisplacementNet(DisplacementNetSettings(**SMALL), torch.Generator().manual_seed(3))
    write_model(ModelFile(net, Canonical(shape=(16, 16), spacing_mm=2.0), {}), tmp_path / "m.safetensors")
    model = read_model(tmp_path / "m.safetensors")
    assert model.kind == "displacements"
    one, other = torch.rand(2, 3, 16, 16)
    assert torch.equal(model.net(one, other), net.eval()(one, other))
    assert tried(model)["voxels_1"] <= 4 * 2**0.5


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"labels": 4}, "odd number of labels along each axis, got 4"),
        ({"strides": (2,)}, "as many strides as widths"),
        ({"strides": (8, 4)}, "leave 2 voxels of, got 16"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        DisplacementNetSettings(**{**SMALL, **wrong})


def test_patches_of_another_size_are_refused():
    with pytest.raises(UsageError, match=r"patches of shape \(16, 16\), got \(18, 16\)"):
        DisplacementNet(DisplacementNetSettings(**SMALL)).maps(torch.rand(2, 18, 16))
