import gzip
import logging
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.image import Image, Labels
from inforeg.io import formats, read_image, read_labels, read_series, write_image, write_labels, write_series
from inforeg.space import Grid

# Oblique, anisotropic and left-handed; and the same with shear.
OBLIQUE = np.array([[-1.9, 0.2, 0.3, 80], [0.25, 0.1, 2.4, -70], [0.1, -1.4, 0.2, 30], [0, 0, 0, 1]])
SHEARED = np.array([[2.0, 0.3, 0, -10], [0, 3.0, 0.2, 20], [0.3, 0, 1.5, 30], [0, 0, 0, 1]])
KINDS = ["uint8", "int16", "int32", "float32"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    if dtype == "float32":
        return rng.random(shape).astype(dtype)
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def by_nibabel(path: Path) -> nib.MGHImage:
    """nibabel leaves .mgh files open when it is given their names."""
    raw = path.read_bytes()
    return nib.MGHImage.from_bytes(gzip.decompress(raw) if path.suffix == ".mgz" else raw)


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", [*KINDS, "uint16"])
@pytest.mark.parametrize("affine", [OBLIQUE, SHEARED])
def test_reads_what_nibabel_writes(tmp_path: Path, suffix: str, dtype: str, affine: np.ndarray) -> None:
    data = numbers((5, 6, 7), dtype)
    nib.save(nib.MGHImage(data, affine), tmp_path / f"a{suffix}")
    read, stored = read_image(tmp_path / f"a{suffix}"), formats.load(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(stored.values[0], data)
    assert stored.dtype == dtype
    theirs = by_nibabel(tmp_path / f"a{suffix}").affine
    # nibabel works with the header's float32.
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), theirs, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(read.grid.voxel_to_world.numpy(), affine, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
@pytest.mark.parametrize("dtype", KINDS)
@pytest.mark.parametrize("affine", [OBLIQUE, SHEARED])
def test_nibabel_reads_what_we_write(tmp_path: Path, suffix: str, dtype: str, affine: np.ndarray) -> None:
    data = numbers((5, 6, 7), dtype)
    formats.writer(Path(f"a{suffix}"))(tmp_path / f"a{suffix}", data[None], affine)
    theirs = by_nibabel(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(np.asarray(theirs.dataobj), data)
    assert theirs.get_data_dtype() == np.dtype(dtype).newbyteorder(">")
    np.testing.assert_allclose(theirs.affine, affine, rtol=1e-6, atol=1e-5)


def test_the_centre_is_freesurfers(tmp_path: Path) -> None:
    """c_ras is where index (w/2, h/2, d/2) lies, not the middle of the field of view."""
    write_image(
        Image(torch.rand(1, 1, 4, 5, 6), Grid((4, 5, 6), torch.from_numpy(SHEARED))), tmp_path / "a.mgh"
    )
    raw = (tmp_path / "a.mgh").read_bytes()
    c_ras = struct.unpack_from(">3f", raw, 78)
    np.testing.assert_allclose(c_ras, (SHEARED @ [2, 2.5, 3, 1])[:3], rtol=1e-6)
    assert struct.unpack_from(">i4ii", raw, 0)[:6] == (1, 4, 5, 6, 1, 3)


def test_frames_are_a_series_with_tr_in_ms(tmp_path: Path) -> None:
    data = numbers((4, 5, 6, 3), "int16")
    image = nib.MGHImage(data, OBLIQUE)
    image.header.set_zooms((1, 1, 1, 2300.0))
    for name in ("a.mgz", "a.mgh"):
        nib.save(image, tmp_path / name)
        series = read_series(tmp_path / name)
        assert (len(series), series.step, series.step_unit, series.dtype) == (3, 2300.0, "ms", "int16")
        np.testing.assert_array_equal(series[2].data[0, 0].numpy(), data[..., 2])
        write_series(list(series), tmp_path / f"again_{name}", step=2.3, step_unit="s", dtype="int16")
        again = by_nibabel(tmp_path / f"again_{name}")
        np.testing.assert_array_equal(np.asarray(again.dataobj), data)
        np.testing.assert_allclose(again.header.get_zooms()[3], 2300.0)


def changed(**values: object) -> bytes:
    image = nib.MGHImage(numbers((4, 5, 6), "float32"), OBLIQUE)
    raw = bytearray(image.to_bytes())
    for name, value in values.items():
        code, place = {"version": (">i", 0), "frames": (">i", 16), "type": (">i", 20), "good": (">h", 28)}[
            name
        ]
        struct.pack_into(code, raw, place, value)
    return bytes(raw)


def test_without_a_place_it_lies_where_freesurfer_puts_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.mgh").write_bytes(changed(good=0))
    read = read_image(tmp_path / "a.mgh")
    np.testing.assert_array_equal(read.grid.voxel_to_world.numpy(), by_nibabel(tmp_path / "a.mgh").affine)
    assert "does not say where it lies" in caplog.text


def test_newer_files_say_what_they_are_for_beside_the_version(tmp_path: Path) -> None:
    (tmp_path / "a.mgh").write_bytes(changed(version=0x0101))
    np.testing.assert_array_equal(read_image(tmp_path / "a.mgh").data[0, 0], numbers((4, 5, 6), "float32"))
    warp = changed(version=0x0301, frames=3) + bytes(4 * 4 * 5 * 6 * 2)
    (tmp_path / "warp.mgh").write_bytes(warp)
    with pytest.raises(ReadError, match="displacement field of FreeSurfer"):
        read_image(tmp_path / "warp.mgh")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "empty"),
        (b"text\n" * 100, "no MGH header"),
        (changed()[:200], "ends after 200 bytes"),
        (changed()[:600], "cut short"),
        (changed(version=7), "no MGH header"),
        (changed(type=9), r"MGH type 9 \(RGB\)"),
        (changed(type=77), "unknown"),
        (changed(frames=0), "at least one voxel"),
        (changed(frames=-5), "at least one voxel"),
        (changed(frames=2**31 - 1), "cut short.* TB"),
        (gzip.compress(changed(frames=2**31 - 1)), "cut short.* TB"),
        (gzip.compress(changed())[:300], "cut short|damaged"),
        (gzip.compress(changed())[:-6], "damaged"),
    ],
)
@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
def test_bad_files_are_one_line_with_the_path(
    tmp_path: Path, suffix: str, content: bytes, expected: str
) -> None:
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=expected) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_up_to_32_bits_and_no_further(tmp_path: Path) -> None:
    grid = Grid.from_spacing((1, 1, 3))
    for dtype, top, wanted in (
        ("uint8", 255, "uint8"),
        ("uint16", 60000, "int32"),
        ("uint8", 2**24 + 1, "int32"),
        ("int64", 2**31 - 1, "int32"),
    ):
        labels = Labels(torch.tensor([0, top, top - 1]).reshape(1, 1, 1, 1, 3), grid, dtype=dtype)
        write_labels(labels, tmp_path / "a.mgz", overwrite=True)
        assert read_labels(tmp_path / "a.mgz").dtype == wanted
        assert np.asarray(by_nibabel(tmp_path / "a.mgz").dataobj).flatten().tolist() == [0, top, top - 1]
    with pytest.raises(WriteError, match=r"0 to 2147483648; write \.nii\.gz"):
        write_labels(
            Labels(torch.tensor([0, 2**31]).reshape(1, 1, 1, 1, 2), Grid.from_spacing((1, 1, 2))),
            tmp_path / "b.mgz",
        )


