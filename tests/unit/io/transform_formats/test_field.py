import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from damage import read_damaged
from nitransforms.nonlinear import DenseFieldTransform
from strategies import points

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats.field import recognises
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear

PLACE = torch.tensor(
    [[0.0, -2.0, 0.0, 10.0], [1.5, 0.0, 0.0, -5.0], [0.0, 0.0, 2.5, 7.0], [0.0, 0.0, 0.0, 1.0]],
    dtype=torch.float64,
)
SUFFIXES = [".nii", ".nii.gz", ".mha", ".nrrd"]


def field(shape: tuple[int, ...] = (5, 6, 7), dtype: torch.dtype = torch.float32) -> Displacement:
    d = len(shape)
    noise = torch.randn(d, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    place = PLACE if d == 3 else PLACE[[0, 1, 3]][:, [0, 1, 3]]
    return Displacement(noise.to(dtype), Grid(shape, place))


def nifti(
    values: np.ndarray, intent: int = 1007, name: str = "", slope: float | None = None
) -> nib.Nifti1Image:
    image = nib.Nifti1Image(values, PLACE.numpy())
    image.header["intent_code"], image.header["intent_name"] = intent, name
    if slope is not None:
        image.header.set_slope_inter(slope, 0.5)
    return image


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 7), (5, 6, 1)])
def test_every_number_comes_back(
    tmp_path: Path, suffix: str, dtype: torch.dtype, shape: tuple[int, ...]
) -> None:
    for name in "ab":
        write_transform(field(shape, dtype), tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    read = read_transform(tmp_path / f"a{suffix}")
    assert torch.equal(read.vectors, field(shape, dtype).vectors) and read.vectors.dtype == dtype
    assert read.grid.same_as(field(shape).grid, 1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_it_is_as_ants_writes_it(tmp_path: Path, ndim: int) -> None:
    shape = (5, 6, 7)[:ndim]
    write_transform(field(shape), tmp_path / "1Warp.nii.gz")
    image = nib.load(tmp_path / "1Warp.nii.gz")
    assert image.shape == (*shape, *(1,) * (4 - ndim), ndim)
    assert int(image.header["intent_code"]) == 1007 and image.get_data_dtype() == np.float32
    assert image.header["qform_code"] == image.header["sform_code"] == 1
    # The vectors of the file are in LPS, its grid is in RAS as always.
    stored = np.moveaxis(np.asarray(image.dataobj).reshape(*shape, ndim), -1, 0)
    turn = np.array([-1.0, -1.0, 1.0][:ndim]).reshape(-1, *[1] * ndim)
    np.testing.assert_array_equal(stored, field(shape).vectors.numpy() * turn)


def test_nitransforms_reads_it_and_we_read_its(tmp_path: Path) -> None:
    ours = field()
    write_transform(ours, tmp_path / "a.nii.gz")
    theirs = DenseFieldTransform.from_filename(str(tmp_path / "a.nii.gz"), fmt="ITK")
    at = ours.grid.points_mm()
    np.testing.assert_allclose(theirs.map(at.numpy()), ours(at).numpy(), rtol=0, atol=1e-5)
    theirs.to_filename(str(tmp_path / "b.nii.gz"), fmt="itk")
    np.testing.assert_allclose(read_transform(tmp_path / "b.nii.gz")(at).numpy(), ours(at).numpy(), atol=1e-5)


@pytest.mark.parametrize("intent", [1006, 1007])
def test_the_intent_says_the_frame_as_it_does_to_itk(tmp_path: Path, intent: int) -> None:
    values = np.zeros((4, 5, 6, 1, 3), np.float32)
    values[...] = [1.0, 2.0, 3.0]
    nifti(values, intent).to_filename(tmp_path / "a.nii")
    theirs = sitk.ReadImage(str(tmp_path / "a.nii"))[1, 1, 1]
    read = read_transform(tmp_path / "a.nii")
    assert (read.vectors[:, 1, 1, 1] * torch.tensor([-1.0, -1.0, 1.0])).tolist() == list(theirs)


def test_scaled_integers_and_other_orders_of_bytes(tmp_path: Path) -> None:
    values = np.arange(4 * 5 * 6 * 3).reshape(4, 5, 6, 1, 3).astype(np.int16)
    nifti(values, slope=0.25).to_filename(tmp_path / "a.nii.gz")
    read = read_transform(tmp_path / "a.nii.gz")
    expected = np.moveaxis(values[:, :, :, 0] * 0.25 + 0.5, -1, 0)
    np.testing.assert_allclose(read.vectors.numpy()[2], expected[2])
    np.testing.assert_allclose(read.vectors.numpy()[0], -expected[0])
    swapped = nib.Nifti1Image(values.astype(">f4"), PLACE.numpy(), nib.Nifti1Header(endianness=">"))
    swapped.header["intent_code"] = 1007
    swapped.to_filename(tmp_path / "b.nii")
    np.testing.assert_array_equal(read_transform(tmp_path / "b.nii").vectors[2], values[:, :, :, 0, 2])
    second = nib.Nifti2Image(values.astype(np.float64), PLACE.numpy())
    second.header["intent_code"] = 1007
    second.to_filename(tmp_path / "c.nii")
    np.testing.assert_array_equal(read_transform(tmp_path / "c.nii").vectors[2], values[:, :, :, 0, 2])


def test_vectors_without_their_intent_draw_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nifti(np.ones((4, 5, 6, 1, 3), np.float32), 0).to_filename(tmp_path / "a.nii")
    with caplog.at_level(logging.WARNING, "inforeg"):
        read_transform(tmp_path / "a.nii", format="itk")
    assert "does not say that it holds vectors" in caplog.text


def test_what_is_no_field(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    cases = {
        "holds none|image": np.zeros((4, 5, 6), np.float32),
        "holds none|image|fsl": np.zeros((4, 5, 6, 3), np.float32),
        "2 components|got 2": np.zeros((4, 5, 6, 1, 2), np.float32),
        "NaN": np.full((4, 5, 6, 1, 3), np.nan, np.float32),
    }
    for said, values in cases.items():
        nifti(values).to_filename(path)
        with pytest.raises(ReadError, match=said) as caught:
            read_transform(path, format="itk")
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    nifti(np.zeros((4, 5, 6, 1, 3), np.float32), name="NREG_TRANS").to_filename(path)
    with pytest.raises(ReadError, match="reg_transform -disp"):
        read_transform(path)
    sitk.WriteImage(sitk.Image((4, 5, 6), sitk.sitkFloat32), str(tmp_path / "a.mha"))
    with pytest.raises(ReadError, match="vectors of 3 components"):
        read_transform(tmp_path / "a.mha")


def test_fields_of_fsl_are_left_to_fsl() -> None:
    for intent, shape in ((2006, (4, 5, 6, 3)), (2007, (4, 5, 6, 3)), (1007, (4, 5, 6, 3))):
        head = nifti(np.zeros(shape, np.float32), intent).header.binaryblock + bytes(4)
        assert not recognises(head)
    assert recognises(nifti(np.zeros((4, 5, 6, 1, 3), np.float32)).header.binaryblock + bytes(4))
    assert not recognises(b"") and not recognises(bytes(600)) and not recognises(b"\x5c\x01\0\0" + bytes(600))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shear_is_refused_where_itk_would_lose_it(tmp_path: Path, suffix: str) -> None:
    place = PLACE.clone()
    place[0, 2] += 0.5
    sheared = Displacement(torch.zeros(3, 5, 6, 7), Grid((5, 6, 7), place))
    with pytest.raises(WriteError, match=r"right angles .*\.h5"):
        write_transform(sheared, tmp_path / f"a{suffix}")
    write_transform(sheared, tmp_path / "a.h5")
    assert read_transform(tmp_path / "a.h5").grid.same_as(sheared.grid, 1e-9)


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    for transform in (Linear.identity(3), Composite((Linear.identity(3), field()))):
        with pytest.raises(WriteError, match=r"\.h5"):
            write_transform(transform, tmp_path / "a.nii.gz", format="itk")
    with pytest.raises(UsageError, match="not written"):
        write_transform(field(), tmp_path / "a.mhd")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damage_gives_an_error_or_a_transform(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_transform(field((4, 3, 2)), path)
    for transform in read_damaged(path, path.read_bytes()):
        assert transform(points(transform.ndim)).shape == points(transform.ndim).shape
