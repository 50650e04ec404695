import json
from pathlib import Path

import pytest
import torch
from strategies import points

from inforeg.cli.main import main
from inforeg.image import Image, Labels
from inforeg.io import write_image, write_labels, write_points, write_transform
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

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
    write_transform(SHIFT.inverse(), tmp_path / "shift_back.tfm")
    write_transform(Linear.identity(2), tmp_path / "flat.tfm")
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
FIELD = ("-t", "{folder}/shift.tfm", "-f", "{folder}/image.nii.gz")


def test_points_and_labels_before_and_after(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, *POINTS, *LABELS, "-t", "{folder}/shift.tfm", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["points"]["before"]["mean_mm"] == pytest.approx(4.0)
    assert found["points"]["after"]["max_mm"] == pytest.approx(0.0, abs=1e-9)
    assert found["points"]["after"]["count"] == 12
    # Two layers of 2 mm, moved on by two: the near one is 2 mm from the other region, the far one 4.
    assert found["labels"]["before"] == {
        "mean_dice": 0.0,
        "dice": {"7": 0.0},
        "mean_hd95_mm": 4.0,
        "hd95_mm": {"7": 4.0},
        "mean_assd_mm": 3.0,
        "assd_mm": {"7": 3.0},
        "without_distance": {},
    }
    assert found["labels"]["after"] == {
        "mean_dice": 1.0,
        "dice": {"7": 1.0},
        "mean_hd95_mm": 0.0,
        "hd95_mm": {"7": 0.0},
        "mean_assd_mm": 0.0,
        "assd_mm": {"7": 0.0},
        "without_distance": {},
    }
    assert set(found) == {"points", "labels"}


def test_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, *POINTS, *LABELS, "-t", "{folder}/shift.tfm") == 0
    said = capsys.readouterr().out
    assert said.startswith(
        f"points travel {folder}/f.csv -> {folder}/shift.tfm -> {folder}/m.csv\nTRE before: mean 4.000 mm"
    )
    assert "TRE after: mean 0.000 mm" in said
    assert "Dice after: mean 1.0000 over 1 labels" in said
    assert "HD95 before: mean 4.000 mm, ASSD: mean 3.000 mm, over 1 labels\n" in said
    assert "         7 0.0000    4.000    3.000\n" in said
    assert (
        run(folder, "--fixed-labels", "{folder}/none.nii.gz", "--moving-labels", "{folder}/none.nii.gz") == 0
    )
    assert "no labels but the background" in capsys.readouterr().out


def test_a_label_that_one_map_lacks_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    labels[..., 2:4, 3:6, 3:6], labels[..., 7, 7, 7] = 7, 12
    write_labels(Labels(labels, GRID), folder / "more.nii.gz")
    maps = ("--fixed-labels", "{folder}/more.nii.gz", "--moving-labels", "{folder}/fl.nii.gz")
    assert run(folder, *maps, "--json") == 0
    found = json.loads(capsys.readouterr().out)["labels"]["before"]
    assert found["dice"] == {"7": 1.0, "12": 0.0}
    assert found["hd95_mm"] == found["assd_mm"] == {"7": 0.0, "12": None}
    assert (found["mean_dice"], found["mean_hd95_mm"], found["mean_assd_mm"]) == (0.5, 0.0, 0.0)
    assert found["without_distance"] == {"12": "not in the warped map"}
    assert run(folder, *maps) == 0
    said = capsys.readouterr().out
    assert "over 1 labels\n1 of 2 labels are in one map only: no distance\n" in said
    assert said.endswith("        12 0.0000 not in the warped map\n")
    none = ("--fixed-labels", "{folder}/fl.nii.gz", "--moving-labels", "{folder}/none.nii.gz")
    assert run(folder, *none, "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"]["before"]["mean_hd95_mm"] is None
    assert run(folder, *none) == 0
    assert "HD95 before" not in capsys.readouterr().out


