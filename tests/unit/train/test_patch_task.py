"""Learning a metric of patches: what is drawn, what happens between stages, and that a run can be gone on with."""

import pytest
import torch
from made_up import made_up, misaligned, patch_recipe  # noqa: F401  (a fixture)
from safetensors import safe_open

from inforeg.errors import ReadError, UsageError
from inforeg.nets.files import read_model
from inforeg.train import patch_task
from inforeg.train.checkpoint import NAME
from inforeg.train.listing import read_scans
from inforeg.train.loop import read_log, train
from inforeg.train.machine import Machine
from inforeg.train.patch_task import PatchTask
from inforeg.train.rough_pairs import PatchSource, read_pairs
from inforeg.train.source import seeded

CPU, HERE = Machine("cpu", threads=2), torch.device("cpu")


@pytest.fixture(scope="module")
def rough(made_up, tmp_path_factory):  # noqa: F811
    folder = tmp_path_factory.mktemp("rough")
    misaligned(made_up, folder)
    return folder


def scans_of(folder, wanted):
    return [s for s in read_scans(folder, wanted.seed, wanted.validation, wanted.test) if s.split != "test"]


def drawn(folder, stage=0, matrix=None, **changes):
    wanted = patch_recipe(folder, fixed=("T1",), moving=("T1", "T2"), contrast=0.0, noise=0.0, **changes)
    (scan,) = (s for s in scans_of(folder, wanted) if (s.subject, s.contrast) == ("s02", "T1"))
    pairs = read_pairs(wanted, [scan, _twin(scan)], HERE)
    matrix = torch.eye(3, dtype=torch.float64) if matrix is None else matrix
    found = PatchSource(wanted).draw(pairs[0], matrix, stage, seeded(1, 2))
    assert torch.equal(found, PatchSource(wanted).draw(pairs[0], matrix, stage, seeded(1, 2)))
    return found


def _twin(scan):
    """The same image under the name of another contrast."""
    from dataclasses import replace

    return replace(scan, contrast="T2")


def test_patches_of_one_place_agree_and_the_rest_are_the_same_ones_dealt_anew(made_up):  # noqa: F811
    found = drawn(made_up, stage=1)
    assert found.shape == (16, 2, 17, 17)
    one_place, two_places = found.chunk(2)
    torch.testing.assert_close(one_place[:, 0], one_place[:, 1])
    assert torch.equal(two_places[:, 0], one_place[:, 0])
    order = [next(k for k in range(8) if torch.equal(patch, one_place[k, 1])) for patch in two_places[:, 1]]
    assert sorted(order) == list(range(8)) and all(n != k for n, k in enumerate(order))


def test_dithering_parts_patches_of_one_place(made_up):  # noqa: F811
    still, moved = (drawn(made_up, stages=((1, v),), steps=8)[:8] for v in (0.0, 36.0))
    assert torch.equal(still[:, 0], moved[:, 0])
    assert float((moved[:, 0] - moved[:, 1]).abs().mean()) > 0.02


@pytest.mark.parametrize("ndim", [2, 3])
def test_patches_are_turned_within_a_limit_and_mirrored(made_up, ndim):  # noqa: F811
    for limit in (180.0, 20.0):
        source = PatchSource(patch_recipe(made_up, ndim_of_images=ndim, rotation_deg=limit))
        turns = [source._turned(seeded(n)) for n in range(60)]
        signs = {round(float(torch.linalg.det(turn))) for turn in turns}
        assert signs == {-1, 1}
        whole = [turn for turn in turns if torch.linalg.det(turn) > 0]
        trace = torch.stack([turn.diagonal().sum() for turn in whole])
        angle = torch.rad2deg(torch.arccos(((trace - (ndim - 2)) / 2).clamp(-1, 1)))
        assert 0.5 * limit < float(angle.max()) <= limit + 1e-6
    still = PatchSource(patch_recipe(made_up, ndim_of_images=ndim, rotation_deg=0.0, flip=False))
    torch.testing.assert_close(still._turned(seeded(3)), torch.eye(ndim, dtype=torch.float64))


