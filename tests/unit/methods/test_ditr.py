"""Registering by a learnt metric: its own solver, Powell's, the deformable solver, and what is refused."""

import json

import pytest
import torch
from made_up import misaligned, patch_recipe
from phantoms import field_of_view, phantom

import inforeg as ir
from inforeg.cli.main import main
from inforeg.errors import PairError, UsageError
from inforeg.image import Image, resample
from inforeg.methods import from_settings, named
from inforeg.methods.ditr import patch_score
from inforeg.nets.files import read_model
from inforeg.nets.verify import tried
from inforeg.solve.dense.learnt import PatchLogits
from inforeg.space import Grid
from inforeg.train.loop import train
from inforeg.train.machine import Machine
from inforeg.train.made_up import write_example
from inforeg.transforms import Composite, Linear

HELD = "s09"


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Ten subjects' T1 and T2 at 2 mm, misaligned by up to 12 mm and 9 degrees, and the truths."""
    folder = tmp_path_factory.mktemp("aligned")
    write_example(folder, 10, spacing_mm=2.0, bent_mm=3.0)
    target = tmp_path_factory.mktemp("misaligned")
    return target, misaligned(folder, target)


@pytest.fixture(scope="module")
def metric(pairs, tmp_path_factory):
    """A metric that has learnt from eight of them for some twenty seconds; the last two it has never seen."""
    folder, _ = pairs
    table = folder / "images.csv"
    rows = ["subject,contrast,image,split"]
    for number in range(1, 11):
        split = "train" if number < 9 else "test"
        rows += [f"s{number:02d},{c},s{number:02d}_{c}.nii.gz,{split}" for c in ("T1", "T2")]
    table.write_text("\n".join(rows) + "\n")
    run = tmp_path_factory.mktemp("metric")
    values = {"patches": 16, "batch": 4, "warm_up": 10, "steps": 400, "validate_every": 400}
    train(patch_recipe(table, **values), run, machine=Machine("cpu", threads=2))
    return str(run / "model.safetensors")


@pytest.fixture
def pair(pairs):
    folder, truths = pairs
    fixed, moving = (ir.read_image(folder / f"{HELD}_{c}.nii.gz") for c in ("T1", "T2"))
    inside = (fixed.data[0, 0] > 0.1 * fixed.data.max()).flatten()
    return fixed, moving, truths[HELD], fixed.grid.points_mm()[inside]


def error_mm(transform, truth, points):
    return float((transform(points) - truth(points)).norm(dim=1).mean())


@pytest.mark.parametrize(
    "settings",
    [{}, {"init": "header", "optimiser": "powell"}, {"init": "header", "networks": "last"}],
    ids=["cascade", "powell", "last"],
)
def test_a_pair_that_nothing_was_learnt_from_is_aligned(metric, pair, settings):
    fixed, moving, truth, points = pair
    before = error_mm(Linear.identity(2), truth, points)
    result = named("ditr", "rigid", model=metric, **settings)(fixed, moving)
    assert error_mm(result.transform, truth, points) < min(3.0, 0.4 * before)
    quality = result.quality
    assert quality.verdict == "good", quality.reasons
    # Of patches, in nats: more than where the headers put them, and what they tell of each other.
    assert quality.information > 0.3 and quality.information_before < 0.8 * quality.information
    assert quality.precision_mm is not None and quality.precision_mm < 1.0
    assert len(result.stages) == (1 if settings.get("networks") == "last" else 2)
    assert [len(stage.path) for stage in result.stages] == [len(stage.metric) for stage in result.stages]
    again = from_settings(result.settings, "ditr")(fixed, moving)
    assert torch.equal(again.transform.matrix, result.transform.matrix)


def test_all_rotations_are_searched(metric, pair):
    fixed, moving, truth, points = pair
    turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    far = Linear.about(turn, torch.zeros(2, dtype=torch.float64), torch.tensor([30.0, 0.0]).double())
    there = Grid(moving.grid.shape, far.matrix @ moving.grid.voxel_to_world)
    result = named("ditr", "rigid", model=metric, init="search")(fixed, Image(moving.data, there, "T2"))
    found = error_mm(result.transform, Linear(far.matrix @ truth.matrix), points)
    # These heads are nearly symmetric: left and right may be taken for each other, and then that is said.
    assert found < 3.0 or result.quality.verdict != "good"


def test_translations_stay_translations_and_coarse_images_are_told_of(metric, pair):
    fixed, moving, _, _ = pair
    coarse = [
        Image(i.data[..., ::2, ::2].contiguous(), Grid.from_spacing((50, 59), 4.0)) for i in (fixed, moving)
    ]
    for init in ("auto", "search"):
        result = named("ditr", "translation", model=metric, init=init)(*coarse)
        torch.testing.assert_close(result.transform.matrix[:2, :2], torch.eye(2, dtype=torch.float64))
        assert any("trained on voxels of 2 mm" in note for note in result.notes)


