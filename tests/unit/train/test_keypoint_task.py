"""Training of keypoints as a task of the loop: what it keeps, and that a stopped run goes on to the same end."""

import pytest
import torch
from made_up import points_recipe

from inforeg.nets.files import read_model
from inforeg.train.keypoint_task import KeypointTask
from inforeg.train.listing import read_scans
from inforeg.train.loop import train
from inforeg.train.machine import Machine
from inforeg.train.prepared import prepare

CPU = Machine("cpu", threads=2)
NET = {"keypoints": 8, "widths": (8, 8, 8)}


def weights(folder):
    return read_model(folder / "model.safetensors").net.state_dict()


def test_a_run_that_was_stopped_goes_on_to_the_same_end(made_up, tmp_path, monkeypatch):
    wanted = points_recipe(made_up, net=NET)
    train(wanted, tmp_path / "whole", machine=CPU)
    validate, calls = KeypointTask.validate, []

    def stops(self):
        calls.append(self)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return validate(self)

    with monkeypatch.context() as patch:
        patch.setattr(KeypointTask, "validate", stops)
        with pytest.raises(KeyboardInterrupt):
            train(wanted, tmp_path / "run", machine=CPU)
    train(wanted, tmp_path / "run", machine=CPU, resume=True)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_model_says_where_its_points_are_and_how_likely_it_finds_them(made_up, tmp_path):
    wanted = points_recipe(made_up, net=NET)
    scans = prepare(read_scans(made_up, 3, 0.34, 0.0), wanted, tmp_path)
    task = KeypointTask(wanted, scans, torch.device("cpu"))
    assert torch.equal(task.objective.net.reference_mm, task.objective.anchors)
    task.validate()
    net = task.objective.net
    # A network that has learnt nothing has all of its points near the middle, and none is likely.
    assert float(net.reference_mm.norm(dim=1).max()) < float(task.objective.anchors.norm(dim=1).max())
    mean, deviation = net.usual_nats.tolist()
    assert mean < -4 and 0 < deviation < 2


def test_anchors_are_in_what_every_image_shows(made_up, tmp_path):
    """Labels that are sometimes hidden have no point, and take no part in the alignment."""
    scans = prepare(read_scans(made_up, 3, 0.34, 0.0), points_recipe(made_up, net=NET), tmp_path)
    ids = sorted(torch.unique(scans[0].labels).tolist())[1:]
    hidden = ids[: len(ids) // 2]
    task = KeypointTask(points_recipe(made_up, net=NET, hidden=(tuple(hidden),)), scans, torch.device("cpu"))
    scan = next(s for s in scans if s.split == "train")
    middle = (torch.tensor(scan.labels.shape[1:]) / scan.finer - 1) / 2
    voxels = (task.objective.anchors / 4.0 + middle).round().long() * scan.finer + scan.finer // 2
    found = scan.labels[0][tuple(voxels.T)].tolist()
    assert set(found) <= set(ids) - set(hidden)
