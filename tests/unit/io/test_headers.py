import gzip
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import ReadError, UsageError
from inforeg.image import Image
from inforeg.io import Header, read_header, read_image, write_image, write_series
from inforeg.space import Grid

AFFINE = np.array([[1.9, 0.2, 0.3, -10], [-0.2, 2.9, 0.2, 20], [-0.4, -0.2, 1.4, 30], [0, 0, 0, 1]])
STRAIGHT = np.diag([-1.0, 2.0, 3.0, 1.0])


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgh", ".mgz", ".nrrd", ".mha"])
def test_it_says_what_the_readers_find(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_image(
        Image(torch.rand(1, 1, 4, 5, 6), Grid((4, 5, 6), torch.from_numpy(AFFINE))), path, dtype="int16"
    )
    header, image = read_header(path), read_image(path)
    assert (header.name, header.shape, header.dtype, header.channels) == (str(path), (4, 5, 6), "int16", 1)
    assert (header.volumes, header.is_series, header.what, header.voxel_bytes) == (1, False, "an image", 240)
    np.testing.assert_array_equal(header.voxel_to_world, image.grid.voxel_to_world.numpy())
    np.testing.assert_allclose(header.spacing_mm, image.grid.spacing_mm.numpy())
    assert [note for note in header.notes if "right angles" not in note] == []


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mgh", ".nrrd", ".mha", ".mgz"])
def test_series_and_their_step(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    grid = Grid.from_spacing((4, 5, 6))
    write_series([Image(torch.rand(1, 1, 4, 5, 6), grid)] * 3, path, step=2.0, step_unit="s")
    header = read_header(path)
    assert (header.volumes, header.shape, header.what, header.voxel_bytes) == (3, (4, 5, 6), "a series", 1440)
    wanted = {".mgh": (2000.0, "ms"), ".mgz": (0.0, ""), ".mha": (2.0, "")}
    assert (header.step, header.step_unit) == wanted.get(suffix, (2.0, "s"))
    assert any("behind them" in note for note in header.notes) == (suffix == ".mgz")


@pytest.mark.parametrize(
    ("name", "array", "is_colour", "channels", "dtype"),
    [
        ("a.png", np.zeros((5, 8), np.uint16), False, 1, "uint16"),
        ("a.png", np.zeros((5, 8, 3), np.uint8), True, 3, "uint8"),
        ("a.png", np.zeros((5, 8, 4), np.uint8), True, 3, "uint8"),
        ("a.jpg", np.zeros((5, 8), np.uint8), False, 1, "uint8"),
        ("a.tiff", np.zeros((5, 8), np.float32), False, 1, "float32"),
        ("a.tif", np.zeros((3, 5, 8), np.int16), False, 1, "int16"),
    ],
)
def test_pictures(
    tmp_path: Path, name: str, array: np.ndarray, is_colour: bool, channels: int, dtype: str
) -> None:
    image = sitk.GetImageFromArray(array, isVector=is_colour)
    image.SetSpacing([0.5, 0.25, 1.0][: image.GetDimension()])
    sitk.WriteImage(image, str(tmp_path / name))
    header, read = read_header(tmp_path / name), read_image(tmp_path / name)
    assert header.shape == read.grid.shape
    assert (header.channels, header.dtype, header.voxel_bytes) == (channels, dtype, array.nbytes)
    np.testing.assert_array_equal(header.voxel_to_world, read.grid.voxel_to_world.numpy())
    assert header.format in ("PNG", "JPEG", "TIFF")


def nifti(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, unit: str = "mm") -> Header:
    image = nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), None)
    image.set_sform(sform, 0 if sform is None else 4)
    image.set_qform(qform, 0 if qform is None else 1)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return read_header(path)


def test_both_forms_of_nifti_and_how_far_they_are_apart(tmp_path: Path) -> None:
    moved = STRAIGHT.copy()
    moved[:3, 3] = (37, 0, 0)
    header = nifti(tmp_path / "a.nii.gz", STRAIGHT, moved)
    assert (header.format, header.sform_code, header.qform_code, header.units) == ("NIfTI-1", 4, 1, "mm")
    np.testing.assert_allclose(header.sform, STRAIGHT)
    np.testing.assert_allclose(header.qform, moved)
    np.testing.assert_array_equal(header.voxel_to_world, header.sform)
    assert header.forms_apart_mm == pytest.approx(37)
    assert header.notes == ("sform and qform differ by 37 mm; the sform is used",)
    # A turn moves the far corners most.
    turned = np.diag([-1.0, -2.0, -3.0, 1.0])
    far = nifti(tmp_path / "b.nii", STRAIGHT, turned @ np.diag([1, -1, -1, 1]))
    assert far.forms_apart_mm == pytest.approx(0, abs=1e-6)
    flipped = nifti(tmp_path / "c.nii", STRAIGHT, np.diag([1.0, 2, 3, 1]))
    assert flipped.forms_apart_mm == pytest.approx(6)