def test_between_stages_pairs_are_aligned_and_a_new_network_begins(rough, tmp_path):
    wanted = patch_recipe(rough, steps=8, validate_every=100)
    said = []
    done = train(wanted, tmp_path / "run", machine=CPU, say=said.append)
    assert done.steps == 8 and any(line.startswith("stage 1 is done: pairs were moved by") for line in said)
    found = read_model(tmp_path / "run/model.safetensors")
    assert found.kind == "patches" and len(found.net.nets) == 2
    first, last = (found.net.of_stage(stage).head.weight for stage in (0, 1))
    assert not torch.equal(first, last)
    assert "metric of patches, T2 to T1, IML(2,64), IML(1,0)" in found.card["summary"]
    checks = [line for line in read_log(tmp_path / "run") if "validation" in line]
    assert [line["validation"]["stage"] for line in checks] == [1, 1, 2]
    with safe_open(tmp_path / "run" / NAME, "pt") as file:
        matrices = file.get_tensor("model.matrices")
    # Even a network that has learnt next to nothing moves something.
    assert len(matrices) == 5 and float((matrices - torch.eye(3)).abs().max()) > 1e-3


@pytest.fixture(scope="module")
def whole(rough, tmp_path_factory):
    """A run that nothing interrupts, and its weights."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patch_task, "_SHIFTS", 2)
        train(patch_recipe(rough), folder, machine=CPU)
    return read_model(folder / "model.safetensors").net.state_dict()


@pytest.mark.parametrize("at", [3, 4, 6])
def test_an_interrupted_run_goes_on_to_the_same_weights(rough, whole, tmp_path, monkeypatch, at):
    # Pictures of responses take longer than all else.
    monkeypatch.setattr(patch_task, "_SHIFTS", 2)
    wanted = patch_recipe(rough)

    def stop(line, _share):
        if line.startswith(f"step {at + 1} "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(wanted, tmp_path / "parted", machine=CPU, progress=stop)
    train(wanted, tmp_path / "parted", machine=CPU, resume=True)
    parted = read_model(tmp_path / "parted" / "model.safetensors").net.state_dict()
    for one, other in zip(whole.values(), parted.values(), strict=True):
        assert torch.equal(one, other)


def test_rates_begin_anew_with_every_stage(made_up):  # noqa: F811
    wanted = patch_recipe(made_up, steps=40, warm_up=4)
    rates = [wanted.rate_at(step) for step in range(40)]
    assert rates[:20] == rates[20:] and rates[0] == pytest.approx(0.2) and rates[19] < 0.01
    assert wanted.pauses_after(20) and not wanted.pauses_after(21)


def test_a_coin_would_do_as_well_is_said(rough):
    task = PatchTask(patch_recipe(rough, steps=40), scans_of(rough, patch_recipe(rough)), HERE)
    assert not task.doubts(4, {"cost": 0.69}) and not task.doubts(15, {"cost": 0.5})
    assert "hardly better than by a coin" in task.doubts(15, {"cost": 0.69})["nothing"]


def test_what_cannot_be_learnt_from_is_refused_in_one_line(rough):
    def read(**changes):
        wanted = patch_recipe(rough, **changes)
        return read_pairs(wanted, scans_of(rough, wanted), HERE)

    assert len(read(fixed=(), moving=())) == 5
    with pytest.raises(UsageError, match="expected fixed and moving to name contrasts, as T1, T2 are listed"):
        read(fixed=("T1",), moving=())
    with pytest.raises(UsageError, match="no subject to learn from has both contrasts, T1 and CT"):
        read(moving=("CT",))
    with pytest.raises(ReadError, match="expected images of 3 axes"):
        read(ndim_of_images=3)
    with pytest.raises(UsageError, match="expected steps that 2 stages can share, got 9"):
        patch_recipe(rough, steps=9)
