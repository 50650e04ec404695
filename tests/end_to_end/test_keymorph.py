"""Keypoints trained from nothing, and registering by them: files in, files out, from poses that are far away."""

import json

import numpy as np
import pytest
import torch
from made_up import made_up, points_recipe, recipe  # noqa: F401  (a fixture)

import inforeg as ir
from inforeg.cli.main import main
from inforeg.errors import PairError, UsageError
from inforeg.image import Image
from inforeg.methods import named
from inforeg.nets.files import read_model
from inforeg.space import Grid
from inforeg.train.loop import read_log, train
from inforeg.train.machine import Machine
from inforeg.transforms import Linear, group


@pytest.fixture(scope="module")
def run(made_up, tmp_path_factory):  # noqa: F811
    """A model that has learnt a little, in half a minute."""
    folder = tmp_path_factory.mktemp("points")
    schedule = {"steps": 500, "anchored": 400, "rate": 1e-3, "validate_every": 250, "batch": 2, "warm_up": 20}
    train(points_recipe(made_up, **schedule), folder, machine=Machine("cpu", threads=2))
    return folder


@pytest.fixture
def model(run):
    return run / "model.safetensors"


def placed(image, transform):
    """The image elsewhere in the world, by its header alone."""
    return Image(image.data, Grid(image.grid.shape, transform.matrix @ image.grid.voxel_to_world), image.name)


def turned(degrees, shift):
    return group("rigid", 2).exp(
        torch.tensor([np.deg2rad(degrees), *shift], dtype=torch.float64), torch.zeros(2).double(), 1.0
    )


def test_it_learns_and_says_what_it_learnt(run):
    checks = [line["validation"] for line in read_log(run) if "validation" in line]
    assert checks[-1]["tre_mm"] < 0.4 * checks[0]["tre_mm"]
    card = read_model(run / "model.safetensors").card
    assert card["summary"].startswith("2-D, 12 keypoints, T1/T2") and card["validation"]["pairs"] == 4
    assert len(list((run / "pictures").glob("*.png"))) == 3


def test_a_turned_contrast_is_laid_on_the_other(made_up, model):  # noqa: F811
    """One subject's T1 and T2, of whom nothing was learnt, the T2 turned by 25 degrees and 40 mm away."""
    fixed, moving = (ir.read_image(made_up / f"s06_{c}.nii.gz") for c in ("T1", "T2"))
    truth = turned(25.0, (40.0, -25.0))
    moved = placed(moving, truth)
    points = fixed.grid.points_mm()[(fixed.data[0, 0] > 0.1 * fixed.data.max()).flatten()]

    def error(result):
        return float((result.transform(points) - truth(points)).square().sum(1).mean().sqrt())

    by_points = ir.register(fixed, moved, method=str(model), transform="rigid", device="cpu")
    refined = ir.register(fixed, moved, method=f"{model}+linear", transform="rigid", device="cpu")
    assert error(by_points) < 8 and error(refined) < 0.5
    assert refined.ok and refined.start.best.origin == "keypoints"
    assert any(note.startswith("12 points in both images") for note in by_points.notes)


