import threading
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import OutputExists, ReadError, UsageError, WriteError
from inforeg.image import Image, Labels, resample_labels
from inforeg.io import formats, read_image, read_labels, write_image, write_labels
from inforeg.io.ahead import read_ahead
from inforeg.space import Grid

AFFINE = np.array([[2.0, 0.1, 0, -10], [0, 3.0, 0.2, 20], [0.3, 0, 1.5, 30], [0, 0, 0, 1]])
BIG = 614454277  # float32 turns it into 614454272


def volume() -> np.ndarray:
    return np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_with_an_affine(order: str) -> None:
    data = np.asarray(volume(), order=order)  # type: ignore[call-overload]
    for pair in ((data, AFFINE), (torch.from_numpy(data), torch.from_numpy(AFFINE)), [data, AFFINE]):
        read = read_image(pair)
        np.testing.assert_array_equal(read.data[0, 0].numpy(), data)
        np.testing.assert_array_equal(read.grid.voxel_to_world.numpy(), AFFINE)
    assert read_image((np.stack([data, data]), AFFINE)).data.shape == (1, 2, 4, 5, 6)
    assert read_image((data[0], np.eye(3))).data.shape == (1, 1, 5, 6)


def test_nibabel_objects() -> None:
    read = read_image(nib.Nifti1Image(volume(), AFFINE))
    np.testing.assert_array_equal(read.data[0, 0].numpy(), volume())
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), AFFINE)
    plane = read_image(nib.Nifti1Image(volume()[..., :1], np.eye(4)))
    assert plane.grid.shape == (4, 5)
    with pytest.raises(ReadError, match="one volume"):
        read_image(nib.Nifti1Image(np.zeros((4, 5, 6, 7), np.float32), AFFINE))


def test_simpleitk_objects() -> None:
    image = sitk.GetImageFromArray(volume())
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    read = read_image(image)
    np.testing.assert_array_equal(read.data[0, 0].numpy(), volume().T)
    wanted = np.diag([-1.0, -2.0, 3.0, 1.0])
    wanted[:3, 3] = (-10, -20, 30)
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), wanted)


def test_images_and_labels_pass_through() -> None:
    image = Image(torch.rand(1, 1, 4, 5), Grid.from_spacing((4, 5)))
    assert read_image(image) is image
    labels = read_labels(Image(torch.tensor([[[[0.0, 3.0]]]]), Grid.from_spacing((1, 2))))
    assert labels.data.tolist() == [[[[0, 3]]]]
    assert read_labels(labels) is labels
    assert read_image(labels).data.tolist() == [[[[0.0, 3.0]]]]


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        3,
        (volume(),),
        (volume()[0, 0], np.eye(3)),
        (volume(), np.eye(5)),
        (volume().astype(complex), AFFINE),
        (np.array([["a", "b"]]), np.eye(3)),
        (volume(), np.full((4, 4), np.nan)),
        (volume(), np.zeros((4, 4))),
    ],
)
def test_objects_that_are_no_image(wrong: object) -> None:
    with pytest.raises(ReadError):
        read_image(wrong)


def test_an_array_is_not_changed_by_what_happens_to_the_image() -> None:
    data = volume()
    read_image((data, AFFINE)).data.zero_()
    np.testing.assert_array_equal(data, volume())


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32", "uint32", "int64", "float32", "float64"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_labels_keep_ids_and_type(tmp_path: Path, dtype: str, name: str) -> None:
    top = {"uint8": 255, "int16": 32000, "float32": 2**23}.get(dtype, BIG)
    data = np.array([[[0, 1], [7, top]]], dtype)
    nib.save(nib.Nifti1Image(data, AFFINE, dtype=dtype), tmp_path / name)
    labels = read_labels(tmp_path / name)
    assert labels.data.dtype == torch.int64
    assert labels.data[0, 0].tolist() == [[[0, 1], [7, top]]]
    write_labels(labels, tmp_path / f"again_{name}")
    again = nib.load(tmp_path / f"again_{name}")
    assert again.get_data_dtype() == dtype
    assert np.asarray(again.dataobj).tolist() == data.tolist()


