"""Teaching displacements and carrying them to another contrast: labels, the three kinds of step, resuming, figures."""

import json

import pytest
import torch

from inforeg import io
from inforeg.errors import UsageError
from inforeg.image import Image, resample
from inforeg.methods import named
from inforeg.nets import DisplacementNetSettings
from inforeg.nets.files import read_model
from inforeg.space import Grid
from inforeg.train import displacement_task
from inforeg.train.displaced_patches import DisplacedPatches, Windows, around
from inforeg.train.displacement_task import DisplacementFigures, DisplacementTask
from inforeg.train.listing import read_scans
from inforeg.train.loop import train
from inforeg.train.machine import Machine
from inforeg.train.made_up import write_example
from inforeg.train.recipes import DisplacementRecipe, read_recipe
from inforeg.train.source import seeded
from inforeg.transforms import Linear

NET = DisplacementNetSettings(
    patch=24, reach=8.0, labels=3, widths=(8, 12, 8), strides=(2, 2, 1), classifier=(16,)
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("example")
    write_example(made, 6)
    return made


def recipe(folder, **changes):
    values = {
        "images": str(folder),
        "fixed": ("T1",),
        "target": ("T2",),
        "net": NET,
        "spacing_mm": 2.0,
        "validation": 0.2,
        "test": 0.0,
        "batch": 2,
        "patches": 8,
        "steps": 12,
        "validate_every": 6,
        "log_every": 6,
        "precision": "32",
        "head_start": 0,
        "strength": 1.0,
        "discrepancy": "pemd+swd",
    }
    return DisplacementRecipe(**{**values, **changes})


def task(folder, **changes):
    made = recipe(folder, **changes)
    scans = [scan for scan in read_scans(folder, 0, made.validation, made.test) if scan.split != "test"]
    return DisplacementTask(made, scans, CPU)


def test_a_label_says_where_the_middle_of_the_fixed_patch_is_in_the_moving_one(tmp_path):
    # Every pixel its own number; turned axes and pixels of 2 mm, so that directions are the world's.
    values = torch.arange(96 * 80, dtype=torch.float32).reshape(1, 1, 96, 80)
    values = values + 20_000 * (torch.hypot(torch.arange(96.0)[:, None] - 48, torch.arange(80.0) - 40) < 30)
    matrix = torch.tensor([[0.0, 2.0, 5.0], [-2.0, 0.0, 7.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    io.write_image(Image(values, Grid((96, 80), matrix)), tmp_path / "s1_T1.nii.gz")
    plain = recipe(
        tmp_path,
        discrepancy="none",
        target=(),
        validation=0.0,
        rotation_deg=0.0,
        contrast=0.0,
        noise=0.0,
        inverted=0.0,
    )
    drawn = DisplacedPatches(plain, read_scans(tmp_path, 0, 0.0, 0.0), CPU).draw("source", "train", seeded(1))
    displacements = NET.displacements()
    middle = (NET.patch - 1) // 2
    for fixed, moving, label in zip(*drawn, strict=True):
        i, j = (middle + displacements[label]).round().long().tolist()
        inner = fixed[middle - 3 : middle + 3, middle - 3 : middle + 3]
        if float(inner.std()) > 0:
            assert torch.allclose(moving[i - 3 : i + 3, j - 3 : j + 3], inner, atol=1e-4)
    assert len(set(drawn.labels.tolist())) > 2


def test_every_kind_of_step_changes_its_own_weights(folder):
    made = task(folder)
    net = made.objective.net
    parts = {"features": net.features, "first": net.classifiers[0], "second": net.classifiers[1]}
    expected = [{"features", "first"}, {"first", "second"}, *[{"features"}] * 4]
    optimiser = made.optimiser()
    for step in range(6):
        made.before(step, optimiser, print)
        before = {name: [p.clone() for p in part.parameters()] for name, part in parts.items()}
        optimiser.zero_grad()
        made.objective(*made.batch(range(2))).cost.backward()
        optimiser.step()
        changed = {
            name
            for name, part in parts.items()
            if any(not torch.equal(a, b) for a, b in zip(part.parameters(), before[name], strict=True))
        }
        assert changed == expected[step]


@pytest.mark.parametrize("phase", [1, 2])
def test_labels_of_the_target_are_not_looked_at(folder, phase):
    costs = []
    for change in (0, 1):
        made = task(folder)
        made.before(phase, made.optimiser(), print)
        fixed, moving, labels = made.batch(range(2))
        known = len(labels) // 2 if phase == 1 else 0
        other = torch.cat((labels[:known], (labels[known:] + change) % 9))
        costs.append(made.objective(fixed, moving, other).cost)
    assert torch.equal(*costs)


def test_beliefs_are_driven_apart_and_brought_together(folder):
    made = task(folder, anchored=False)
    made.before(1, made.optimiser(), print)
    assert float(made.objective(*made.batch(range(2))).cost.detach()) < 0
    made.before(2, made.optimiser(), print)
    assert float(made.objective(*made.batch(range(2))).cost.detach()) > 0


@pytest.mark.parametrize("discrepancy", ["l1", "swd", "pemd", "pemd+swd", "windows"])
def test_a_run_goes_on_to_the_same_bits(folder, tmp_path, monkeypatch, discrepancy):
    # What is asked at checks takes longer than the steps.
    monkeypatch.setattr(displacement_task, "_ASKED", 32)
    whole = recipe(folder, discrepancy=discrepancy, decay=False)
    train(whole, tmp_path / "whole", machine=Machine("cpu", threads=1))
    train(whole.replace(steps=6), tmp_path / "parts", machine=Machine("cpu", threads=1))
    train(whole, tmp_path / "parts", resume=True, machine=Machine("cpu", threads=1))
    one, other = (read_model(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    for a, b in zip(one.net.parameters(), other.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.fixture(scope="module")
def taught(folder, tmp_path_factory):
    """A run that taught displacements of up to 8 mm for some twenty seconds."""
    run = tmp_path_factory.mktemp("taught") / "run"
    net = NET.replace(reach=4.0)
    made = recipe(
        folder,
        target=(),
        net=net,
        steps=400,
        validate_every=400,
        batch=1,
        patches=32,
        rate=5e-3,
        inverted=0.0,
    )
    train(made, run, machine=Machine("cpu", threads=2))
    return run


def test_windows_show_the_moving_image_from_where_they_are_said_to_be(folder):
    made = task(folder, discrepancy="windows", rotation_deg=0.0, contrast=0.0, noise=0.0).source
    drawn = made.windows("target", "train", seeded(3))
    ways, step = around(2), round(NET.step)
    compared = 0
    for windows, shifts in zip(drawn.moving, drawn.shifts, strict=True):
        one, other = ways[shifts[0]], ways[shifts[1]]
        # What is at p in the first is at p + (first - second) steps in the second.
        apart = step * (one - other)
        assert int(apart.abs().max()) <= 2 * step < NET.patch
        inner = [(max(0, -a), NET.patch - max(0, a)) for a in apart.tolist()]
        (top, bottom), (left, right) = inner
        dy, dx = apart.tolist()
        assert torch.allclose(
            windows[0, top:bottom, left:right],
            windows[1, top + dy : bottom + dy, left + dx : right + dx],
            atol=1e-3,
        )
        compared += bool(apart.any())
    assert compared > 3


def test_half_of_what_is_taught_is_inverted_and_nothing_else(folder):
    plain, turned = (task(folder, inverted=share, noise=0.0).source for share in (0.0, 1.0))
    for domain, split in (("source", "train"), ("source", "validation"), ("target", "train")):
        one, other = (made.draw(domain, split, seeded(4)) for made in (plain, turned))
        assert torch.equal(one.fixed, other.fixed)
        sign = -1 if (domain, split) == ("source", "train") else 1
        assert torch.equal(one.moving, sign * other.moving)
    half = task(folder, inverted=0.5, noise=0.0).source.draw("source", "train", seeded(5)).moving
    below = (half.flatten(1).sum(1) < 0).sum()
    assert 0 < below < len(half)


def test_a_step_by_windows_teaches_all_weights_and_needs_no_label_of_the_target(folder):
    made = task(folder, discrepancy="windows")
    made.before(0, made.optimiser(), print)
    batch = made.batch(range(2))
    assert isinstance(batch[3], Windows) and batch[3].moving.shape[1] == made.recipe.windows
    cost = made.objective(*batch)
    cost.cost.backward()
    assert float(cost.apart) > 0
    assert all(
        p.grad is not None and bool(p.grad.any()) for p in made.objective.net.parameters() if p.ndim > 1
    )


def test_a_run_begins_with_a_model(folder, tmp_path, taught):
    model = taught / "model.safetensors"
    net = NET.replace(reach=4.0)
    made = task(folder, net=net, begin_with=str(model), discrepancy="windows").objective.net
    for a, b in zip(made.parameters(), read_model(model).net.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(
        UsageError, match="begin_with: expected a model of displacements with the recipe's net"
    ):
        task(folder, begin_with=str(model))
    path = taught.parent / "adapt.toml"
    path.write_text(f'network = "displacements"\nimages = "{folder}"\nbegin_with = "run/model.safetensors"\n')
    assert read_recipe(path).begin_with == str(model)


def test_it_learns_displacements_of_subjects_it_has_not_seen(taught):
    lines = [json.loads(line) for line in (taught / "log.jsonl").read_text().splitlines()]
    figures = [line["validation"] for line in lines if "validation" in line]
    # Chance is a ninth.
    assert figures[0]["right"] < 0.3 and figures[-1]["right"] > 0.6
    assert figures[-1]["agreement"] == figures[-1]["evenness"] == 1
    assert "9 displacements of up to 4 voxels, T1 to T1" in read_model(taught / "model.safetensors").summary


def test_uneven_beliefs_are_warned_of():
    assert "raise evenness" in DisplacementFigures(0.9, 1.0, 0.3, 100).doubts(10, 20)["uneven"]
    assert not DisplacementFigures(0.9, 0.5, 0.95, 100).doubts(10, 20)
    assert DisplacementFigures(0.9, 0.5, 0.8, 100).score == pytest.approx(0.36)


def test_what_cannot_be_learnt_from_is_refused(folder):
    with pytest.raises(UsageError, match="target to name the contrasts"):
        recipe(folder, target=(), target_known=True)
    assert not recipe(folder, target=()).adapts
    with pytest.raises(UsageError, match=r"has T1 and PD: the contrasts listed are T1, T2"):
        task(folder, target=("PD",))


def test_a_field_comes_of_what_it_tells(folder, taught):
    fixed = io.read_image(folder / "s01_T1.nii.gz")
    points = fixed.grid.points_mm()
    inside = (fixed.data[0, 0] > 0.2 * fixed.data.max()).flatten()
    expected = torch.tensor([5.0, -3.0], dtype=torch.float64)
    moving = resample(fixed, fixed.grid, Linear.translation(expected).inverse())
    model = str(taught / "model.safetensors")
    for refine, within in ((0, 2.5), (10, 1.0)):
        result = named("network", "svf", model=model, init="header", refine=refine)(fixed, moving)
        moved = (result.transform(points) - points)[inside].mean(0)
        assert (moved - expected).norm() < within


def test_a_field_that_steps_would_lead_away_from_is_in_doubt(folder, taught):
    fixed = io.read_image(folder / "s01_T1.nii.gz")
    verdicts = {}
    # Two looks reach 16 mm.
    for shift in (5.0, 24.0):
        far = Linear.translation(torch.tensor([shift, 0.0], dtype=torch.float64))
        moving = resample(fixed, fixed.grid, far.inverse())
        method = named("network", "svf", model=str(taught / "model.safetensors"), init="header")
        quality = method(fixed, moving).quality
        verdicts[shift] = quality.verdict
        assert any("steps of the pair solver would move it" in reason for reason in quality.reasons) == (
            shift > 16
        )
    assert verdicts[5.0] == "good" and verdicts[24.0] != "good"