@pytest.mark.parametrize(
    ("sform", "qform", "unit", "notes"),
    [
        (STRAIGHT, None, "mm", []),
        (None, STRAIGHT, "mm", []),
        (STRAIGHT, STRAIGHT, "mm", []),
        (np.diag([1.0, 2, 3, 1]), np.diag([1.0, 2, 3, 1]), "mm", []),
        (None, None, "mm", ["does not say where it lies"]),
        (STRAIGHT, STRAIGHT, "micron", ["in micrometres; taken to mm"]),
        (STRAIGHT, STRAIGHT, "meter", ["in metres; taken to mm"]),
        (np.diag([1.0, 2, 3, 1]) + np.eye(4, k=1) * [0, 0.2, 0, 0], None, "mm", ["degrees off right angles"]),
    ],
)
def test_notes(
    tmp_path: Path, sform: np.ndarray | None, qform: np.ndarray | None, unit: str, notes: list[str]
) -> None:
    header = nifti(tmp_path / "a.nii", sform, qform, unit)
    assert len(header.notes) == len(notes)
    for said, wanted in zip(header.notes, notes, strict=True):
        assert wanted in said
    scale = {"micron": 1e-3, "meter": 1e3}.get(unit, 1)
    if sform is not None:
        np.testing.assert_allclose(header.sform[:3], sform[:3] * scale, rtol=1e-6)


def test_a_header_that_makes_no_grid_is_described(tmp_path: Path) -> None:
    """`info` is what one asks when an image is refused."""
    raw = bytearray(nib.Nifti1Image(np.zeros((4, 5, 6), np.int16), STRAIGHT).to_bytes())
    raw[252:256] = bytes(4)  # neither form
    raw[254] = 1
    for rows, expected in ((bytes(48), "is singular"), (b"\xff" * 48, "NaN or infinity")):
        raw[280:328] = rows
        (tmp_path / "a.nii").write_bytes(raw)
        assert any(expected in note for note in read_header(tmp_path / "a.nii").notes)
        with pytest.raises(ReadError, match=r"singular|NaN"):
            read_image(tmp_path / "a.nii")


def test_a_field_is_said_to_be_one(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((4, 5, 6, 1, 3), np.float32), STRAIGHT)
    image.header.set_intent("vector")
    nib.save(image, tmp_path / "a.nii.gz")
    header = read_header(tmp_path / "a.nii.gz")
    assert (header.what, header.channels, header.volumes) == ("a displacement field", 3, 1)
    assert header.notes[0] == "it holds a displacement field, and is no image"


def test_what_is_cut_short_is_seen_without_reading_it(tmp_path: Path) -> None:
    raw = nib.Nifti1Image(np.zeros((40, 50, 60), np.int16), STRAIGHT).to_bytes()
    (tmp_path / "a.nii").write_bytes(raw[:-1])
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(raw)[:150])
    for name in ("a.nii", "b.nii.gz"):
        with pytest.raises(ReadError, match="cut short"):
            read_header(tmp_path / name)


def test_it_is_quick_whatever_the_size(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), STRAIGHT)
    header = image.header.copy()
    header.set_data_shape((2000, 2000, 1000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    with (tmp_path / "a.nii").open("wb") as file:
        file.write(header.binaryblock)
        file.truncate(352 + 4 * 10**9)  # a file of holes
    # Of the processor's time, which does not depend on what else the machine is doing.
    start = time.process_time()
    assert read_header(tmp_path / "a.nii").voxel_bytes == 4 * 10**9
    assert time.process_time() - start < 0.5


def test_it_needs_no_torch(tmp_path: Path) -> None:
    nifti(tmp_path / "a.nii.gz", STRAIGHT, None)
    code = (
        "import sys\nfrom inforeg.io import read_header\nprint(read_header(sys.argv[1]).shape)\n"
        "assert 'torch' not in sys.modules"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.nii.gz")], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("(4, 5, 6)\n", "")


def test_what_is_no_file_of_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("x")
    for name, expected in (
        ("none.nii", "not there"),
        ("a.docx", "expected an image"),
        ("none", "expected an image"),
    ):
        with pytest.raises(ReadError, match=expected):
            read_header(tmp_path / name)
    with pytest.raises(UsageError, match="expected a path"):
        read_header(np.zeros((3, 4)))