def test_labels_too_large_for_their_type_get_a_wider_one(tmp_path: Path) -> None:
    grid = Grid.from_spacing((1, 1, 2))
    for dtype, top, wanted in (
        ("uint8", 300, "int16"),
        ("uint8", 40000, "uint16"),
        ("float32", 2**24 + 1, "int32"),
        ("int16", 2**31, "uint32"),
        ("uint8", 2**40 + 1, "int64"),
    ):
        write_labels(
            Labels(torch.tensor([0, top]).reshape(1, 1, 1, 1, 2), grid, dtype=dtype),
            tmp_path / "a.nii.gz",
            overwrite=True,
        )
        assert nib.load(tmp_path / "a.nii.gz").get_data_dtype() == wanted
        assert read_labels(tmp_path / "a.nii.gz").data.flatten().tolist() == [0, top]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mgz", "a.mgh"])
@pytest.mark.parametrize("top", [2**24 + 1, BIG, 2**31 - 1, 2**53 + 1, 2**63 - 1])
def test_ids_beyond_every_float_survive_resampling_and_every_format(
    tmp_path: Path, name: str, top: int
) -> None:
    grid, half = Grid.from_spacing((4, 4, 4)), Grid.from_spacing((2, 2, 2), 2.0)
    ids = torch.zeros(1, 1, 4, 4, 4, dtype=torch.int64)
    ids[..., :2], ids[..., 2:] = top, top - 1
    if name.endswith(("mgz", "mgh")) and top > 2**31:
        with pytest.raises(WriteError, match=r"write \.nii\.gz"):
            write_labels(Labels(ids, grid), tmp_path / name)
        assert list(tmp_path.iterdir()) == []
        return
    write_labels(Labels(ids, grid, dtype="uint8"), tmp_path / name)
    moved = resample_labels(read_labels(tmp_path / name), half)
    write_labels(moved, tmp_path / f"moved_{name}")
    assert read_labels(tmp_path / f"moved_{name}").data.flatten().tolist() == [top, top - 1] * 4


def test_labels_in_pictures_take_the_type_the_picture_has(tmp_path: Path) -> None:
    grid = Grid((2, 1), torch.diag(torch.tensor([-1.0, -1, 1], dtype=torch.float64)))
    for name, top in (("a.png", 300), ("a.tiff", 300), ("b.png", 60000)):
        write_labels(Labels(torch.tensor([0, top]).reshape(1, 1, 2, 1), grid, dtype="int64"), tmp_path / name)
        assert read_labels(tmp_path / name).data.flatten().tolist() == [0, top]
    with pytest.raises(WriteError, match=r"0 to 70000; write \.nii\.gz"):
        write_labels(Labels(torch.tensor([0, 70000]).reshape(1, 1, 2, 1), grid), tmp_path / "c.png")


@pytest.mark.parametrize(
    "name", ["a.zip", "a.nii.zst", "a.nii.bz2", "a.tar.gz", "a.tgz", "a.7z", "a.nrrd.gz", "a.mha.xz"]
)
def test_what_is_packed_is_to_be_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ReadError, match=r"is packed .*; unpack it and give what is inside") as caught:
        read_image(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_folder_is_read_as_dicom_and_one_slice_is_not(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ReadError, match="expected DICOM"):
        read_image(tmp_path / "folder")
    (tmp_path / "a.dcm").write_bytes(b"anything")
    with pytest.raises(ReadError, match="give the folder that holds the series"):
        read_image(tmp_path / "a.dcm")


def test_labels_scaled_in_the_file_are_exact_too(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    image = nib.Nifti1Image(np.array([[[0, 2, 4, 60]]], np.int16), AFFINE, header)
    image.header.set_slope_inter(2, 1)
    nib.save(image, tmp_path / "a.nii")
    assert (
        read_labels(tmp_path / "a.nii").data.flatten().tolist()
        == np.asarray(nib.load(tmp_path / "a.nii").dataobj).flatten().tolist()
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.array([[[0.0, 0.5]]]), "got 0.5"),
        (np.array([[[0.0, np.nan]]]), "got nan"),
        (np.array([[[0.0, np.inf]]]), "got inf"),
        (np.array([[[0.0, 1e300]]]), "got 1e"),
        (np.array([[[0, 2**63 + 1]]], np.uint64), "labels up to"),
    ],
)
def test_what_is_no_label_is_refused(data: np.ndarray, expected: str) -> None:
    with pytest.raises(ReadError, match=expected):
        read_labels((data, AFFINE))


