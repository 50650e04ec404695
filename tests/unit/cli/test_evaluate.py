import json
from pathlib import Path

import pytest
import torch
from strategies import points

from inforeg.cli.main import main
from inforeg.image import Image, Labels
from inforeg.io import write_image, write_labels, write_points, write_transform
from inforeg.space import Grid
from inforeg.transforms import Linear

GRID = Grid.from_spacing((8, 9, 10), 2.0)
SHIFT = Linear.translation(torch.tensor([4.0, 0.0, 0.0], dtype=torch.float64))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_points(points(3, 12), tmp_path / "f.csv")
    write_points(SHIFT(points(3, 12)), tmp_path / "m.csv")
    for name in "fm":
        # As others write them: nothing says what the numbers are.
        silent = (tmp_path / f"{name}.csv").read_text().partition("\n")[2]
        (tmp_path / f"{name}_silent.csv").write_text(silent)
    write_points(points(3, 11), tmp_path / "fewer.csv")
    write_transform(SHIFT, tmp_path / "shift.tfm")
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    labels[..., 2:4, 3:6, 3:6] = 7
    write_labels(Labels(labels, GRID), tmp_path / "fl.nii.gz")
    write_labels(Labels(labels.roll(2, dims=2), GRID), tmp_path / "ml.nii.gz")
    write_labels(Labels(labels * 0, GRID), tmp_path / "none.nii.gz")
    write_image(Image(torch.rand(1, 1, *GRID.shape), GRID), tmp_path / "image.nii.gz")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return main(["evaluate", *(a.format(folder=folder) for a in arguments)])


POINTS = ("--fixed-points", "{folder}/f.csv", "--moving-points", "{folder}/m.csv")
SILENT = ("--fixed-points", "{folder}/f_silent.csv", "--moving-points", "{folder}/m_silent.csv")
LABELS = ("--fixed-labels", "{folder}/fl.nii.gz", "--moving-labels", "{folder}/ml.nii.gz")


def test_points_and_labels_before_and_after(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, *POINTS, *LABELS, "-t", "{folder}/shift.tfm", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["points"]["before"]["mean_mm"] == pytest.approx(4.0)
    assert found["points"]["after"]["max_mm"] == pytest.approx(0.0, abs=1e-9)
    assert found["points"]["after"]["count"] == 12
    assert found["labels"]["before"] == {"mean_dice": 0.0, "dice": {"7": 0.0}}
    assert found["labels"]["after"] == {"mean_dice": 1.0, "dice": {"7": 1.0}}


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, *POINTS, *LABELS, "-t", "{folder}/shift.tfm") == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"points travel {folder}/f.csv -> {folder}/shift.tfm -> {folder}/m.csv\nTRE before: mean 4.000 mm"
    )
    assert "TRE after: mean 0.000 mm" in said
    assert "Dice after: mean 1.0000 over 1 labels" in said
    assert (
        run(folder, "--fixed-labels", "{folder}/none.nii.gz", "--moving-labels", "{folder}/none.nii.gz") == 0
    )
    assert "no labels but the background" in capsys.readouterr().out


def test_points_in_other_spaces(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, *SILENT, "--space", "lps", "-t", "{folder}/shift.tfm", "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"]["after"]["mean_mm"] == pytest.approx(8.0)
    images = ("-f", "{folder}/image.nii.gz", "-m", "{folder}/image.nii.gz")
    assert run(folder, *SILENT, "--space", "voxel", *images, "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"]["before"]["mean_mm"] == pytest.approx(8.0)
    assert run(folder, *SILENT, "--space", "ras", "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"]["before"]["mean_mm"] == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ((), 2, "expected --fixed-points and --moving-points, or"),
        (POINTS[:2], 2, "got one of them"),
        (LABELS[2:], 2, "got one of them"),
        ((*POINTS, "--space", "voxel"), 2, "--fixed and --moving"),
        ((*POINTS, "--space", "itk"), 2, "--space: unknown name 'itk'"),
        ((*POINTS, "--space", "lps"), 2, "says that its numbers are ras, and lps was asked for"),
        (SILENT, 2, "does not say what its numbers are: say --space ras, lps (mm) or voxel"),
        ((*POINTS[:3], "{folder}/fewer.csv"), 2, r"(12, 3) and (11, 3)"),
        ((*POINTS[:3], "{folder}/no.csv"), 1, "no.csv is not there"),
        ((*LABELS[:3], "{folder}/image.nii.gz"), 1, "expected labels"),
        ((*POINTS, "-t", "{folder}/f.csv"), 1, "expected a transform"),
    ],
)
def test_what_is_refused(
    folder: Path, arguments: tuple[str, ...], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, *arguments) == code
    assert expected in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