def test_what_mgh_cannot_hold(tmp_path: Path) -> None:
    grid = Grid.from_spacing((3, 4, 5))
    image = Image(torch.rand(1, 1, 3, 4, 5), grid)
    with pytest.raises(WriteError, match="not float64"):
        write_image(image, tmp_path / "a.mgz", dtype="float64")
    with pytest.raises(WriteError, match="one channel, got 3"):
        write_image(Image(torch.rand(1, 3, 3, 4, 5), grid, dtype="uint8"), tmp_path / "a.mgz", dtype="uint8")
    with pytest.raises(WriteError, match="not of Hz"):
        write_series([image, image], tmp_path / "a.mgz", step=1, step_unit="Hz")
    with pytest.raises(UsageError, match=r"\.mgz"):
        write_image(image, tmp_path / "a.mgh.gz")
    assert list(tmp_path.iterdir()) == []


def test_the_same_image_gives_the_same_bytes_and_a_slice_comes_back_flat(tmp_path: Path) -> None:
    image = Image(
        torch.rand(1, 1, 5, 6), Grid((5, 6), torch.diag(torch.tensor([-1.5, -2, 1], dtype=torch.float64)))
    )
    for name in ("a.mgz", "b.mgz"):
        write_image(image, tmp_path / name)
    assert (tmp_path / "a.mgz").read_bytes() == (tmp_path / "b.mgz").read_bytes()
    read = read_image(tmp_path / "a.mgz")
    assert torch.equal(read.data, image.data)
    assert read.grid.same_as(image.grid)


def test_nothing_is_said_of_a_good_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nib.save(nib.MGHImage(numbers((4, 5, 6), "float32"), OBLIQUE), tmp_path / "a.mgz")
    with caplog.at_level(logging.DEBUG, "inforeg"):
        read_image(tmp_path / "a.mgz")
    assert caplog.messages == []
