"""invert, compose and convert: transforms in, transforms out."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from strategies import points

from inforeg.cli.main import main
from inforeg.image import Image
from inforeg.io import Header, grids, read_image, read_transform, write_image, write_transform
from inforeg.io.headers import read_header
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear

GRID = Grid.from_spacing((24, 25, 26), 4.0)


def bump() -> Displacement:
    where = GRID.points_mm()
    fade = torch.cos(torch.pi * where / GRID.extent_mm).prod(dim=1, keepdim=True)
    vectors = 4 * fade * torch.sin(where / 25 + torch.arange(3))
    return Displacement(vectors.T.reshape(3, *GRID.shape).contiguous(), GRID)


def affine() -> Linear:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 1], matrix[1, 1], matrix[2, 3] = 0.2, 1.1, 7.0
    return Linear(matrix)


CHAIN = Composite((affine(), bump()))
INNER = points(3, reach_mm=35.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_transform(affine(), tmp_path / "affine.tfm")
    write_transform(bump(), tmp_path / "bump.nii.gz")
    write_transform(CHAIN, tmp_path / "chain.h5")
    write_image(Image(torch.rand(1, 1, *GRID.shape), GRID), tmp_path / "image.nii.gz")
    return tmp_path


def near(a: object, b: object, atol: float) -> None:
    torch.testing.assert_close(a(INNER), b(INNER), rtol=0, atol=atol)  # type: ignore[operator]


def test_a_matrix_is_inverted_exactly(folder: Path) -> None:
    assert main(["invert", "-t", f"{folder}/affine.tfm", "-o", f"{folder}/out.tfm"]) == 0
    near(read_transform(folder / "out.tfm"), affine().inverse(), 1e-12)


def test_the_inverse_of_a_field_says_its_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "-t",
        f"{folder}/bump.nii.gz",
        "-t",
        f"{folder}/affine.tfm",
        "--mask",
        f"{folder}/found.nii.gz",
    ]
    assert main(["invert", *arguments, "-o", f"{folder}/out.h5", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["median_error_mm"] < told["largest_error_mm"] < 0.4
    assert told["share_found"] == float(read_image(folder / "found.nii.gz").data.mean())
    back = read_transform(folder / "out.h5")
    off = (back(CHAIN(INNER)) - INNER).norm(dim=1)
    assert float(off.max()) < told["largest_error_mm"]


def test_one_field_of_a_chain(folder: Path) -> None:
    arguments = ["-t", f"{folder}/bump.nii.gz", "-t", f"{folder}/affine.tfm"]
    assert main(["compose", *arguments, "-r", f"{folder}/image.nii.gz", "-o", f"{folder}/one.nii.gz"]) == 0
    field = sitk.DisplacementFieldTransform(sitk.ReadImage(f"{folder}/one.nii.gz", sitk.sitkVectorFloat64))
    for point in GRID.points_mm()[::997]:
        expected = CHAIN(point[None])[0].numpy()
        found = np.array(field.TransformPoint((point.numpy() * [-1, -1, 1]).tolist())) * [-1, -1, 1]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_composite_keeps_its_parts(folder: Path) -> None:
    arguments = ["-t", f"{folder}/bump.nii.gz", "-t", f"{folder}/affine.tfm", "-t", f"{folder}/affine.tfm"]
    assert main(["compose", *arguments, "-o", f"{folder}/out.h5"]) == 0
    made = read_transform(folder / "out.h5")
    assert isinstance(made, Composite)
    assert [type(part) for part in made.parts] == [Linear, Displacement]
    near(made, Composite((affine(), CHAIN)), 1e-4)


def test_names_of_ants_and_the_lists_for_its_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", "-t", f"{folder}/chain.h5", "--naming", "ants", "-o", f"{folder}/ants"]) == 0
    assert sorted(p.name for p in (folder / "ants").iterdir()) == ["0GenericAffine.mat", "1Warp.nii.gz"]
    assert "-t 1Warp.nii.gz -t 0GenericAffine.mat" in capsys.readouterr().out
    back = Composite(
        (
            read_transform(folder / "ants" / "0GenericAffine.mat"),
            read_transform(folder / "ants" / "1Warp.nii.gz"),
        )
    )
    near(back, CHAIN, 1e-5)
    assert main(["convert", "-t", f"{folder}/chain.h5", "--naming", "ants", "-o", f"{folder}/ants"]) == 1


def test_fsl_needs_both_images_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["convert", "-t", f"{folder}/affine.tfm", "--to", "fsl", "-o", f"{folder}/out.mat"]
    assert main(arguments) == 2
    assert "--fixed and --moving" in capsys.readouterr().err
    images = ["-f", f"{folder}/image.nii.gz", "-m", f"{folder}/image.nii.gz"]
    assert main([*arguments, *images]) == 0
    assert (
        main(["convert", "-t", f"{folder}/out.mat", "--from", "fsl", *images, "-o", f"{folder}/again.tfm"])
        == 0
    )
    near(read_transform(folder / "again.tfm"), affine(), 1e-6)


def test_images_keep_their_values_and_types(folder: Path) -> None:
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1, 2, 3] = 614454277
    nib.save(nib.Nifti1Image(labels, np.diag([-2.0, 2, 3, 1])), folder / "labels.nii.gz")
    assert main(["convert", "-i", f"{folder}/labels.nii.gz", "-o", f"{folder}/labels.nrrd"]) == 0
    there = sitk.ReadImage(f"{folder}/labels.nrrd")
    assert there.GetPixelIDTypeAsString() == "32-bit signed integer"
    assert there[1, 2, 3] == 614454277


def test_one_volume_of_a_series(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "series.nii.gz")
    assert (
        main(["convert", "-i", f"{folder}/series.nii.gz", "--volume", "3", "-o", f"{folder}/one.nii.gz"]) == 0
    )
    assert np.array_equal(np.asarray(nib.load(folder / "one.nii.gz").dataobj), values[..., 3])
    capsys.readouterr()
    assert (
        main(["convert", "-i", f"{folder}/series.nii.gz", "--volume", "5", "-o", f"{folder}/two.nii.gz"]) != 0
    )
    assert "5" in capsys.readouterr().err


def test_points_change_format_and_keep_their_place(folder: Path) -> None:
    (folder / "points.csv").write_text("x,y,z\n1,2,3\n")
    assert (
        main(["convert", "-p", f"{folder}/points.csv", "--space", "ras", "-o", f"{folder}/points.fcsv"]) == 0
    )
    from inforeg.io import read_points

    np.testing.assert_allclose(read_points(folder / "points.fcsv").numpy(), [[1, 2, 3]])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["compose", "-t", "affine.tfm", "-o", "out.nii.gz"], 2, "--reference"),
        (["compose", "-o", "out.h5"], 2, "--transform"),
        (["convert", "-o", "out.h5"], 2, "expected one of"),
        (["convert", "-t", "affine.tfm", "-i", "image.nii.gz", "-o", "out.h5"], 2, "expected one of"),
        (["convert", "-t", "affine.tfm", "-o", "out.xyz"], 2, "out.xyz"),
        (["convert", "-t", "affine.tfm", "-o", "out.lta"], 2, "--fixed and --moving"),
        (["convert", "-t", "affine.tfm", "--to", "itc", "-o", "out.tfm"], 2, "unknown"),
        (["convert", "-i", "image.nii.gz", "--naming", "ants", "-o", "out"], 2, "--transform"),
        (["convert", "-t", "affine.tfm", "-o", "affine.tfm"], 2, "is the input"),
        (["convert", "-t", "affine.tfm", "-o", "bump.nii.gz"], 1, "exists"),
        (["invert", "-t", "affine.tfm", "--mask", "found.nii.gz", "-o", "out.tfm"], 2, "everywhere"),
        (["invert", "-t", "missing.tfm", "-o", "out.tfm"], 1, "not there"),
    ],
)
def test_what_does_not_go_is_one_line(
    folder: Path, arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(p.name for p in folder.iterdir())
    words = [f"{folder}/{a}" if "." in a and not a.startswith("-") else a for a in arguments]
    assert main(words) == code
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert said in error
    assert sorted(p.name for p in folder.iterdir()) == before


@pytest.mark.parametrize("command", ["compose", "convert", "invert", "jacobian"])
def test_headers_are_read_once(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def watched(path: Path) -> Header:
        read.append(path.name)
        return read_header(path)

    monkeypatch.setattr(grids, "read_header", watched)
    write_image(Image(torch.rand(1, 1, *GRID.shape), GRID), folder / "moving.nii.gz")
    fixed = "-r" if command == "jacobian" else "-f"
    images = [fixed, f"{folder}/image.nii.gz", "-m", f"{folder}/moving.nii.gz"]
    written = "out.nii.gz" if command == "jacobian" else "out.lta"
    assert main([command, "-t", f"{folder}/affine.tfm", *images, "-o", f"{folder}/{written}"]) == 0
    assert sorted(read) == ["image.nii.gz", "moving.nii.gz"]
