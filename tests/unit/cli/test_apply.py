import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from inforeg.cli.main import main
from inforeg.image import Image, Labels
from inforeg.io import read_image, read_labels, write_image, write_labels, write_transform
from inforeg.space import Grid
from inforeg.transforms import Linear

GRID = Grid.from_spacing((8, 9, 10), 2.0)


def shift(*mm: float) -> Linear:
    return Linear.translation(torch.tensor(mm, dtype=torch.float64))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image of x positions and one of labels, and transforms that do not commute."""
    x = GRID.points_mm()[:, 0].reshape(1, 1, *GRID.shape)
    write_image(Image(x.float(), GRID), tmp_path / "x.nii.gz")
    labels = torch.zeros(1, 1, *GRID.shape, dtype=torch.int64)
    labels[..., 4, 4, 4] = 614454277
    write_labels(Labels(labels, GRID), tmp_path / "labels.nii.gz")
    write_transform(shift(4.0, 0.0, 0.0), tmp_path / "shift.tfm")
    write_transform(
        Linear(torch.diag(torch.tensor([0.5, 1, 1, 1], dtype=torch.float64))), tmp_path / "half.h5"
    )
    write_transform(Linear.identity(2), tmp_path / "flat.tfm")
    return tmp_path


def run(folder: Path, *arguments: str, output: str = "out.nii.gz") -> int:
    return main(
        [
            "apply",
            "-i",
            f"{folder}/x.nii.gz",
            "-r",
            f"{folder}/x.nii.gz",
            "-o",
            f"{folder}/{output}",
            *arguments,
        ]
    )


def inner(image: Image) -> np.ndarray:
    """Along x, away from where the image ends."""
    return image.data[0, 0, 2:5, 4, 4].numpy()


def test_the_value_at_a_point_is_the_image_where_the_transform_leads(folder: Path) -> None:
    assert run(folder, "-t", f"{folder}/shift.tfm") == 0
    at = GRID.points_mm()[:, 0].reshape(GRID.shape)[2:5, 4, 4].numpy()
    np.testing.assert_allclose(inner(read_image(folder / "out.nii.gz")), at + 4, atol=1e-4)


def test_several_are_listed_as_points_travel_from_the_reference(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = GRID.points_mm()[:, 0].reshape(GRID.shape)[2:5, 4, 4].numpy()
    assert run(folder, "-t", f"{folder}/shift.tfm", "-t", f"{folder}/half.h5") == 0
    np.testing.assert_allclose(inner(read_image(folder / "out.nii.gz")), (at + 4) / 2, atol=1e-4)
    said = capsys.readouterr().out
    assert "x.nii.gz -> " in said
    assert said.index("shift.tfm") < said.index("half.h5")
    assert run(folder, "-t", f"{folder}/half.h5", "-t", f"{folder}/shift.tfm", output="b.nii.gz") == 0
    np.testing.assert_allclose(inner(read_image(folder / "b.nii.gz")), at / 2 + 4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Creating a tensor from a list")
@pytest.mark.parametrize("interp", ["linear", "nearest", "bspline"])
def test_without_a_transform_the_headers_decide(
    folder: Path, interp: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(folder, "-n", interp) == 0
    torch.testing.assert_close(
        read_image(folder / "out.nii.gz").data, read_image(folder / "x.nii.gz").data, atol=1e-4, rtol=0
    )
    assert "no transform" in capsys.readouterr().out


def test_labels_keep_their_ids(folder: Path) -> None:
    arguments = [
        "apply",
        "-i",
        f"{folder}/labels.nii.gz",
        "-r",
        f"{folder}/x.nii.gz",
        "-t",
        f"{folder}/shift.tfm",
    ]
    assert main([*arguments, "-o", f"{folder}/out.nii.gz", "-n", "label"]) == 0
    out = read_labels(folder / "out.nii.gz")
    assert out.data.unique().tolist() == [0, 614454277]
    assert int(out.data[0, 0, 2, 4, 4]) == 614454277
    assert nib.load(folder / "out.nii.gz").get_data_dtype() == np.int32


def test_type_and_outside(folder: Path) -> None:
    assert run(folder, "-t", f"{folder}/shift.tfm", "--dtype", "int16", "--outside", "-99") == 0
    stored = nib.load(folder / "out.nii.gz")
    assert stored.get_data_dtype() == np.int16
    assert np.asarray(stored.dataobj)[-1, 0, 0] == -99


def test_json_and_quiet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folder, "--json", "-t", f"{folder}/shift.tfm") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["output"].endswith("out.nii.gz")
    assert len(said["chain"]) == 1
    assert run(folder, "-q", "--overwrite") == 0
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize(
    ("arguments", "output", "code", "expected"),
    [
        (["-n", "cubic"], "out.nii.gz", 2, "--interp: unknown name 'cubic'"),
        (["-n", "labels"], "out.nii.gz", 2, "did you mean label"),
        (["-n", "label", "--dtype", "int16"], "out.nii.gz", 2, "labels keep"),
        (["--dtype", "float16"], "out.nii.gz", 2, "float16"),
        ([], "out.docx", 2, "expected a file name in"),
        ([], "x.nii.gz", 2, "is the input"),
        ([], "labels.nii.gz", 1, "exists"),
        (["-t", "{folder}/none.h5"], "out.nii.gz", 1, "none.h5 is not there"),
        (["-t", "{folder}/x.nii.gz"], "out.nii.gz", 1, "expected a transform"),
        (["-t", "{folder}/flat.tfm"], "out.nii.gz", 2, "expected a 3-D transform"),
        ([], "out.png", 1, "uint8 or uint16"),
        (["--dtype", "uint8"], "out.png", 1, "2-D pictures"),
    ],
)
def test_what_is_refused_leaves_nothing(
    folder: Path,
    arguments: list[str],
    output: str,
    code: int,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert run(folder, *(a.format(folder=folder) for a in arguments), output=output) == code
    assert expected in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_image_and_a_reference_of_different_dimension(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(Image(torch.rand(1, 1, 4, 5), Grid.from_spacing((4, 5))), folder / "flat.nii.gz")
    for mode in ("linear", "label"):
        arguments = ["apply", "-i", f"{folder}/x.nii.gz", "-r", f"{folder}/flat.nii.gz", "-n", mode]
        if mode == "label":
            arguments[2] = f"{folder}/labels.nii.gz"
        assert main([*arguments, "-o", f"{folder}/out.nii.gz"]) == 2
        assert "is 3-D" in capsys.readouterr().err


def test_a_reference_with_two_places_draws_its_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only its header is read, and it is warned of all the same."""
    image = nib.load(folder / "x.nii.gz")
    moved = image.affine.copy()
    moved[0, 3] += 4.0
    image.set_qform(image.affine, 1)
    image.set_sform(moved, 1)
    nib.save(image, folder / "two.nii.gz")
    arguments = ["-i", f"{folder}/x.nii.gz", "-r", f"{folder}/two.nii.gz", "-o", f"{folder}/out.nii.gz"]
    assert main(["apply", *arguments]) == 0
    warned = capsys.readouterr().err.splitlines()
    assert len(warned) == 1
    assert "two.nii.gz: sform and qform differ by 4 mm" in warned[0]
