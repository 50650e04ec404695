import gzip
import logging
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import ReadError
from inforeg.image import Image
from inforeg.io import read_image, read_labels, read_series, read_transform, write_image
from inforeg.space import Grid

AFFINE = np.array([[2.0, 0.1, 0, -10], [0, 3.0, 0.2, 20], [0.3, 0, 1.5, 30], [0, 0, 0, 1]])


def volume(shape: tuple[int, ...] = (5, 6, 7), dtype: str = "float32") -> np.ndarray:
    return (np.random.default_rng(0).random(shape) * 100).astype(dtype)


def save(path: Path, data: np.ndarray, affine: np.ndarray = AFFINE) -> Path:
    nib.save(nib.Nifti1Image(data, affine), path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "float32", "float64"]
)
def test_reads_what_nibabel_reads(tmp_path: Path, suffix: str, dtype: str) -> None:
    data = volume(dtype=dtype)
    image = nib.Nifti1Image(data, AFFINE, dtype=dtype)
    nib.save(image, tmp_path / f"a{suffix}")
    read = read_image(tmp_path / f"a{suffix}")
    assert read.data.dtype == torch.float32
    assert read.data.is_contiguous()
    assert read.dtype == dtype
    assert read.name == f"a{suffix}"
    np.testing.assert_array_equal(read.data[0, 0].numpy(), data.astype(np.float32))
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), AFFINE, atol=1e-6)


def test_big_endian_and_nifti_2(tmp_path: Path) -> None:
    data = volume(dtype="int16")
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(data, AFFINE, header), tmp_path / "big.nii.gz")
    nib.save(nib.Nifti2Image(data, AFFINE), tmp_path / "two.nii.gz")
    for name in ("big.nii.gz", "two.nii.gz"):
        read = read_image(tmp_path / name)
        np.testing.assert_array_equal(read.data[0, 0].numpy(), data)
        assert read.dtype == "int16"


def test_scaled_values_are_what_nibabel_says(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(volume() * 1e-3, AFFINE, header)
    nib.save(image, tmp_path / "a.nii.gz")
    wanted = nib.load(tmp_path / "a.nii.gz")
    assert wanted.dataobj.slope != 1
    np.testing.assert_allclose(
        read_image(tmp_path / "a.nii.gz").data[0, 0].numpy(), wanted.get_fdata(), rtol=1e-6, atol=1e-7
    )


def test_sform_wins_and_a_qform_that_differs_draws_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = nib.Nifti1Image(volume(), AFFINE)
    image.set_sform(AFFINE, 1)
    moved = np.diag([1.0, 1, 1, 1])
    moved[:3, 3] = (37, 0, 0)
    image.set_qform(moved, 1)
    nib.save(image, tmp_path / "a.nii")
    with caplog.at_level(logging.WARNING, "inforeg"):
        read = read_image(tmp_path / "a.nii")
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), AFFINE, atol=1e-6)
    assert len(caplog.messages) == 1
    assert "sform and qform differ" in caplog.messages[0]
    assert "\n" not in caplog.messages[0]


def test_forms_that_agree_draw_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    plain = np.diag([1.0, 2.0, 3.0, 1.0])
    image = nib.Nifti1Image(volume(), plain)
    image.set_qform(plain, 1)
    image.set_sform(plain, 1)
    nib.save(image, tmp_path / "a.nii")
    read_image(tmp_path / "a.nii")
    assert caplog.messages == []


def test_qform_where_there_is_no_sform(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume(), None)
    turned = np.array([[0.0, -2, 0, 5], [2.0, 0, 0, 6], [0, 0, 2.0, 7], [0, 0, 0, 1]])
    image.set_qform(turned, 1)
    image.set_sform(None, 0)
    nib.save(image, tmp_path / "a.nii")
    np.testing.assert_allclose(read_image(tmp_path / "a.nii").grid.voxel_to_world.numpy(), turned, atol=1e-5)


