import json
from pathlib import Path

import numpy as np
import pytest
import torch

from inforeg.cli.main import main
from inforeg.image import Image
from inforeg.io import write_image, write_transform
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

SHIFT = Linear.translation(torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "points.csv").write_text("x,y,z,name\n1,2,3,a\n-4,5,6,b\n")
    write_transform(SHIFT, tmp_path / "shift.h5")
    write_transform(Linear(torch.diag(torch.tensor([2.0, 1, 1, 1]))), tmp_path / "double.tfm")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    paths = [f"{folder}/{a}" if a.endswith((".csv", ".h5", ".tfm", ".nii.gz")) else a for a in arguments]
    return main(["apply-points", "-o", f"{folder}/out.csv", *paths])


def first(folder: Path) -> list[float]:
    row = next(line for line in (folder / "out.csv").read_text().splitlines() if line.endswith(",a"))
    return [float(cell) for cell in row.split(",")[:3]]


@pytest.mark.parametrize(("on", "expected"), [("fixed", 11.0), ("moving", -9.0)])
def test_the_side_decides_the_direction(folder: Path, on: str, expected: float) -> None:
    assert run(folder, "-p", "points.csv", "--space", "ras", "--on", on, "-t", "shift.h5") == 0
    np.testing.assert_allclose(first(folder), [expected, 2, 3], atol=1e-9)


def test_in_lps_the_same_shift_has_the_other_sign(folder: Path) -> None:
    assert run(folder, "-p", "points.csv", "--space", "lps", "--on", "fixed", "-t", "shift.h5") == 0
    np.testing.assert_allclose(first(folder), [-9, 2, 3], atol=1e-9)


def test_a_chain_is_listed_alike_for_both_sides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = ["-t", "shift.h5", "-t", "double.tfm"]
    assert run(folder, "-p", "points.csv", "--space", "ras", "--on", "fixed", *chain) == 0
    np.testing.assert_allclose(first(folder), [22, 2, 3], atol=1e-9)
    assert run(folder, "-p", "points.csv", "--space", "ras", "--on", "moving", *chain, "--overwrite") == 0
    np.testing.assert_allclose(first(folder), [-9.5, 2, 3], atol=1e-9)
    said = capsys.readouterr().out.splitlines()
    backwards = said[-2]
    assert backwards.index("double.tfm turned round") < backwards.index("shift.h5 turned round")


def test_voxels_of_one_image_become_voxels_of_the_other(folder: Path) -> None:
    for name, spacing in (("fixed", 2.0), ("moving", 4.0)):
        grid = Grid.from_spacing((41, 41, 41), spacing)
        write_image(Image(torch.zeros(1, 1, *grid.shape), grid), folder / f"{name}.nii.gz")
    arguments = ["--space", "voxel", "--image", "fixed.nii.gz", "--to-image", "moving.nii.gz"]
    assert run(folder, "-p", "points.csv", *arguments, "--on", "fixed", "-t", "shift.h5") == 0
    world = 2.0 * (np.array([1, 2, 3]) - 20) + [10, 0, 0]
    np.testing.assert_allclose(first(folder), world / 4 + 20, atol=1e-9)


def test_points_without_an_inverse_are_counted_and_end_with_3(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    grid = Grid.from_spacing((20, 20, 20), 2.0)
    flat = Displacement(-grid.points_mm().T.reshape(3, *grid.shape).contiguous(), grid)
    write_transform(flat, folder / "flat.h5")
    code = run(folder, "-p", "points.csv", "--space", "ras", "--on", "moving", "-t", "flat.h5", "--json")
    out, err = capfd.readouterr()
    assert code == 3
    assert json.loads(out)["without_inverse"] == 2
    assert "2 of 2 points have no inverse" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--space", "ras", "-t", "shift.h5"], "--on fixed or --on moving"),
        (["--on", "fixed", "-t", "shift.h5"], "ras"),
        (["--space", "ras", "--on", "fixed"], "--transform"),
        (["--space", "ras", "--on", "front", "-t", "shift.h5"], "unknown name 'front'"),
        (["--space", "voxel", "--on", "fixed", "-t", "shift.h5"], "voxel"),
    ],
)
def test_what_is_missing_is_one_line(
    folder: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "-p", "points.csv", *arguments) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert said in error
    assert not (folder / "out.csv").exists()