def test_images_that_have_nothing_in_common_are_not_called_good(metric, pair):
    fixed, _, _, _ = pair
    generator = torch.Generator().manual_seed(1)
    noise = Image(torch.rand(fixed.data.shape, generator=generator), fixed.grid, "noise")
    result = named("ditr", "rigid", model=metric)(fixed, noise)
    assert result.quality.verdict == "failed"
    assert any("no more information than chance" in reason for reason in result.quality.reasons)


def test_the_deformable_solver_takes_it_like_any_metric(metric, pair):
    fixed, moving, truth, points = pair
    result = named("svf", "rigid+svf", metric=metric)(fixed, moving)
    assert isinstance(result.transform, Composite) and result.quality.verdict != "failed"
    assert error_mm(result.transform, truth, points) < 3.5
    back = result.transform.inverse()(result.transform(points))
    assert float((back - points).norm(dim=1).max()) < 1.0
    assert result.settings["metric"] == metric


def test_patches_pull_as_wholes_to_where_they_lie_right(metric, pair):
    fixed, moving, truth, _ = pair
    score = patch_score(metric, fixed)
    spacing = torch.tensor([1.0, 2.0], dtype=torch.float64)
    lying = resample(moving, fixed.grid, truth)
    one, other = (image.data[0, 0, 20:60, 20:61].contiguous() / image.data.max() for image in (fixed, lying))
    weight = torch.ones_like(one)
    likeness = PatchLogits(one, weight, score, spacing)
    aside = torch.roll(other, 3, 0)
    told = likeness(aside, weight)
    assert told.force.shape == told.stiffness.shape == (2, 40, 41)
    assert bool((told.stiffness >= 0).all()) and bool((told.force[:, 1::2] == 0).all())
    # The sum of the forces is the slope of the sum, by what the whole image tells two voxels to either side.
    inner = torch.zeros_like(one)
    inner[12:28, 12:29] = 1
    likeness = PatchLogits(one, inner, score, spacing)
    count = float(inner[::2, ::2].sum())
    for axis in (0, 1):
        ahead, behind = (likeness(torch.roll(aside, way, axis), inner).nats for way in (-2, 2))
        slope = (ahead - behind) * count / (4 * float(spacing[axis]))
        assert float(likeness(aside, inner).force[axis].sum()) == pytest.approx(slope, rel=0.05, abs=0.05)
    # From as far as the pairs it learnt from were off, either way: nearer, its own error is in what it tells.
    right = likeness(other, inner).nats
    for axis in (0, 1):
        for way in (-6, 6):
            told = likeness(torch.roll(other, way, axis), inner)
            assert way * float(told.force[axis].sum()) > 0 and told.nats < right


def test_the_command_takes_a_metric_file(metric, pairs, tmp_path, capsys):
    folder, _ = pairs
    files = ["--fixed", str(folder / f"{HELD}_T1.nii.gz"), "--moving", str(folder / f"{HELD}_T2.nii.gz")]
    for flag, transform, method in (
        ("--metric", "rigid", "ditr"),
        ("--method", "rigid", "ditr"),
        ("--metric", "svf", "svf"),
    ):
        output = tmp_path / f"{flag[2:]}-{transform}"
        code = main(["register", *files, flag, metric, "-t", transform, "-o", str(output), "--quiet"])
        assert code in (0, 3)
        record = json.loads((output / "result.json").read_text())
        assert record["method"] == method and record["inputs"]["model"]["path"] == metric
        assert (output / "report.html").is_file()
    assert main(["models", "info", metric]) == 0 and "metric of patches" in capsys.readouterr().out
    assert tried(read_model(ir_path(metric)))["parameters"] > 1000


def ir_path(name):
    from pathlib import Path

    return Path(name)


def test_what_does_not_fit_is_refused_in_one_line(metric, pair, tmp_path):
    fixed, moving, _, _ = pair
    with pytest.raises(UsageError, match="unknown transform 'projective' for ditr"):
        named("ditr", "projective", model=metric)
    with pytest.raises(UsageError, match="expected a model that tells whether patches are of one place"):
        named("ditr", "rigid", model="brain-keypoints")(fixed, moving)
    with pytest.raises(UsageError, match="expected an affine transform to start from"):
        tilted = torch.eye(3, dtype=torch.float64)
        tilted[2, 0] = 1e-3
        named("ditr", "rigid", model=metric)(fixed, moving, Linear(tilted))
    with pytest.raises(UsageError, match="says no transform to refine"):
        ir.register(fixed, moving, method=f"{metric}+svf")
    with pytest.raises(UsageError, match="drmime takes no metric of a file"):
        ir.register(fixed, moving, method="drmime", metric=metric)
    volume = phantom(field_of_view(3))
    with pytest.raises(PairError, match="2-D images, and these are 3-D"):
        named("ditr", "rigid", model=metric)(volume, volume)
    with pytest.raises(UsageError, match="expected a metric's file"):
        from inforeg.cli import names

        names.metric(str(tmp_path / "gone.safetensors"), deforms=False)
