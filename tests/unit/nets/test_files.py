import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from inforeg.errors import OutputExists, ReadError, UsageError
from inforeg.nets import VelocityNet, VelocityNetSettings
from inforeg.nets.canonical import Canonical
from inforeg.nets.files import ModelFile, is_model, read_model, read_said, write_model
from inforeg.nets.verify import tried
from inforeg.shipped import model_path, shipped


def made(seed=0, **settings):
    widths = {"encoder": (4, 8), "decoder": (8, 4), "extra": (4,)}
    net = VelocityNet(VelocityNetSettings(ndim=2, **widths, **settings), torch.Generator().manual_seed(seed))
    return ModelFile(net, Canonical(shape=(16, 24), spacing_mm=2.0), {"summary": "a test", "licence": "CC0"})


@pytest.fixture
def path(tmp_path):
    write_model(made(), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def changed(path, **values):
    """The same weights, but the file says something else of itself."""
    said = {**read_said(path), **values}
    save_file(load_file(path), path, {"inforeg": json.dumps(said)})


def test_what_is_written_is_read_back_and_says_the_same(path):
    model, found = made(), read_model(path)
    images = torch.rand(2, 1, 1, 16, 24)
    assert torch.equal(model.net(*images).mean, found.net(*images).mean)
    assert found.canonical == model.canonical and found.card == model.card and found.summary == "a test"
    assert found.parameters == model.parameters and is_model(path)


def test_a_file_is_not_overwritten_unasked(path):
    with pytest.raises(OutputExists):
        write_model(made(1), path)
    write_model(made(1), path, overwrite=True)
    assert torch.equal(read_model(path).net.mean.weight, made(1).net.mean.weight)


def test_what_is_no_model_is_refused_in_a_line(tmp_path, path):
    (tmp_path / "text.safetensors").write_text("no model")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name, said in (("text", "cannot read"), ("other", "no model file"), ("none", "is not there")):
        with pytest.raises(ReadError, match=said) as error:
            read_model(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(error.value)
        assert not is_model(tmp_path / f"{name}.safetensors")
    with pytest.raises(ReadError, match="is none"):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 99}, "renew it"),
        ({"kind": "splines"}, "kind velocity or keypoints"),
        ({"net": {"ndim": 3}}, "does not hold the model"),
        ({"net": {"ndims": 2}}, "does not hold the model"),
        ({"net": None}, "does not hold the model"),
        ({"canonical": {"shape": []}}, "does not hold the model"),
    ],
)
def test_a_file_that_says_something_else_is_refused(path, values, said):
    changed(path, **values)
    with pytest.raises(ReadError, match=said):
        read_model(path)


def test_weights_that_are_no_numbers_are_refused(path):
    tensors = load_file(path)
    tensors["mean.bias"][0] = float("nan")
    save_file(tensors, path, {"inforeg": json.dumps(read_said(path))})
    with pytest.raises(ReadError, match="NaN"):
        read_model(path)


def test_a_truncated_file_is_refused(path):
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ReadError, match="cannot read"):
        read_model(path)


def test_a_model_is_tried_on_a_made_up_pair(path):
    found = tried(read_model(path))
    assert found["parameters"] == made().parameters and found["mean_mm"] < 0.01
    model = made()
    with torch.no_grad():
        model.net.mean.bias.fill_(1e4)
    with pytest.raises(ReadError, match="out of the 32 mm"):
        tried(model)
    with torch.no_grad():
        model.net.log_variance.bias.fill_(float("inf"))
    with pytest.raises(ReadError, match="NaN or infinity"):
        tried(model)


def test_names_lead_to_shipped_models_and_paths_to_files(path):
    for name, where in shipped().items():
        assert model_path(name) == where
        assert where.stat().st_size < 10e6
        read_model(where)
        card = read_said(where)["card"]
        assert card["licence"] and card["notes"] and card["steps"] > 0 and card["validation"]
    assert model_path(str(path)) == path
    with pytest.raises(UsageError, match="unknown model 'no-such'"):
        model_path("no-such")
