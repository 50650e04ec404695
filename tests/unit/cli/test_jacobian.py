import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from inforeg.cli.main import main
from inforeg.image import Image, Labels
from inforeg.io import read_image, write_image, write_labels, write_transform
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

GRID = Grid.from_spacing((11, 9, 8), (2.0, 1.0, 3.0))
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A doubling, and a field that takes x to |x|: mirrored on one side, flat in the middle."""
    double = torch.diag(torch.tensor([2.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    write_transform(Linear(double), tmp_path / "double.tfm")
    write_transform(Linear(torch.diag(torch.tensor([-1.0, 1, 1, 1]).double())), tmp_path / "mirror.tfm")
    write_transform(Linear(torch.diag(torch.tensor([2.0, 1, 1]).double())), tmp_path / "flat.tfm")
    x = GRID.points_mm()[:, 0].reshape(GRID.shape)
    vectors = torch.stack((x.abs() - x, torch.zeros_like(x), torch.zeros_like(x)))
    write_transform(Displacement(vectors, GRID), tmp_path / "fold.nii.gz")
    write_image(Image(torch.rand(1, 1, *GRID.shape), GRID), tmp_path / "fixed.nii.gz")
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    write_labels(Labels(labels, GRID), tmp_path / "empty.nii.gz")
    labels[:, :, 6:] = 1
    write_labels(Labels(labels, GRID), tmp_path / "right.nii.gz")
    picture = Grid.from_spacing((5, 6), 1.0)
    write_image(Image(torch.rand(1, 1, 5, 6), picture), tmp_path / "flat.nii.gz")
    return tmp_path


def run(folder: Path, *arguments: str) -> int:
    return main(["jacobian", *(a.format(folder=folder) for a in arguments)])


FIXED = ("-r", "{folder}/fixed.nii.gz")
FOLD = ("-t", "{folder}/fold.nii.gz")


def test_folds_are_counted_and_written(folder: Path, capsys: Capture) -> None:
    assert run(folder, *FIXED, *FOLD, "-o", "{folder}/j.nii.gz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folds"] == 6 * 72
    assert found["share_folded"] == pytest.approx(6 / 11)
    assert (found["smallest"], found["largest"]) == (-1.0, 1.0)
    assert found["sd_log"] == 0.0
    assert "fold.nii.gz" in found["words"]
    written = nib.load(folder / "j.nii.gz")
    assert written.get_data_dtype() == np.float32
    assert read_image(folder / "j.nii.gz").grid.same_as(GRID)
    values = written.get_fdata()
    assert (values[:5] == -1).all()
    assert (values[5] == 0).all()
    assert (values[6:] == 1).all()


def test_logarithms_of_what_folds_are_not_a_number(folder: Path, capsys: Capture) -> None:
    chain = (*FOLD, "-t", "{folder}/double.tfm")
    assert run(folder, *FIXED, *chain, "--log", "-o", "{folder}/log.nii.gz") == 0
    said = capsys.readouterr().out
    assert "smallest -2, largest 2" in said
    assert "folds (0 or below): 432 voxels, 54.55 %" in said
    assert "SD of log determinant: 0" in said
    assert said.splitlines()[0].startswith("points travel ")
    values = nib.load(folder / "log.nii.gz").get_fdata()
    assert np.isnan(values[:6]).all()
    assert values[6:] == pytest.approx(np.log(2))


def test_figures_within_a_mask_and_no_file(folder: Path, capsys: Capture) -> None:
    before = set(folder.iterdir())
    assert run(folder, *FIXED, *FOLD, "--mask", "{folder}/right.nii.gz", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["voxels"], found["folds"], found["output"]) == (5 * 72, 0, None)
    assert set(folder.iterdir()) == before
    assert run(folder, *FIXED, "-t", "{folder}/mirror.tfm", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["share_folded"], found["sd_log"]) == (1.0, None)
    assert run(folder, *FIXED, "-t", "{folder}/mirror.tfm") == 0
    assert "the chain mirrors" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (FIXED, 2, "expected at least one --transform"),
        (FOLD, 2, "--reference"),
        ((*FIXED, *FOLD, "--log"), 2, "give --output too"),
        ((*FIXED, *FOLD, "-o", "{folder}/j.doc"), 2, "expected a file name"),
        ((*FIXED, *FOLD, "-o", "{folder}/fixed.nii.gz"), 2, "inputs are never changed"),
        ((*FIXED, *FOLD, "-o", "{folder}/right.nii.gz"), 1, "exists"),
        ((*FIXED, *FOLD, "--mask", "{folder}/empty.nii.gz"), 2, "covers no voxel"),
        ((*FIXED, *FOLD, "--mask", "{folder}/flat.nii.gz"), 2, "a mask of as many axes"),
        ((*FIXED, "-t", "{folder}/flat.tfm"), 2, "2-D"),
        ((*FIXED, "-t", "{folder}/none.tfm"), 1, "none.tfm is not there"),
    ],
)
def test_what_is_refused(
    folder: Path, arguments: tuple[str, ...], code: int, expected: str, capsys: Capture
) -> None:
    assert run(folder, *arguments) == code
    assert expected in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