def test_a_field_against_the_truth_and_by_itself(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The truth moves along x by 4 mm and no further; the field does by 1 mm less, and folds nothing."""
    still = torch.zeros(3, *GRID.shape, dtype=torch.float64)
    still[0] = -1.0
    write_transform(Displacement(still, GRID), folder / "less.nii.gz")
    chain = ("-t", "{folder}/less.nii.gz", "-t", "{folder}/shift.tfm")
    truth = ("--truth", "{folder}/shift.tfm", "--fixed", "{folder}/image.nii.gz")
    assert run(folder, *chain, *truth, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["truth", "jacobian", "inverse"]
    same = ("mean_mm", "median_mm", "p95_mm", "max_mm")
    for when, expected in (("before", 4.0), ("after", 1.0)):
        assert found["truth"][when]["voxels"] == 720
        assert [found["truth"][when][name] for name in same] == pytest.approx([expected] * 4)
    assert (found["jacobian"]["folds"], found["jacobian"]["voxels"]) == (0, 720)
    assert found["jacobian"]["sd_log"] == pytest.approx(0.0, abs=1e-12)
    assert "less.nii.gz does not bring one; give its file as --inverse" in found["inverse"]["not_measured"]
    assert found["inverse"]["mean_mm"] is None
    assert run(folder, *chain, *truth, "--inverse", "{folder}/shift_back.tfm") == 0
    said = capsys.readouterr().out
    assert said.startswith("points travel ")
    assert "error against the truth before: mean 4.000 mm, median 4.000, 95 % 4.000, largest 4.000" in said
    assert "error against the truth after: mean 1.000 mm" in said
    assert "folds (0 or below): 0 voxels, 0 %\nSD of log determinant: " in said
    assert "inverse: mean 1.000 mm, median 1.000, 95 % 1.000, largest 1.000 (720 voxels)" in said
    assert run(folder, *truth, "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["truth"]) == ["before"]


def test_within_a_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A field that folds in one half only, looked at in a mask on a grid of its own and on its own."""
    vectors = torch.zeros(3, *GRID.shape, dtype=torch.float64)
    vectors[0, 4:] = -2.5 * 2 * torch.arange(4, dtype=torch.float64)[:, None, None]
    write_transform(Displacement(vectors, GRID), folder / "fold.nii.gz")
    inside = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    inside[:, :, :3] = 1
    write_labels(Labels(inside, GRID), folder / "half.nii.gz")
    fold = ("-t", "{folder}/fold.nii.gz", "--json")
    assert run(folder, *fold, "-f", "{folder}/image.nii.gz") == 0
    assert json.loads(capsys.readouterr().out)["jacobian"]["folds"] > 0
    for place in (("-f", "{folder}/image.nii.gz"), ()):
        arguments = (*fold, *place, "--mask", "{folder}/half.nii.gz", "--truth", "{folder}/shift.tfm")
        assert run(folder, *arguments) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["jacobian"]["folds"], found["jacobian"]["voxels"]) == (0, 270)
        assert found["truth"]["after"]["voxels"] == 270
        assert found["truth"]["after"]["max_mm"] == pytest.approx(4.0)


def test_a_registrations_folder_brings_its_inverse(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out"
    out.mkdir()
    field = torch.full((3, *GRID.shape), 0.5, dtype=torch.float64)
    write_transform(SHIFT @ Displacement(field, GRID), out / "transform.h5")
    write_transform(Displacement(-0.4 / 0.5 * field, GRID) @ SHIFT.inverse(), out / "inverse.h5")
    ends = {side: {"path": f"{side}.nii.gz"} for side in ("fixed", "moving")}
    (out / "result.json").write_text(json.dumps({"inputs": ends}), encoding="utf-8")
    middle = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    middle[..., 2:6, 2:7, 2:8] = 1
    write_labels(Labels(middle, GRID), folder / "middle.nii.gz")
    place = ("--mask", "{folder}/middle.nii.gz", "--json")
    assert run(folder, "-t", "{folder}/out", "-t", "{folder}/shift.tfm", *place) == 0
    found = json.loads(capsys.readouterr().out)["inverse"]
    assert found["not_measured"] is None
    assert found["max_mm"] == pytest.approx(0.1 * 3**0.5, abs=1e-6)
    assert run(folder, "-t", "{folder}/shift.tfm", *place) == 0
    found = json.loads(capsys.readouterr().out)["inverse"]
    assert found["not_measured"] == "a matrix has an exact inverse"


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
        (("-t", "{folder}/shift.tfm"), 2, "or --truth, or --transform with --fixed"),
        ((*POINTS, "--mask", "{folder}/fl.nii.gz"), 2, "give --truth or --transform"),
        (("--truth", "{folder}/shift.tfm"), 2, "--truth: give the image at whose voxels to measure, --fixed"),
        ((*LABELS, "--inverse", "{folder}/shift.tfm"), 2, "the transforms that it undoes, --transform"),
        ((*FIELD, "--mask", "{folder}/none.nii.gz"), 2, "none.nii.gz covers no voxel of"),
        (
            (*FIELD, "--truth", "{folder}/flat.tfm"),
            2,
            "expected a 3-D transform for this grid, got a 2-D one",
        ),
        ((*FIELD, "--inverse", "{folder}/flat.tfm"), 2, "got a 2-D one"),
        ((*FIELD, "--inverse", "{folder}"), 2, "brings its inverse when it is given as -t"),
        (("-t", "{folder}/flat.tfm", *FIELD[2:]), 2, "flat.tfm is 2-D"),
    ],
)
def test_what_is_refused(
    folder: Path, arguments: tuple[str, ...], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, *arguments) == code
    assert expected in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
