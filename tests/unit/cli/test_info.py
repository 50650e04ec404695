import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg import register
from inforeg.cli.main import main
from inforeg.image import Image, Labels
from inforeg.io import write_image, write_labels, write_points, write_transform
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

GRID = Grid.from_spacing((12, 10, 8), 2.0)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("info")
    noise = torch.rand(1, 1, *GRID.shape, generator=torch.Generator().manual_seed(0))
    write_image(Image(noise, GRID), folder / "image.nii.gz")
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    labels[..., 2:6, 2:6, 2:6] = 614454277
    labels[..., 7:9, 7:9, 2:6] = 3
    write_labels(Labels(labels, GRID), folder / "labels.nii.gz")
    write_image(Image(torch.rand(1, 1, 6, 5), Grid.from_spacing((6, 5), 1.0)), folder / "flat.nii.gz")
    series = nib.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), np.diag([2.0, 2, 2, 1]))
    series.header.set_xyzt_units("mm", "sec")
    series.header.set_zooms((2, 2, 2, 1.5))
    nib.save(series, folder / "series.nii.gz")
    shift = Linear.translation(torch.tensor([4.0, 0.0, 0.0], dtype=torch.float64))
    field = Displacement(torch.full((3, *GRID.shape), 0.5), GRID)
    write_transform(shift, folder / "shift.tfm")
    write_transform(shift, folder / "own.json")
    write_transform(shift, folder / "matrix.txt", format="plain")
    write_transform(shift, folder / "flirt.mat", format="fsl", fixed=GRID, moving=GRID)
    write_transform(shift @ field, folder / "chain.h5")
    write_transform(field, folder / "field.nii.gz")
    write_transform(shift, folder / "warp.nii.gz", format="fsl", fixed=GRID, moving=GRID)
    points = torch.tensor([[1.0, 2.0, 3.0], [-1.0, 5.0, 9.0]], dtype=torch.float64)
    write_points(points, folder / "points.csv")
    write_points(points, folder / "points.json")
    (folder / "points.txt").write_text("1 2 3\n4 5 6\n7 8 9\n")
    (folder / "neither.json").write_text('{"a": 1}')
    (folder / "notes.doc").write_text("a letter")
    (folder / "empty.nii.gz").write_bytes(b"")
    return folder


def asked(folder: Path, capsys: Capture, *arguments: str) -> dict[str, Any]:
    assert main(["info", *(str(folder / a) if "." in a else a for a in arguments), "--json"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    found: dict[str, Any] = json.loads(said.out)
    return found


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("image.nii.gz", "image"),
        ("labels.nii.gz", "image"),
        ("series.nii.gz", "image"),
        ("field.nii.gz", "transform"),
        ("shift.tfm", "transform"),
        ("own.json", "transform"),
        ("matrix.txt", "transform"),
        ("chain.h5", "transform"),
        ("points.csv", "points"),
        ("points.json", "points"),
        ("points.txt", "points"),
    ],
)
def test_what_a_file_is_is_seen_from_what_is_in_it(
    name: str, kind: str, folder: Path, capsys: Capture
) -> None:
    (file,) = asked(folder, capsys, name)["files"]
    assert file["kind"] == kind
    assert main(["info", str(folder / name)]) == 0
    assert str(folder / name) in capsys.readouterr().out


def test_an_image_and_its_values(folder: Path, capsys: Capture) -> None:
    (image,) = asked(folder, capsys, "image.nii.gz")["files"]
    assert image["shape"] == [12, 10, 8]
    assert image["orientation"] == "RAS"
    assert image["spacing_mm"] == [2, 2, 2]
    assert image["centre_mm"] == pytest.approx([0, 0, 0])
    assert "values" not in image
    (labels,) = asked(folder, capsys, "labels.nii.gz", "--values")["files"]
    assert labels["values"]["largest"] == 614454277
    assert (labels["values"]["looks_like_labels"], labels["values"]["ids"]) == (True, 3)
    (image,) = asked(folder, capsys, "image.nii.gz", "--values")["files"]
    assert not image["values"]["looks_like_labels"]
    (series,) = asked(folder, capsys, "series.nii.gz", "--values")["files"]
    assert (series["volumes"], series["time_step"]) == (3, 1.5)
    assert main(["info", str(folder / "labels.nii.gz"), "--values"]) == 0
    assert "looks like a label map of 3 ids" in capsys.readouterr().out


