"""A run from beginning to end, stopped and gone on with, and shared by ranks."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from made_up import recipe
from safetensors.torch import load_file, save_file

from inforeg.errors import OutputExists, ReadError, UsageError
from inforeg.nets.files import read_model, read_said
from inforeg.train import checkpoint, loop, velocity_task
from inforeg.train.loop import read_log, train
from inforeg.train.machine import Machine, follows
from inforeg.train.made_up import write_example
from inforeg.train.objective import VelocityObjective

INFOREG = str(Path(sys.executable).with_name("inforeg"))
CPU = Machine("cpu", threads=2)


def _scores_of(tensors, wanted):
    objective = VelocityObjective(wanted)
    objective.load_state_dict({n[6:]: t for n, t in tensors.items() if n.startswith("model.")})
    return objective.metric.network.requires_grad_(False)


def end_of(folder):
    return load_file(folder / checkpoint.NAME)


@pytest.fixture(scope="module")
def uninterrupted(made_up, tmp_path_factory):
    """Eight steps, and where they led."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    return train(recipe(made_up), folder, machine=CPU)


def test_a_run_leaves_all_that_was_promised(uninterrupted, made_up):
    folder = uninterrupted.folder
    assert {path.name for path in folder.iterdir()} == {
        *("model.safetensors", "recipe.toml", "log.jsonl", "checkpoint.safetensors"),
        *("pictures", "prepared", "tensorboard", "notes.txt"),
    }
    log = read_log(folder)
    assert [line["step"] for line in log if "cost" in line] == [2, 4, 6, 8]
    assert [line["step"] for line in log if "validation" in line] == [0, 4, 8]
    for line in log:
        if "cost" in line:
            assert (
                line["cost"] == pytest.approx(2 * line["metric"] + line["prior"], rel=1e-5)
                and line["pairs_per_s"] > 0
            )
    assert sorted(path.name for path in (folder / "pictures").iterdir()) == [
        f"{n:07d}.png" for n in (0, 4, 8)
    ]
    assert type(recipe(made_up)).load(folder / "recipe.toml") == recipe(made_up)
    assert uninterrupted.steps == 8 and uninterrupted.last.dice is not None


def test_the_model_file_is_the_best_so_far_and_says_where_it_comes_from(uninterrupted):
    said = read_said(uninterrupted.folder / "model.safetensors")
    card = said["card"]
    assert card["steps"] == uninterrupted.best.best_step and card["pairs"] == card["steps"]
    assert card["data"] == {"subjects": 3, "images": 6, "label_maps": 6}
    assert card["validation"]["dice"] == uninterrupted.best.best and card["machine"] == "1 x cpu"
    assert card["recipe"]["metric"] == "mine" and "images" not in card["recipe"]
    assert str(Path.home()) not in json.dumps(said)
    read_model(uninterrupted.folder / "model.safetensors")


def test_the_same_seed_gives_the_same_weights_and_another_others(uninterrupted, made_up, tmp_path):
    train(recipe(made_up), tmp_path / "again", machine=CPU)
    train(recipe(made_up, seed=4, validation=0.3), tmp_path / "other", machine=CPU)
    mine, again, other = (end_of(f) for f in (uninterrupted.folder, tmp_path / "again", tmp_path / "other"))
    assert all(torch.equal(mine[name], again[name]) for name in mine)
    assert not torch.equal(mine["model.net.mean.weight"], other["model.net.mean.weight"])