def test_a_singular_sform_gives_way_to_the_qform(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    image = nib.Nifti1Image(volume(), AFFINE)
    image.set_qform(np.diag([1.0, 1, 2, 1]), 1)
    image.header["sform_code"] = 1
    for row in ("srow_x", "srow_y", "srow_z"):
        image.header[row] = 0
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + volume().tobytes("F"))
    raw = bytearray((tmp_path / "a.nii").read_bytes())
    raw[344:348] = b"n+1\0"
    (tmp_path / "a.nii").write_bytes(raw)
    read = read_image(tmp_path / "a.nii")
    np.testing.assert_allclose(read.grid.spacing_mm.numpy(), [1, 1, 2])
    assert "singular" in caplog.messages[0]


def test_a_quaternion_that_is_none_counts_as_not_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for sform_code, wanted in ((1, AFFINE), (0, None)):
        raw = header_bytes(qform_code=1, sform_code=sform_code, quatern_b=9)
        (tmp_path / "a.nii").write_bytes(bytes(raw) + BODY)
        read = read_image(tmp_path / "a.nii").grid.voxel_to_world.numpy()
        if wanted is not None:
            np.testing.assert_allclose(read, wanted, atol=1e-6)
    assert [m for m in caplog.messages if "does not say where it lies" in m] == caplog.messages[-1:]


@pytest.mark.parametrize(("unit", "scale"), [("micron", 1e-3), ("meter", 1e3), ("mm", 1.0), (None, 1.0)])
def test_units_of_the_header_become_mm(tmp_path: Path, unit: str | None, scale: float) -> None:
    image = nib.Nifti1Image(volume(), AFFINE)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    read = read_image(tmp_path / "a.nii").grid.voxel_to_world.numpy()
    np.testing.assert_allclose(read[:3], AFFINE[:3] * scale, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 1, 1)])
def test_a_slice_in_the_x_y_plane_is_2d(tmp_path: Path, shape: tuple[int, ...]) -> None:
    plane = np.array([[1.2, 0.3, 0, -10], [-0.3, 1.1, 0, 20], [0, 0, 5, 30], [0, 0, 0, 1]])
    data = volume(shape)
    read = read_image(save(tmp_path / "a.nii.gz", data, plane))
    assert read.grid.shape == (5, 6)
    np.testing.assert_allclose(
        read.grid.voxel_to_world.numpy(), plane[np.ix_([0, 1, 3], [0, 1, 3])], atol=1e-6
    )
    np.testing.assert_array_equal(read.data[0, 0].numpy(), data.reshape(5, 6))


def test_any_other_slice_stays_a_volume(tmp_path: Path) -> None:
    sagittal = np.array([[0.0, 0, 5, 1], [1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]])
    assert read_image(save(tmp_path / "a.nii", volume((5, 6, 1)), sagittal)).grid.shape == (5, 6, 1)
    assert read_image(save(tmp_path / "b.nii", volume((5, 6, 1)), AFFINE)).grid.shape == (5, 6, 1)


def test_colour_is_three_channels_there_and_back(tmp_path: Path) -> None:
    data = torch.randint(0, 255, (1, 3, 4, 5, 6)).float()
    image = Image(data, Grid.from_spacing((4, 5, 6)), dtype="uint8")
    write_image(image, tmp_path / "a.nii.gz")
    assert nib.load(tmp_path / "a.nii.gz").get_data_dtype().names == ("R", "G", "B")
    assert torch.equal(read_image(tmp_path / "a.nii.gz").data, data)


def header_bytes(**changes: object) -> bytearray:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((5, 6, 7))
    header.set_sform(AFFINE, 1)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    for name, value in changes.items():
        header[name] = value
    return bytearray(header.binaryblock + bytes(4))


BODY = volume().tobytes("F")
GOOD = bytes(header_bytes()) + BODY

