import logging
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.image import Image
from inforeg.io import read_image, write_image
from inforeg.space import Grid


def picture_grid(width: int, height: int, sx: float = 1.0, sy: float = 1.0) -> Grid:
    return Grid((width, height), torch.diag(torch.tensor([-sx, -sy, 1.0], dtype=torch.float64)))


def save(path: Path, array: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> Path:
    image = sitk.GetImageFromArray(array, isVector=array.ndim == 3)
    image.SetSpacing(spacing)
    sitk.WriteImage(image, str(path))
    return path


def grey(dtype: str = "uint8") -> np.ndarray:
    """Five rows of eight pixels."""
    return (np.random.default_rng(0).random((5, 8)) * 250).astype(dtype)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_x_is_the_first_axis_and_itk_places_it(tmp_path: Path, suffix: str, dtype: str) -> None:
    read = read_image(save(tmp_path / f"a{suffix}", grey(dtype), (0.5, 0.25)))
    assert read.grid.shape == (8, 5)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read.data[0, 0].numpy(), grey(dtype).T)
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), np.diag([-0.5, -0.25, 1]), atol=1e-6)


def test_colour_is_three_channels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (5, 8, 3), dtype=np.uint8)
    for name in ("a.png", "a.tiff"):
        read = read_image(save(tmp_path / name, array))
        np.testing.assert_array_equal(read.data[0].numpy(), array.transpose(2, 1, 0))
    assert read_image(save(tmp_path / "a.jpg", array)).data.shape == (1, 3, 8, 5)


def test_transparency_is_dropped_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    array = np.random.default_rng(0).integers(0, 255, (5, 8, 4), dtype=np.uint8)
    with caplog.at_level(logging.INFO, "inforeg"):
        read = read_image(save(tmp_path / "a.png", array))
    np.testing.assert_array_equal(read.data[0].numpy(), array.transpose(2, 1, 0)[:-1])
    assert "transparency" in caplog.text


def test_grey_with_transparency_is_refused_in_words(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (5, 8, 2), dtype=np.uint8)
    with pytest.raises(ReadError, match="grey with transparency"):
        read_image(save(tmp_path / "a.png", array))


def test_grey_stored_as_colour_is_grey(tmp_path: Path) -> None:
    read = read_image(save(tmp_path / "a.png", np.repeat(grey()[..., None], 3, axis=2)))
    np.testing.assert_array_equal(read.data[0].numpy(), grey().T[None])


def test_a_stack_of_pages_is_a_volume(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (3, 5, 8), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "a.tiff"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tiff").data[0, 0].numpy(), array.T)


@pytest.mark.parametrize(
    ("name", "dtype"), [("a.png", "uint8"), ("a.png", "uint16"), ("a.tiff", "float32"), ("a.tif", "int16")]
)
def test_written_pictures_read_back_with_their_spacing(tmp_path: Path, name: str, dtype: str) -> None:
    data = torch.randint(0, 250, (1, 1, 8, 5)).float() + (0.25 if dtype == "float32" else 0)
    image = Image(data, picture_grid(8, 5, 0.35, 0.7))
    write_image(image, tmp_path / name, dtype=dtype)
    read = read_image(tmp_path / name)
    assert torch.equal(read.data, data)
    assert read.dtype == dtype
    assert read.grid.same_as(image.grid, 1e-3)


def test_a_png_keeps_the_type_of_its_source_and_rounds_and_clips(tmp_path: Path) -> None:
    data = torch.tensor([[-3.0, 1.6], [254.7, 300.0]])[None, None]
    write_image(Image(data, picture_grid(2, 2), dtype="uint8"), tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").data[0, 0].tolist() == [[0.0, 2.0], [255.0, 255.0]]


@pytest.mark.parametrize(
    ("name", "image", "error", "expected"),
    [
        (
            "a.png",
            Image(torch.rand(1, 1, 4, 4), picture_grid(4, 4)),
            WriteError,
            "uint8 or uint16, not float32",
        ),
        ("a.tiff", Image(torch.rand(1, 1, 4, 4), Grid.from_spacing((4, 4))), WriteError, "place or a turn"),
        (
            "a.tiff",
            Image(torch.rand(1, 1, 4, 4, 4), Grid.from_spacing((4, 4, 4))),
            WriteError,
            "2-D pictures",
        ),
        ("a.jpg", Image(torch.rand(1, 1, 4, 4), picture_grid(4, 4)), UsageError, "expected a file name in"),
        ("a.nii", Image(torch.rand(1, 2, 4, 4), picture_grid(4, 4)), WriteError, "one channel"),
        ("a.nii", Image(torch.rand(2, 1, 4, 4), picture_grid(4, 4)), UsageError, "batch of 2"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(
    tmp_path: Path, name: str, image: Image, error: type[Exception], expected: str
) -> None:
    with pytest.raises(error, match=expected):
        write_image(image, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_bad_pictures_are_one_line_and_the_libraries_are_silent(
    tmp_path: Path, suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / ("good" + suffix)
    save(good, np.repeat(np.repeat(grey(), 20, axis=0), 20, axis=1))
    whole = good.read_bytes()
    cases = {"empty": b"", "text": b"no picture\n" * 20, "half": whole[:60]}
    for name, content in cases.items():
        path = tmp_path / (name + suffix)
        path.write_bytes(content)
        with pytest.raises(ReadError) as caught:
            read_image(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert "0x" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