def test_a_run_that_is_killed_goes_on_to_the_same_end(uninterrupted, made_up, tmp_path):
    """SIGKILL, wherever it is: what goes on from the checkpoint ends with the same bits."""
    (tmp_path / "recipe.toml").write_text(recipe(made_up).to_toml(), encoding="utf-8")
    folder = tmp_path / "run"
    command = [
        INFOREG,
        "train",
        str(tmp_path / "recipe.toml"),
        "-o",
        str(folder),
        "-j",
        "2",
        "--device",
        "cpu",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for _ in range(6000):
        if (folder / checkpoint.NAME).exists() or process.poll() is not None:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (folder / checkpoint.NAME).exists()
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "--resume" in refused.stderr and refused.stderr.count("\n") == 1
    done = subprocess.run([*command, "--resume"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected, found = end_of(uninterrupted.folder), end_of(folder)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    said = [read_log(f) for f in (uninterrupted.folder, folder)]
    plain = [[{k: v for k, v in line.items() if k != "pairs_per_s"} for line in log] for log in said]
    assert plain[0] == plain[1]


def test_one_that_was_stopped_before_its_first_checkpoint_begins_again(
    uninterrupted, made_up, tmp_path, monkeypatch
):
    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(velocity_task.VelocityTask, "before", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(made_up), tmp_path / "run", machine=CPU)
    train(recipe(made_up), tmp_path / "run", machine=CPU, resume=True)
    assert torch.equal(
        end_of(tmp_path / "run")["model.net.mean.weight"],
        end_of(uninterrupted.folder)["model.net.mean.weight"],
    )


def test_two_ranks_are_one_with_twice_the_batch(made_up, tmp_path):
    """By Fabric's own launcher, on one machine: the same pairs, the same mean of gradients, the same weights."""
    train(recipe(made_up, batch=2), tmp_path / "one", machine=Machine("cpu", threads=1))
    (tmp_path / "recipe.toml").write_text(recipe(made_up, batch=1).to_toml(), encoding="utf-8")
    command = [
        INFOREG,
        "train",
        str(tmp_path / "recipe.toml"),
        "-o",
        str(tmp_path / "two"),
        "--device",
        "cpu",
    ]
    done = subprocess.run([*command, "-j", "1", "--ranks", "2"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    one, two = (end_of(tmp_path / name) for name in ("one", "two"))
    network = [name for name in one if name.startswith("model.net.")]
    assert network
    for name in network:
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=2e-5)
    # The bound leaves constants free: of what changes nothing, gradients are rounding, which Adam makes large.
    x, y = torch.rand(2, 500, 1, generator=torch.Generator().manual_seed(0))
    scores = [_scores_of(tensors, recipe(made_up))(x, y) for tensors in (one, two)]
    torch.testing.assert_close(scores[0] - scores[0].mean(), scores[1] - scores[1].mean(), rtol=0, atol=2e-3)
    assert float(scores[0].std()) > 0.05
    assert read_said(tmp_path / "two" / "model.safetensors")["card"]["machine"] == "2 x cpu"
    costs = [
        [line["cost"] for line in read_log(tmp_path / name) if "cost" in line] for name in ("one", "two")
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-4)


def test_other_launchers_are_seen(made_up, tmp_path):
    """torchrun starts the ranks and says so in the environment."""
    (tmp_path / "recipe.toml").write_text(recipe(made_up, steps=4).to_toml(), encoding="utf-8")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [
        INFOREG,
        "train",
        str(tmp_path / "recipe.toml"),
        "-o",
        str(tmp_path / "run"),
        "--device",
        "cpu",
    ]
    done = subprocess.run(
        [*launcher, "--no-python", *command, "-j", "1", "--ranks", "2"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert read_said(tmp_path / "run" / "model.safetensors")["card"]["machine"] == "2 x cpu"
    assert done.stdout.count("written:") == 1


def test_the_metric_of_mine_has_a_head_start_and_the_network_has_none(made_up, tmp_path):
    """After it the bound on pairs as they lie is above nothing, and the network still says nothing."""
    ahead = train(recipe(made_up, head_start=60, steps=1), tmp_path / "ahead", machine=CPU)
    behind = train(recipe(made_up, head_start=0, steps=1), tmp_path / "behind", machine=CPU)
    first = [read_log(run.folder)[0]["validation"] for run in (ahead, behind)]
    assert -first[0]["metric"] > 0.1 > -first[1]["metric"]
    assert first[0]["moved_voxels"] == first[1]["moved_voxels"] < 1e-3


@pytest.fixture(scope="module")
def bent(tmp_path_factory):
    """Twelve subjects, more unlike one another."""
    folder = tmp_path_factory.mktemp("bent")
    write_example(folder, 12, spacing_mm=4.0, bent_mm=4.0)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "alpha", "settings"),
    [
        ("mine", 2.0, {"hidden_layers": 2}),
        ("mine", 2.0, {"marginal": "table"}),
        ("mine_local", 5.0, {"neighbourhood_voxels": 3}),
        ("lncc", 2.0, {}),
        ("nmi", 5.0, {}),
    ],
    ids=["mine", "table", "local", "lncc", "nmi"],
)
def test_subjects_it_has_never_seen_tell_more_of_each_other(bent, tmp_path, metric, alpha, settings):
    """T1 to T2, by every metric that can be trained on: more information by NMI, and no folds."""
    schedule = {"steps": 200, "head_start": 200, "validate_every": 200, "rate": 3e-3}
    wanted = recipe(bent, metric=metric, alpha=alpha, metric_settings=settings, **schedule)
    found = train(wanted, tmp_path / "run", machine=CPU).last
    assert found.nmi > found.nmi_before + 0.015 and found.folds == 0


def test_a_cost_that_is_no_number_ends_the_run_and_leaves_what_was_there(made_up, tmp_path, monkeypatch):
    real = VelocityObjective.forward

    def breaks(self, *values):
        found = real(self, *values)
        breaks.calls += 1
        return found._replace(cost=found.cost * float("nan")) if breaks.calls > 5 else found

    breaks.calls = 0
    monkeypatch.setattr(VelocityObjective, "forward", breaks)
    with pytest.raises(loop.Diverged, match=r"no number at step 6 .* lower `rate` or `alpha`"):
        train(recipe(made_up), tmp_path / "run", machine=CPU)
    assert checkpoint.NAME in {p.name for p in (tmp_path / "run").iterdir()}
    assert all(torch.isfinite(t).all() for t in end_of(tmp_path / "run").values())


def test_a_metric_that_has_seen_nothing_and_folds_are_warned_of(made_up, tmp_path, caplog, monkeypatch):
    wanted = recipe(made_up, steps=100, head_start=0, metric_rate=1e-9, log_every=4, validate_every=100)
    with caplog.at_level(logging.WARNING):
        found = train(wanted, tmp_path / "blind", machine=CPU)
    assert any("next to nothing" in line for line in found.warnings) and "next to nothing" in caplog.text
    real = velocity_task.validate

    def folded(*values):
        figures, picture = real(*values)
        return replace(figures, folds=3, least=-0.5), picture

    monkeypatch.setattr(velocity_task, "validate", folded)
    found = train(recipe(made_up, steps=2), tmp_path / "folded", machine=CPU)
    assert found.warnings == [
        "folds: step 0: 3 voxels fold on 2 validation pairs (least determinant -0.50): lower alpha, or raise smoothness"
    ]


def test_a_network_that_moves_nothing_is_warned_of(made_up, tmp_path):
    wanted = recipe(made_up, steps=100, rate=1e-9, log_every=50, validate_every=100)
    (line,) = (w for w in train(wanted, tmp_path / "run", machine=CPU).warnings if w.startswith("still"))
    assert line.startswith("still: step 100: the network moves pairs to validate on by 0.00 voxels")


def test_rates_rise_and_fall(made_up):
    wanted = recipe(made_up, steps=100, warm_up=9)
    rates = [wanted.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates.index(max(rates)) == 9
    assert max(rates) > 0.97 and rates[-1] < 0.001
    assert recipe(made_up).rate_at(0) == 1 and recipe(made_up, decay=False).rate_at(70) == 1


@pytest.mark.slow
def test_overlap_of_structures_is_learnt_from_and_logged(bent, tmp_path):
    """By labels alone, on subjects it has never seen."""
    changes = {"metric": "mse", "alpha": 0.0, "label_weight": 100.0, "structures": 6, "warm_up": 20}
    schedule = {"steps": 600, "validate_every": 600, "rate": 3e-3}
    found = train(recipe(bent, **changes, **schedule), tmp_path / "run", machine=CPU).last
    assert found.dice > found.dice_before + 0.01 and found.folds == 0
    overlaps = [line["overlap"] for line in read_log(tmp_path / "run") if "overlap" in line]
    assert len(overlaps) == 300 and all(0 < o < 1 for o in overlaps)
    assert sum(overlaps[-50:]) > sum(overlaps[:50]) + 1


def test_without_anyone_held_back_there_is_a_model_at_the_end(made_up, tmp_path):
    found = train(recipe(made_up, validation=0.0, test=0.0), tmp_path / "run", machine=CPU)
    assert found.last is None and found.best.best is None
    read_model(tmp_path / "run" / "model.safetensors")
    assert read_said(tmp_path / "run" / "model.safetensors")["card"]["data"]["subjects"] == 6


def test_a_checkpoint_is_of_its_recipe_alone(uninterrupted, made_up, tmp_path):
    objective = VelocityObjective(recipe(made_up))
    optimiser = objective.optimiser()
    free = recipe(made_up, log_every=7, validate_every=3)
    assert checkpoint.load(uninterrupted.folder, objective, optimiser, free).step == 8
    with pytest.raises(UsageError, match=r"of another recipe: steps, alpha differ"):
        checkpoint.load(uninterrupted.folder, objective, optimiser, recipe(made_up, alpha=1.0, steps=16))
    with pytest.raises(ReadError, match="there is none in"):
        checkpoint.load(tmp_path, objective, optimiser, recipe(made_up))
    tensors = end_of(uninterrupted.folder)
    save_file(tensors, tmp_path / checkpoint.NAME)
    with pytest.raises(ReadError, match="cannot read the checkpoint"):
        checkpoint.load(tmp_path, objective, optimiser, recipe(made_up))


def test_a_folder_that_holds_a_run_is_not_begun_again(uninterrupted, made_up, tmp_path):
    with pytest.raises(OutputExists, match="--resume"):
        train(recipe(made_up), uninterrupted.folder, machine=CPU)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExists, match="is a file"):
        train(recipe(made_up), tmp_path / "file", machine=CPU)


def test_without_fabric_it_says_what_to_install(made_up, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(UsageError, match=r"pip install 'inforeg\[train\]'"):
        train(recipe(made_up), tmp_path / "run", machine=CPU)
    assert not (tmp_path / "run").exists()


def test_without_tensorboard_the_log_is_there(made_up, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(recipe(made_up, steps=2), tmp_path / "run", machine=CPU)
    assert read_log(tmp_path / "run") and not (tmp_path / "run" / "tensorboard").exists()


def test_a_device_that_is_not_there_is_refused(made_up, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UsageError, match="device 'cuda' cannot be trained on here"):
        train(recipe(made_up), tmp_path / "run", machine=Machine("cuda"))


def test_followers_are_told_by_the_launchers(monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert not follows()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert follows() and "RANK" not in os.environ