BAD = {
    "empty": (b"", "empty"),
    "text": (b"this is no image\n" * 50, "no NIfTI header"),
    "short text": (b"hello", "ends after 5 bytes"),
    "header only": (GOOD[:352], "cut short"),
    "half": (GOOD[:700], "cut short"),
    "truncated gzip": (gzip.compress(GOOD)[:400], "cut short"),
    "gzip without its check sum": (gzip.compress(GOOD)[:-8], "damaged"),
    "damaged gzip": (gzip.compress(GOOD)[:100] + b"\xff" * 300, "damaged|cut short"),
    "gzip of text": (gzip.compress(b"hello " * 100), "no NIfTI header"),
    "terabytes": (bytes(header_bytes(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])) + BODY, "cut short"),
    "terabytes in gzip": (
        gzip.compress(bytes(header_bytes(dim=[3, 30000, 30000, 30000, 1, 1, 1, 1])) + BODY),
        "108 TB",
    ),
    "terabytes of volumes": (
        bytes(header_bytes(dim=[4, 30000, 30000, 30000, 9, 1, 1, 1])) + BODY,
        "cut short.*972 TB",
    ),
    "long doubles": (bytes(header_bytes(datatype=1536)) + BODY * 4, "up to 8 bytes"),
    "no axes": (bytes(header_bytes(dim=[0, 0, 0, 0, 0, 0, 0, 0])) + BODY, "axes"),
    "nine axes": (bytes(header_bytes(dim=[9, 5, 6, 7, 1, 1, 1, 1])) + BODY, "axes"),
    "an axis of none": (bytes(header_bytes(dim=[3, 5, 0, 7, 1, 1, 1, 1])) + BODY, "at least one voxel"),
    "negative": (bytes(header_bytes(dim=[3, 5, -6, 7, 1, 1, 1, 1])) + BODY, "at least one voxel"),
    "series": (
        bytes(header_bytes(dim=[4, 5, 6, 1, 7, 1, 1, 1])) + BODY,
        r"series of 7 \(each 5x6x1\).*apply.*volume=",
    ),
    "field": (bytes(header_bytes(dim=[5, 5, 2, 7, 1, 3, 1, 1])) + BODY, "displacement field"),
    "unknown type": (bytes(header_bytes(datatype=77)) + BODY, "unknown type"),
    "complex": (bytes(header_bytes(datatype=32)) + BODY * 2, "real values"),
    "offset NaN": (bytes(header_bytes(vox_offset=float("nan"))) + BODY, "start at byte nan"),
    "offset beyond": (bytes(header_bytes(vox_offset=1e9)) + BODY, "cut short"),
    "zero spacing": (
        bytes(header_bytes(srow_x=[0, 0, 0, 0], srow_y=[0, 0, 0, 0], srow_z=[0, 0, 0, 0])) + BODY,
        "singular",
    ),
    "NaN in the affine": (bytes(header_bytes(srow_x=[float("nan"), 0, 0, 0])) + BODY, "NaN"),
}


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_one_line_with_the_path(tmp_path: Path, case: str, suffix: str) -> None:
    content, expected = BAD[case]
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    for read in (read_image, read_labels):
        with pytest.raises(ReadError, match=expected) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_folder_and_unknown_names(tmp_path: Path) -> None:
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.docx").write_text("x")
    for name, expected in {
        "none.nii.gz": "is not there",
        "folder.nii": "is a folder",
        "folder": "expected DICOM",
        "a.docx": r"expected an image \(\.nii",
    }.items():
        with pytest.raises(ReadError, match=expected):
            read_image(tmp_path / name)


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("packed", ["", ".gz"])
def test_pairs_of_hdr_and_img_by_either_name(tmp_path: Path, kind: type, packed: str) -> None:
    nib.save(kind(volume(dtype="int16"), AFFINE), tmp_path / f"a.img{packed}")
    for name in (f"a.img{packed}", f"a.hdr{packed}"):
        read = read_image(tmp_path / name)
        np.testing.assert_array_equal(read.data[0, 0].numpy(), volume(dtype="int16"))
        np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), AFFINE, atol=1e-6)
    (tmp_path / f"a.hdr{packed}").rename(tmp_path / f"b.hdr{packed}")
    for name in (f"a.img{packed}", f"b.hdr{packed}"):
        with pytest.raises(ReadError, match="half of a pair"):
            read_image(tmp_path / name)


