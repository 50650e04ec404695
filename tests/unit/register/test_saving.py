"""What a registration leaves behind."""

import json
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from phantoms import error_mm, turn

from inforeg.errors import OutputExists, UsageError, WriteError
from inforeg.image import Image, resample
from inforeg.io import read_image, read_transform, write_image
from inforeg.methods import linear_method
from inforeg.register import Registration, register
from inforeg.transforms import Linear

QUICK = linear_method("rigid+affine", samples=8000, init="centre")


@pytest.fixture(scope="module")
def result(scene: Any) -> Registration:
    return register(scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz", method=QUICK)


@pytest.fixture(scope="module")
def saved(result: Registration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.save(tmp_path_factory.mktemp("out") / "new" / "run")


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def matrix(path: Path) -> torch.Tensor:
    found = read_transform(path)
    assert isinstance(found, Linear)
    return found.matrix


def test_the_folder_holds_what_it_should_and_nothing_else(saved: Path) -> None:
    assert names(saved) == [
        "inverse.h5",
        "report.html",
        "result.json",
        "stages",
        "stages/0-rigid.h5",
        "stages/1-affine.h5",
        "transform.h5",
        "warped.nii.gz",
    ]
    assert names(saved.parent) == ["run", *(f"run/{name}" for name in names(saved))]


def test_names_of_ants_come_on_top(result: Registration, saved: Path, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "ants", naming="ants")
    assert names(folder) == sorted(["0GenericAffine.mat", *names(saved)])
    theirs = sitk.ReadTransform(str(folder / "0GenericAffine.mat"))
    ours = sitk.ReadTransform(str(folder / "transform.h5"))
    for point in [(0.0, 0.0, 0.0), (10.0, -20.0, 30.0)]:
        np.testing.assert_allclose(theirs.TransformPoint(point), ours.TransformPoint(point), atol=1e-9)
    with pytest.raises(UsageError, match="ants"):
        result.save(tmp_path / "other", naming="fsl")


def test_files_hold_what_the_result_says(saved: Path, result: Registration) -> None:
    transform = result.transform
    assert isinstance(transform, Linear)
    assert torch.allclose(matrix(saved / "transform.h5"), transform.matrix, atol=1e-9)
    assert torch.allclose(matrix(saved / "inverse.h5"), transform.inverse().matrix, atol=1e-9)
    for stage, name in zip(result.stages, ("0-rigid", "1-affine"), strict=True):
        assert isinstance(stage.transform, Linear)
        assert torch.allclose(matrix(saved / "stages" / f"{name}.h5"), stage.transform.matrix, atol=1e-9)
    warped = read_image(saved / "warped.nii.gz")
    assert warped.grid.same_as(result.fixed.grid)
    assert torch.equal(warped.data, result.warped.data)


def test_itk_reads_the_transform_and_makes_the_same_image_of_it(
    saved: Path, result: Registration, scene: Any
) -> None:
    transform = sitk.ReadTransform(str(saved / "transform.h5"))
    flip = np.array([-1.0, -1.0, 1.0])
    for point in result.fixed.grid.points_mm()[::4999]:
        expected = result.transform(point[None])[0].numpy()
        assert np.allclose(
            np.array(transform.TransformPoint((point.numpy() * flip).tolist())) * flip, expected, atol=1e-6
        )
    fixed, moving = (sitk.ReadImage(str(scene.folder / name)) for name in ("t1.nii.gz", "t2.nii.gz"))
    theirs = sitk.GetArrayFromImage(sitk.Resample(moving, fixed, transform, sitk.sitkLinear, 0.0)).transpose()
    ours = np.asarray(nib.load(saved / "warped.nii.gz").dataobj)
    # At the rim of the field of view rounding decides which side a voxel is on.
    assert np.mean(np.abs(theirs - ours) > 1e-4) < 1e-3


def test_result_json_says_what_was_done_and_what_came_of_it(
    saved: Path, result: Registration, scene: Any
) -> None:
    record = json.loads((saved / "result.json").read_text())
    for role, name in (("fixed", "t1.nii.gz"), ("moving", "t2.nii.gz")):
        path = scene.folder / name
        grid = getattr(scene, role).grid
        assert record["inputs"][role] == {
            "path": str(path),
            "sha256": sha256(path.read_bytes()).hexdigest(),
            "grid": {"shape": list(grid.shape), "voxel_to_world_ras_mm": grid.voxel_to_world.tolist()},
        }
    assert record["settings"] == QUICK.to_dict() == result.settings
    assert (record["method"], record["device"], record["status"]) == ("linear", "cpu", result.status)
    assert record["threads"] >= 1
    assert set(record["versions"]) == {"inforeg", "python", "torch", "numpy"}
    assert record["quality"]["verdict"] == result.quality.verdict
    assert record["quality"]["overlap"] == result.quality.overlap
    assert record["start"]["origin"] == "centre"
    assert [s["name"] for s in record["stages"]] == ["rigid", "affine"]
    for stage, s in zip(result.stages, record["stages"], strict=True):
        assert s["metric"] == stage.metric and s["spacing_mm"] == stage.spacing_mm
    assert isinstance(result.transform, Linear)
    assert record["fixed_to_moving_ras_mm"] == result.transform.matrix.tolist()
    assert str(scene.folder / "t1.nii.gz") in record["command"]
    assert "NaN" not in (saved / "result.json").read_text()


def test_the_report_is_one_page_that_needs_nothing_else(saved: Path) -> None:
    page = (saved / "report.html").read_text(encoding="utf-8")
    assert "t1.nii.gz" in page and "t2.nii.gz" in page
    links = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(http" not in page and "@import" not in page


def test_an_existing_folder_is_kept_unless_it_is_inforegs_and_asked_for(
    saved: Path, result: Registration, tmp_path: Path
) -> None:
    before = {name: (saved / name).read_bytes() for name in names(saved) if (saved / name).is_file()}
    with pytest.raises(OutputExists, match="overwrite=True"):
        result.save(saved)
    assert before == {name: (saved / name).read_bytes() for name in before}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("precious")
    with pytest.raises(OutputExists, match="not written by inforeg"):
        result.save(tmp_path / "mine", overwrite=True)
    assert names(tmp_path) == ["mine", "mine/notes.txt"]


def test_overwriting_leaves_nothing_of_the_old_run_and_all_of_mine(
    result: Registration, tmp_path: Path
) -> None:
    folder = result.save(tmp_path / "run")
    (folder / "stages" / "7-old.h5").write_bytes(b"old")
    (folder / "warped.png").write_bytes(b"old")
    (folder / "notes.txt").write_text("mine")
    result.save(folder, overwrite=True)
    assert "notes.txt" in names(folder)
    assert "stages/7-old.h5" not in names(folder) and "warped.png" not in names(folder)


def test_an_input_is_never_written_over(result: Registration, scene: Any) -> None:
    before = {path: path.read_bytes() for path in scene.folder.iterdir()}
    with pytest.raises(UsageError, match="inside the output folder"):
        result.save(scene.folder, overwrite=True)
    assert {path: path.read_bytes() for path in scene.folder.iterdir()} == before


def test_what_fails_half_way_leaves_nothing(
    result: Registration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inforeg.report.write", full)
    with pytest.raises(WriteError, match="no space left"):
        result.save(tmp_path / "a" / "b")
    assert names(tmp_path) == []


def test_the_warped_image_may_be_interpolated_otherwise(result: Registration, tmp_path: Path) -> None:
    folder = result.save(tmp_path / "run", interpolation="bspline")
    expected = resample(result.moving, result.fixed.grid, result.transform, mode="bspline")
    assert torch.equal(read_image(folder / "warped.nii.gz").data, expected.data)
    assert "-n bspline" in json.loads((folder / "result.json").read_text())["command"]


def test_images_in_memory_can_be_saved_too(scene: Any, tmp_path: Path) -> None:
    pair = [(i.data[0, 0].numpy(), i.grid.voxel_to_world.numpy()) for i in (scene.fixed, scene.moving)]
    folder = register(*pair, method=QUICK).save(tmp_path / "run")
    record = json.loads((folder / "result.json").read_text())
    assert "object" in record["inputs"]["fixed"] and "sha256" not in record["inputs"]["moving"]
    assert (folder / "warped.nii.gz").exists()


def test_a_start_that_was_given_in_memory_is_not_forgotten(scene: Any, tmp_path: Path) -> None:
    """Without it the run cannot be made again, so its numbers are in the record."""
    near = turn(33.0, 3, (8.0, -5.0, 4.0), seed=3)
    paths = (scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz")
    folder = register(*paths, method=linear_method("rigid", samples=8000), init=near).save(tmp_path / "run")
    record = json.loads((folder / "result.json").read_text())
    assert record["start"]["origin"] == "given"
    entry = float(near.matrix[0, 1])
    assert str(entry)[:10] in json.dumps({k: record[k] for k in ("inputs", "start", "command")})


def test_a_projective_transform_is_written_as_what_can_hold_it(pictures: Any, tmp_path: Path) -> None:
    method = linear_method("projective", samples=8000)
    result = register(pictures.fixed, pictures.moving, method=method)
    folder = result.save(tmp_path / "run")
    assert {"transform.json", "inverse.json"} <= set(names(folder))
    assert isinstance(result.transform, Linear)
    assert not result.transform.is_affine
    assert torch.allclose(matrix(folder / "transform.json"), result.transform.matrix, atol=1e-12)


def test_pictures_are_warped_into_pictures(pictures: Any, tmp_path: Path) -> None:
    """Grey is fixed, colour is moving: the output has the fixed one's size and the moving one's colours."""
    result = register(pictures.folder / "grey.png", pictures.folder / "colour.png", transform="rigid")
    assert error_mm(Linear(result.transform.matrix), pictures.truth, 35.0) < 0.3  # type: ignore[attr-defined]
    folder = result.save(tmp_path / "run")
    assert "warped.png" in names(folder)
    warped = read_image(folder / "warped.png")
    assert warped.channels == 3
    assert warped.grid.shape == result.fixed.grid.shape
    assert float((warped.data - result.warped.data).abs().max()) <= 0.501
    assert any("3 channels" in note for note in json.loads((folder / "result.json").read_text())["notes"])


@pytest.mark.parametrize(
    ("channels", "dtype", "name"),
    [(3, "float32", "warped.nrrd"), (3, "uint8", "warped.nii.gz"), (5, "float32", "warped.nrrd")],
)
def test_vectors_are_warped_into_what_can_hold_them(
    channels: int, dtype: str, name: str, scene: Any, tmp_path: Path
) -> None:
    """NIfTI has no floats in colours: a run that had ended well could not be saved."""
    paths = []
    for image in ("t1", "t2"):
        grey = read_image(scene.folder / f"{image}.nii.gz")
        shares = torch.linspace(0.5, 1, channels).reshape(1, -1, 1, 1, 1)
        scaled = 200 / float(grey.data.abs().max()) * grey.data * shares
        write_image(Image(scaled, grey.grid), tmp_path / f"{image}.nrrd", dtype=dtype)
        paths.append(tmp_path / f"{image}.nrrd")
    result = register(*paths, method=QUICK)
    folder = result.save(tmp_path / "run")
    assert [entry.name for entry in folder.glob("warped.*")] == [name]
    warped = read_image(folder / name)
    assert (warped.channels, warped.dtype) == (channels, dtype)
    near = 0.501 if dtype == "uint8" else 1e-3
    assert float((warped.data - result.warped.data).abs().max()) <= near