def test_two_images(folder: Path, capsys: Capture) -> None:
    together = asked(folder, capsys, "image.nii.gz", "labels.nii.gz")["together"]
    assert together["same_grid"]
    assert together["share_of_first_in_second"] == 1.0
    assert asked(folder, capsys, "image.nii.gz", "flat.nii.gz")["together"] == {"dimensions": [3, 2]}
    assert "together" not in asked(folder, capsys, "image.nii.gz", "shift.tfm")
    assert main(["info", str(folder / "image.nii.gz"), str(folder / "labels.nii.gz")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "together      the same grid, voxel for voxel"


def test_a_chain_part_by_part(folder: Path, capsys: Capture) -> None:
    (chain,) = asked(folder, capsys, "chain.h5")["files"]
    assert [part["kind"] for part in chain["parts"]] == ["displacement", "linear"]
    assert chain["parts"][0]["largest_length_mm"] == pytest.approx(0.75**0.5)
    assert chain["parts"][0]["folds"] == 0
    assert chain["parts"][1]["matrix_ras_mm"][0] == [1, 0, 0, 4]
    assert main(["info", str(folder / "chain.h5")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("1. displacement field on 12 x 10 x 8 voxels")
    assert lines[2].startswith("2. linear: shifts by (4, 0, 0), 4.000 mm; determinant 1.0000")


def test_formats_that_count_in_voxels(folder: Path, capsys: Capture) -> None:
    images = ("-f", "image.nii.gz", "-m", "image.nii.gz")
    (matrix,) = asked(folder, capsys, "flirt.mat", "--from", "fsl", *images)["files"]
    assert matrix["format"] == "fsl"
    assert matrix["parts"][0]["shift_mm"] == pytest.approx([4, 0, 0])
    assert matrix["shifts_at"] == "the centre of the fixed image"
    (warp,) = asked(folder, capsys, "warp.nii.gz", *images)["files"]
    assert warp["parts"][0]["largest_length_mm"] == pytest.approx(4)
    # Without the images, a field still has a grid to tell of; a matrix has nothing.
    (warp,) = asked(folder, capsys, "warp.nii.gz")["files"]
    assert warp["holds"] == "a displacement field of FSL"
    assert "--moving" in warp["notes"][-1]
    assert main(["info", str(folder / "flirt.mat")]) == 2
    assert "say which (--from" in capsys.readouterr().err
    assert main(["info", str(folder / "flirt.mat"), "--from", "fsl"]) == 2
    assert "give --fixed and --moving" in capsys.readouterr().err
    (plain,) = asked(folder, capsys, "flirt.mat", "--from", "plain")["files"]
    assert plain["format"] == "plain"


def test_points(folder: Path, capsys: Capture) -> None:
    (points,) = asked(folder, capsys, "points.csv")["files"]
    assert (points["count"], points["space"], points["box_in"]) == (2, "ras", "RAS+ mm")
    assert points["box"] == [[-1, 2, 3], [1, 5, 9]]
    (bare,) = asked(folder, capsys, "points.txt")["files"]
    assert (bare["count"], bare["space"], bare["box_in"]) == (3, None, "the numbers of the file")
    (folder / "itk.csv").write_text("# space: lps\nx,y,z\n1,2,3\n")
    (turned,) = asked(folder, capsys, "itk.csv")["files"]
    assert (turned["space"], turned["box"]) == ("lps", [[-1, -2, 3], [-1, -2, 3]])


def test_a_registration(tmp_path: Path, capsys: Capture) -> None:
    grid = field_of_view(2, 3.0)
    truth = turn(10.0, 2, (3.0, -2.0))
    fixed, moving = phantom(grid, "t1"), phantom(grid, "t2", truth)
    write_image(fixed, tmp_path / "fixed.nii.gz")
    register(tmp_path / "fixed.nii.gz", moving, transform="rigid").save(tmp_path / "out")
    for name in ("out", "out/result.json"):
        assert main(["info", str(tmp_path / name), "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)["files"]
        assert found["kind"] == "registration"
        assert found["verdict"] in ("good", "check")
        assert abs(found["transform"]["turn_deg"]) == pytest.approx(10, abs=0.5)
        assert found["transform"]["shift_at"] == "the centre of the fixed image"
        assert found["inputs"]["fixed"]["there"]
        assert "object" in found["inputs"]["moving"]
        assert {"result.json", "transform.h5", "stages/0-rigid.h5"} <= set(found["files"])
    (tmp_path / "fixed.nii.gz").unlink()
    assert main(["info", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "fixed.nii.gz (no longer there)" in said
    assert "fixed to moving, linear: turns by" in said
    for damage in ("{", "[]", "{}", '{"inforeg": "1", "inputs": {}, "quality": {}}', "[" * 100_000):
        (tmp_path / "out" / "result.json").write_text(damage)
        assert main(["info", str(tmp_path / "out")]) == 1
        assert "expected the result.json of a registration" in (line := capsys.readouterr().err)
        assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "FILE"),
        (("image.nii.gz",) * 3, 2, "expected one file or two, got 3"),
        (("none.nii.gz",), 1, "none.nii.gz is not there"),
        (("empty.nii.gz",), 1, "is empty (0 bytes)"),
        (("notes.doc",), 1, "none that inforeg reads"),
        (("neither.json",), 1, "neither.json"),
        (("shift.tfm", "--from", "ikt"), 2, "did you mean itk"),
        (("image.nii.gz", "--from", "itk"), 1, "image.nii.gz"),
        (("points.csv", "--from", "plain"), 1, "points.csv"),
    ],
)
def test_what_is_refused(
    folder: Path, arguments: tuple[str, ...], code: int, expected: str, capsys: Capture
) -> None:
    assert main(["info", *(str(folder / a) if "." in a else a for a in arguments)]) == code
    assert expected in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_images_are_told_of_without_torch(folder: Path) -> None:
    code = (
        "import sys; from inforeg.cli.main import main;"
        f"code = main(['info', {str(folder / 'labels.nii.gz')!r}, {str(folder / 'image.nii.gz')!r}]);"
        "sys.exit(code or ('torch' in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "same grid" in run.stdout