def test_halves_that_are_none_and_analyze_are_refused(tmp_path: Path) -> None:
    nib.save(nib.AnalyzeImage(volume(dtype="int16"), None), tmp_path / "old.img")
    nib.save(nib.Nifti1Pair(volume(dtype="int16"), AFFINE), tmp_path / "a.img")
    (tmp_path / "a.hdr").rename(tmp_path / "renamed.nii")
    save(tmp_path / "whole.nii", volume()).rename(tmp_path / "whole.hdr")
    (tmp_path / "whole.img").write_bytes(BODY)
    for name, expected in {
        "old.img": "Analyze 7.5, which does not say left from right",
        "renamed.nii": "disagree on whether it is a pair",
        "whole.img": "disagree on whether it is a pair",
    }.items():
        with pytest.raises(ReadError, match=expected):
            read_image(tmp_path / name)


def test_shear_is_written_with_a_word_and_right_angles_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    straight = np.array([[0.0, -2, 0, 5], [2.0, 0, 0, 6], [0, 0, 2.0, 7], [0, 0, 0, 1]])
    for name, affine in (("a.nii.gz", straight), ("b.nii.gz", AFFINE), ("c.nrrd", AFFINE), ("c.mha", AFFINE)):
        write_image(
            Image(torch.rand(1, 1, 4, 5, 6), Grid((4, 5, 6), torch.from_numpy(affine))), tmp_path / name
        )
    assert len(caplog.messages) == 1
    assert "degrees off right angles" in caplog.messages[0]
    assert ".nrrd or .mha" in caplog.messages[0]
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(tmp_path / "b.nii.gz"))


def test_more_bytes_than_promised_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(GOOD + b"more")
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(GOOD + b"more"))
    for name in ("a.nii", "a.nii.gz"):
        np.testing.assert_array_equal(read_image(tmp_path / name).data[0, 0].numpy(), volume())


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(gzip.compress(GOOD))
    (tmp_path / "a.nii.gz").write_bytes(GOOD)
    for name in ("a.nii", "a.nii.gz"):
        np.testing.assert_array_equal(read_image(tmp_path / name).data[0, 0].numpy(), volume())


def test_the_step_is_the_number_that_was_meant(tmp_path: Path) -> None:
    image = nib.Nifti1Image(volume((5, 6, 7, 2)), AFFINE)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 1.7
    nib.save(image, tmp_path / "a.nii.gz")
    for source in (tmp_path / "a.nii.gz", image):
        assert read_series(source).step == 1.7
    assert read_series(tmp_path / "a.nii.gz").step_unit == "s"


def test_nan_and_infinity_are_let_through(tmp_path: Path) -> None:
    data = volume().astype(np.float64)
    data[0, 0, :3] = (np.nan, np.inf, 1e300)
    nib.save(nib.Nifti1Image(data, AFFINE), tmp_path / "a.nii.gz")
    read = read_image(tmp_path / "a.nii.gz").data[0, 0, 0, 0]
    assert torch.isnan(read[0])
    assert torch.isinf(read[1:3]).all()


def test_values_start_where_the_header_says(tmp_path: Path) -> None:
    raw = bytes(header_bytes(vox_offset=480)) + bytes(128) + BODY
    (tmp_path / "a.nii").write_bytes(raw)
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").data[0, 0].numpy(), volume())
    zero = bytearray(GOOD)
    zero[108:112] = struct.pack("<f", 0)
    (tmp_path / "b.nii").write_bytes(zero)
    np.testing.assert_array_equal(read_image(tmp_path / "b.nii").data[0, 0].numpy(), volume())


def test_vectors_of_colours_are_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((5, 4, 6, 1, 3), np.float32), AFFINE)
    image.header.set_intent("vector")
    nib.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[70:72] = (128).to_bytes(2, "little")
    (tmp_path / "a.nii").write_bytes(content)
    for read in (read_image, read_transform):
        with pytest.raises(ReadError, match="vectors of colours"):
            read(tmp_path / "a.nii")