def test_colour_is_no_label_map() -> None:
    with pytest.raises(ReadError, match="3 channels"):
        read_labels((np.zeros((3, 4, 5, 6)), AFFINE))


@pytest.mark.parametrize(
    ("dtype", "wanted"),
    [
        (None, [-1.5, 0.4, 300.6, float("nan")]),
        ("float64", [-1.5, 0.4, 300.6, float("nan")]),
        ("uint8", [0, 0, 255, 0]),
        ("int16", [-2, 0, 301, 0]),
        ("int32", [-2, 0, 301, 0]),
    ],
)
def test_types_to_write(tmp_path: Path, dtype: str | None, wanted: list[float]) -> None:
    data = torch.tensor([-1.5, 0.4, 300.6, float("nan")]).reshape(1, 1, 2, 2, 1)
    write_image(Image(data, Grid.from_spacing((2, 2, 1))), tmp_path / "a.nii.gz", dtype=dtype)
    stored = nib.load(tmp_path / "a.nii.gz")
    assert stored.get_data_dtype() == (dtype or "float32")
    np.testing.assert_allclose(np.asarray(stored.dataobj).flatten(), wanted, rtol=1e-6)


def test_the_ends_of_wide_integers_do_not_wrap(tmp_path: Path) -> None:
    data = torch.tensor([-1e30, 1e30]).reshape(1, 1, 2, 1, 1)
    for dtype in ("int32", "uint32"):
        write_image(Image(data, Grid.from_spacing((2, 1, 1))), tmp_path / f"{dtype}.nii", dtype=dtype)
        stored = np.asarray(nib.load(tmp_path / f"{dtype}.nii").dataobj).flatten().tolist()
        assert stored == [np.iinfo(dtype).min, np.iinfo(dtype).max]


def test_an_unknown_type_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="float16"):
        write_image(
            Image(torch.rand(1, 1, 2, 2), Grid.from_spacing((2, 2))), tmp_path / "a.nii", dtype="float16"
        )


def test_the_same_image_gives_the_same_bytes_and_existing_files_are_refused(tmp_path: Path) -> None:
    image = Image(torch.rand(1, 1, 8, 9, 10), Grid.from_spacing((8, 9, 10), 1.5))
    write_image(image, tmp_path / "a.nii.gz")
    write_image(image, tmp_path / "b.nii.gz")
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    with pytest.raises(OutputExists):
        write_image(image, tmp_path / "a.nii.gz")
    write_image(image, tmp_path / "a.nii.gz", overwrite=True)


def test_both_forms_are_written_unless_the_qform_cannot_say_it(tmp_path: Path) -> None:
    straight = Grid.from_spacing((4, 5, 6), 2.0)
    sheared = Grid((4, 5, 6), torch.from_numpy(AFFINE))
    for grid, code in ((straight, 1), (sheared, 0)):
        write_image(Image(torch.rand(1, 1, 4, 5, 6), grid), tmp_path / "a.nii", overwrite=True)
        header = nib.load(tmp_path / "a.nii").header
        assert int(header["sform_code"]) == 1
        assert int(header["qform_code"]) == code
        assert header.get_xyzt_units()[0] == "mm"


def test_a_picture_too_long_for_nifti_1_is_nifti_2(tmp_path: Path) -> None:
    image = Image(torch.rand(1, 1, 40000, 2), Grid.from_spacing((40000, 2)))
    write_image(image, tmp_path / "a.nii.gz")
    assert isinstance(nib.load(tmp_path / "a.nii.gz"), nib.Nifti2Image)
    assert torch.equal(read_image(tmp_path / "a.nii.gz").data, image.data)


def test_files_read_ahead_are_read_once_and_errors_come_when_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(volume(), AFFINE), path)
    seen: list[str] = []
    read = formats.READERS[".nii.gz"]

    def watched(which: Path) -> formats.Stored:
        seen.append(threading.current_thread().name)
        return read(which)

    monkeypatch.setitem(formats.READERS, ".nii.gz", watched)
    read_ahead(path, tmp_path / "missing.nii.gz")
    np.testing.assert_array_equal(read_image(path).data[0, 0].numpy(), volume())
    read_image(str(path))
    with pytest.raises(ReadError, match="not there"):
        read_image(tmp_path / "missing.nii.gz")
    assert sum(name.startswith("inforeg-read") for name in seen) == 2
    assert sum(name == "MainThread" for name in seen) == 1