def test_swapping_the_images_gives_the_inverse(made_up, model):  # noqa: F811
    images = [ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz")]
    for fit in ("rigid", "similarity", "affine"):
        there, back = (
            ir.register(*pair, method=str(model), transform=fit, device="cpu").transform
            for pair in (images, images[::-1])
        )
        assert isinstance(there, Linear)
        torch.testing.assert_close(there.matrix @ back.matrix, torch.eye(3).double(), atol=1e-6, rtol=0)


def test_headers_move_and_turn_nothing_but_the_answer(made_up, model):  # noqa: F811
    """Other voxels and axes of the same picture: the same transform in mm."""
    fixed, moving = (ir.read_image(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz"))
    plain = ir.register(fixed, moving, method=str(model), device="cpu").transform
    flipped = Image(
        moving.data.flip(2).mT.contiguous(),
        Grid(
            moving.grid.shape[::-1],
            moving.grid.voxel_to_world
            @ torch.tensor([[0.0, -1.0, moving.grid.shape[0] - 1], [1, 0, 0], [0, 0, 1]]).double(),
        ),
    )
    again = ir.register(fixed, flipped, method=str(model), device="cpu").transform
    points = fixed.grid.points_mm()[::5]
    assert float((plain(points) - again(points)).norm(dim=1).max()) < 0.5
    shift = Linear.translation(torch.tensor([300.0, -200.0]).double())
    away = ir.register(placed(fixed, shift), moving, method=str(model), device="cpu").transform
    assert float((away(shift(points)) - plain(points)).norm(dim=1).max()) < 1e-3


def test_files_in_and_files_out(made_up, model, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    pair = ["-f", str(made_up / "s01_T1.nii.gz"), "-m", str(made_up / "s01_T2.nii.gz")]
    command = ["register", *pair, "-o", str(out), "--method", f"{model}+linear", "-t", "rigid"]
    assert main([*command, "--device", "cpu", "-q"]) in (0, 3)
    said = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert said["method"] == "keymorph" and said["settings"]["refine"] is True
    assert said["inputs"]["model"]["path"] == str(model)
    again = ir.register(*pair[1::2], settings=out / "result.json", device="cpu")
    (written,) = out.glob("transform.*")
    assert float((again.transform.matrix - ir.read_transform(written).matrix).abs().max()) < 1e-5
    assert main(["models", "info", str(model)]) == 0 and main(["models", "verify", str(model)]) == 0


def test_what_does_not_go_together_is_said_in_a_line(made_up, model, tmp_path):  # noqa: F811
    pair = [str(made_up / name) for name in ("s01_T1.nii.gz", "s02_T2.nii.gz")]
    with pytest.raises(UsageError, match="unknown transform 'projective' for keymorph"):
        ir.register(*pair, method=str(model), transform="projective")
    with pytest.raises(UsageError, match="tps fits keypoints"):
        ir.register(*pair, transform="tps")
    with pytest.raises(UsageError, match="takes no init"):
        ir.register(*pair, method=str(model), init="header")
    with pytest.raises(UsageError, match="finds every pose by itself"):
        ir.register(*pair, method=str(model), init=Linear.identity(2))
    with pytest.raises(PairError, match="trained on 2-D images"):
        cube = Image(torch.rand(1, 1, 32, 32, 32), Grid.from_spacing((32, 32, 32), 4.0))
        ir.register(cube, cube, method=str(model))
    train(recipe(made_up, steps=1), tmp_path / "run", machine=Machine("cpu", threads=1))
    velocities = tmp_path / "run" / "model.safetensors"
    with pytest.raises(UsageError, match=r"says velocities: expected \+svf"):
        ir.register(*pair, method=f"{velocities}+linear")
    with pytest.raises(UsageError, match="expected a model that finds keypoints"):
        named("keymorph", "affine", model=str(velocities))(*map(ir.read_image, pair))
    with pytest.raises(UsageError, match="expected a model that says where things move"):
        named("network", "svf", model=str(model))(*map(ir.read_image, pair))


def test_thin_plates_and_the_pair_solver_after_points(made_up, model, tmp_path):  # noqa: F811
    """Two subjects: thin plates bring their structures nearer than the affine fit, and the pair solver nearer still."""
    images = [ir.read_image(made_up / f"s0{n}_T1.nii.gz") for n in (1, 2)]
    labels = [ir.read_labels(made_up / f"s0{n}_labels.nii.gz") for n in (1, 2)]

    def overlap(result):
        warped = ir.resample_labels(labels[1], labels[0].grid, result.transform).data
        same = [
            2
            * float(((warped == k) & (labels[0].data == k)).sum())
            / float((warped == k).sum() + (labels[0].data == k).sum())
            for k in torch.unique(labels[0].data)[1:]
        ]
        return sum(same) / len(same)

    results = {
        name: ir.register(*images, method=f"{model}{after}", transform=fit, device="cpu")
        for name, after, fit in (("affine", "", "affine"), ("tps", "", "tps"), ("svf", "+svf", "auto"))
    }
    assert [type(r.transform).__name__ for r in results.values()] == ["Linear", "Composite", "Composite"]
    assert overlap(results["svf"]) > overlap(results["affine"]) + 0.03
    tps = results["tps"]
    assert tps.stages[-1].name == "tps" and overlap(tps) > overlap(results["affine"]) - 0.02
    points = tps.points
    assert points.residual_mm < results["affine"].points.residual_mm
    back = tps.inverse(tps.transform(points.fixed_mm))
    assert float((back - points.fixed_mm).norm(dim=1).max()) < 0.5
    folder = tps.save(tmp_path / "out")
    said = json.loads((folder / "result.json").read_text(encoding="utf-8"))["points"]
    assert len(said["weights"]) == 12 and said["residual_mm"] == pytest.approx(points.residual_mm)
    assert 'data-testid="keypoints-moving-0"' in (folder / "report.html").read_text(encoding="utf-8")


def test_a_group_in_any_pose_comes_together(made_up, model, tmp_path, capsys):  # noqa: F811
    """Six subjects in two contrasts, turned and far apart: their objects lie on one another in the mean's space."""
    paths = []
    for n in range(1, 7):
        image = ir.read_image(made_up / f"s0{n}_{'T1' if n % 2 else 'T2'}.nii.gz")
        paths.append(tmp_path / f"s{n}.nii.gz")
        ir.write_image(placed(image, turned(-20.0 + 8 * n, (30.0 * n, -15.0 * n))), paths[-1])
    out = tmp_path / "out"
    command = ["group", *map(str, paths), "-o", str(out), "--model", str(model), "-t", "similarity"]
    assert main([*command, "--device", "cpu"]) in (0, 3)
    assert "12 points in 6 images" in capsys.readouterr().out
    said = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert len(said["members"]) == 6 and max(m["left_mm"] for m in said["members"]) < 15
    masks = [ir.read_image(out / "members" / f"s{n}" / "warped.nii.gz").data > 60 for n in range(1, 7)]
    for mask in masks[1:]:
        assert 2 * float((mask & masks[0]).sum()) / float(mask.sum() + masks[0].sum()) > 0.85
    mean = ir.read_image(out / "mean.nii.gz")
    assert mean.grid.same_as(ir.read_image(out / "members" / "s1" / "warped.nii.gz").grid)
    there = ir.read_transform(out / "members" / "s2" / "transform.h5")
    assert (
        float(
            (
                there(torch.tensor(said["mean_points_mm"]).double())
                - torch.tensor(said["members"][1]["points_ras_mm"])
            )
            .norm(dim=1)
            .mean()
        )
        < 15
    )
    assert main([*command, "--device", "cpu"]) == 1
    assert main(["group", str(paths[0]), "-o", str(tmp_path / "no"), "--model", str(model)]) == 2
    assert "expected at least two images" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_points_are_a_start_for_other_methods(made_up, model, tmp_path):  # noqa: F811
    """A T2 on its head: the linear method and DRMIME begin where the points are."""
    fixed, moving = (ir.read_image(made_up / f"s06_{c}.nii.gz") for c in ("T1", "T2"))
    truth = turned(165.0, (40.0, -25.0))
    ir.write_image(placed(moving, truth), tmp_path / "moved.nii.gz")
    points = fixed.grid.points_mm()[(fixed.data[0, 0] > 0.1 * fixed.data.max()).flatten()]
    pair = [str(made_up / "s06_T1.nii.gz"), str(tmp_path / "moved.nii.gz")]
    for method in ("linear", "drmime"):
        found = ir.register(*pair, method=method, transform="rigid", init=str(model), device="cpu")
        assert float((found.transform(points) - truth(points)).square().sum(1).mean().sqrt()) < 1.0
        assert found.start.best.origin == "given" and found.inputs["init"] == str(model)
    out = tmp_path / "out"
    command = ["register", "-f", pair[0], "-m", pair[1], "-o", str(out), "-t", "rigid", "--init", str(model)]
    assert main([*command, "--device", "cpu", "-q"]) in (0, 3)
    assert f"--init {model}" in json.loads((out / "result.json").read_text(encoding="utf-8"))["command"]


def test_a_group_with_what_is_no_head_says_which(made_up, model, tmp_path, capsys):  # noqa: F811
    grid = ir.read_image(made_up / "s01_T1.nii.gz").grid
    noise = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(1))
    ir.write_image(Image(1000 * noise, grid), tmp_path / "noise.nii.gz")
    paths = [str(made_up / f"s0{n}_T1.nii.gz") for n in (1, 2, 3)] + [str(tmp_path / "noise.nii.gz")]
    command = ["group", *paths, "-o", str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    assert main(command) == 3
    assert "check: noise: its points are" in capsys.readouterr().out
    said = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert any(line.startswith("noise:") for line in said["doubts"])
