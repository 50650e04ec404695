import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import OutputExists, ReadError, UsageError, WriteError
from inforeg.image import Image, Labels
from inforeg.io import read_image, read_labels, read_series, write_series
from inforeg.space import Grid

SHEARED = np.array([[2.0, 0.1, 0, -10], [0, 3.0, 0.2, 20], [0.3, 0, 1.5, 30], [0, 0, 0, 1]])
GRID = Grid((4, 5, 6), torch.from_numpy(SHEARED))
SUFFIXES = [".nii", ".nii.gz", ".mgh", ".mgz", ".nrrd", ".mha"]


def volumes(count: int = 3, grid: Grid = GRID) -> list[Image]:
    generator = torch.Generator().manual_seed(0)
    return [Image(torch.rand(1, 1, *grid.shape, generator=generator) * 100, grid) for _ in range(count)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_there_and_back_with_place_and_step(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write_series(volumes(), path, step=2.5, step_unit="s")
    series = read_series(path)
    assert (len(series), series.dtype, series.channels, series.name) == (3, "float32", 1, f"a{suffix}")
    in_file = {".mgh": (2500.0, "ms"), ".mgz": (2500.0, "ms"), ".mha": (2.5, "")}
    assert (series.step, series.step_unit) == in_file.get(suffix, (2.5, "s"))
    assert series.grid.same_as(GRID, 1e-4)
    for read, volume in zip(series, volumes(), strict=True):
        assert torch.equal(read.data, volume.data)
        assert read.grid is series.grid
    assert torch.equal(series[-1].data, volumes()[2].data)
    for n in (3, -4):
        with pytest.raises(IndexError, match="volumes 0 to 2"):
            series[n]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_volumes_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write_series(iter(volumes()), tmp_path / f"{name}{suffix}", count=3)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_pictures_in_time_come_back_as_pictures(tmp_path: Path, suffix: str) -> None:
    grid = Grid((4, 5), torch.tensor([[-1.5, 0.2, 9], [0.2, 2, 8], [0, 0, 1]], dtype=torch.float64))
    write_series(volumes(grid=grid), tmp_path / f"a{suffix}")
    series = read_series(tmp_path / f"a{suffix}")
    assert series.grid.same_as(grid, 1e-5)
    assert torch.equal(series[1].data, volumes(grid=grid)[1].data)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_types_are_kept_if_asked_for_and_integers_are_rounded(tmp_path: Path, suffix: str) -> None:
    write_series(volumes(), tmp_path / f"a{suffix}", dtype="int16")
    series = read_series(tmp_path / f"a{suffix}")
    assert series.dtype == "int16"
    assert torch.equal(series[2].data, volumes()[2].data.round())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_labels_keep_their_ids(tmp_path: Path, suffix: str) -> None:
    top = 2**31 - 1 if suffix in (".mgh", ".mgz") else 2**53 + 1
    grid = Grid.from_spacing((1, 1, 2))
    maps = [Labels(torch.tensor([n, top - n]).reshape(1, 1, 1, 1, 2), grid, dtype="int16") for n in range(3)]
    write_series(maps, tmp_path / f"a{suffix}")
    series = read_series(tmp_path / f"a{suffix}")
    assert [series.labels(n).data.flatten().tolist() for n in range(3)] == [[n, top - n] for n in range(3)]
    assert read_labels(tmp_path / f"a{suffix}", volume=1).data.flatten().tolist() == [1, top - 1]


def test_labels_that_outgrow_the_type_of_the_first_are_refused(tmp_path: Path) -> None:
    grid = Grid.from_spacing((1, 1, 1))
    maps = [Labels(torch.full((1, 1, 1, 1, 1), n), grid, dtype="uint8") for n in (7, 300)]
    with pytest.raises(WriteError, match="uint8 does not hold labels 300 to 300 of volume 1"):
        write_series(maps, tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []
    write_series(maps, tmp_path / "a.nii", dtype="int32")
    assert read_series(tmp_path / "a.nii").labels(1).data.item() == 300


def test_colour_in_time(tmp_path: Path) -> None:
    data = [torch.randint(0, 255, (1, 3, 4, 5, 6)).float() for _ in range(2)]
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        write_series([Image(d, GRID, dtype="uint8") for d in data], tmp_path / f"a{suffix}")
        series = read_series(tmp_path / f"a{suffix}")
        assert (series.channels, series.dtype) == (3, "uint8")
        assert torch.equal(series[1].data, data[1])


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    other = Image(torch.rand(1, 1, 4, 5, 6), Grid.from_spacing((4, 5, 6)))
    flat = Image(torch.rand(1, 1, 4, 5), Grid.from_spacing((4, 5)))

    def broken() -> Iterator[Image]:
        yield volumes()[0]
        raise RuntimeError("stopped")

    cases: list[tuple[object, dict[str, object], type[Exception], str]] = [
        ([], {}, UsageError, "at least one volume"),
        (iter(volumes()), {}, UsageError, "count="),
        (iter([]), {"count": 2}, UsageError, "got none"),
        (volumes(), {"count": 4}, UsageError, "expected 4 volumes to write, got 3"),
        (volumes(), {"count": 2}, UsageError, "expected 2 volumes to write, got more"),
        ([*volumes(), other], {}, UsageError, "volume 3 differs"),
        ([*volumes(), flat], {}, UsageError, "volume 3 differs"),
        (volumes(), {"dtype": "float16"}, UsageError, "float16"),
        (broken(), {"count": 2}, RuntimeError, "stopped"),
    ]
    for made, options, error, expected in cases:
        with pytest.raises(error, match=expected):
            write_series(made, tmp_path / "a.nii.gz", **options)  # type: ignore[arg-type]
    for name in ("a.png", "a.tiff", "a.mhd"):
        with pytest.raises(UsageError, match="for a series"):
            write_series(volumes(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    write_series(volumes(), tmp_path / "a.nii")
    with pytest.raises(OutputExists):
        write_series(volumes(), tmp_path / "a.nii")


def save(path: Path, shape: tuple[int, ...], intent: str | int = 0, dtype: str = "float32") -> np.ndarray:
    data = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    image = nib.Nifti1Image(data, SHEARED)
    image.header["intent_code"] = nib.nifti1.intent_codes[intent]
    nib.save(image, path)
    return data


@pytest.mark.parametrize(
    ("shape", "intent", "count"),
    [
        ((2, 3, 4, 5), 0, 5),
        ((2, 3, 4, 1, 6), 0, 6),
        ((2, 3, 4, 1, 2), 3, 2),
        ((2, 3, 4, 1, 1, 7), 0, 7),
        ((2, 3, 4), 0, 1),
    ],
)
def test_volumes_may_lie_along_any_further_axis(
    tmp_path: Path, shape: tuple[int, ...], intent: int, count: int
) -> None:
    data = save(tmp_path / "a.nii", shape, intent).reshape((2, 3, 4, count))
    series = read_series(tmp_path / "a.nii")
    assert len(series) == count
    np.testing.assert_array_equal(series[count - 1].data[0, 0].numpy(), data[..., -1])
    of_object = read_series(nib.load(tmp_path / "a.nii"))
    np.testing.assert_array_equal(of_object[count - 1].data, series[count - 1].data)
    assert len(of_object) == count


@pytest.mark.parametrize(
    ("shape", "intent", "expected"),
    [
        ((2, 3, 4, 1, 3), "vector", "a displacement field of 2x3x4x3; give it as a transform"),
        ((2, 3, 4, 1, 3), 1006, "a displacement field"),
        ((2, 3, 4, 1, 3), 0, "a displacement field"),
        ((2, 3, 1, 1, 2), 0, "a displacement field"),
        ((2, 3, 4, 3), 2006, "a displacement field of FSL"),
        ((2, 3, 4, 2, 3), 0, "axes of 2x3x4x2x3; give a part"),
    ],
)
def test_fields_and_more_are_no_series(
    tmp_path: Path, shape: tuple[int, ...], intent: str | int, expected: str
) -> None:
    data = np.zeros(shape, np.float32)
    image = nib.Nifti1Image(data, SHEARED)
    image.header["intent_code"] = intent if isinstance(intent, int) else nib.nifti1.intent_codes[intent]
    nib.save(image, tmp_path / "a.nii")
    for read in (read_series, read_image, read_labels):
        for source in (tmp_path / "a.nii", image):
            with pytest.raises(ReadError, match=expected):
                read(source)


def test_colour_as_simpleitk_puts_it_into_nifti_is_channels(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (4, 5, 6, 3), dtype=np.uint8)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=True), str(tmp_path / "a.nii"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.nii").data[0].numpy(), array.T)


def test_one_volume_of_a_series_by_its_number(tmp_path: Path) -> None:
    data = save(tmp_path / "a.nii.gz", (2, 3, 4, 5))
    image = nib.load(tmp_path / "a.nii.gz")
    joined = sitk.GetImageFromArray(data.T.copy(), isVector=False)
    joined.SetSpacing((1, 1, 1, 2.5))
    for source in (tmp_path / "a.nii.gz", str(tmp_path / "a.nii.gz"), image, joined):
        np.testing.assert_array_equal(read_image(source, volume=3).data[0, 0].numpy(), data[..., 3])
        with pytest.raises(
            ReadError, match=r"series of 5 \(each 2x3x4\); .*apply.* every volume, .*volume=0"
        ):
            read_image(source)
        with pytest.raises(ReadError, match="holds volumes 0 to 4; got 5"):
            read_image(source, volume=5)
        assert len(read_series(source)) == 5
    assert read_series(joined).step == 2.5
    save(tmp_path / "b.nii", (2, 3, 4))
    assert read_image(tmp_path / "b.nii", volume=0).grid.shape == (2, 3, 4)
    with pytest.raises(ReadError, match="holds one volume, 0; got 1"):
        read_image(tmp_path / "b.nii", volume=1)
    assert len(read_series((np.zeros((2, 3, 4)), SHEARED))) == 1


def test_memory_is_the_raw_file_and_one_volume(tmp_path: Path) -> None:
    shape, count = (40, 40, 40), 40
    grid = Grid.from_spacing(shape)
    raw, one = 2 * 64000 * count, 4 * 64000
    tracemalloc.start()
    try:
        write_series(
            (Image(torch.full((1, 1, *shape), float(n)), grid) for n in range(count)),
            tmp_path / "a.nii",
            count=count,
            dtype="int16",
        )
        assert tracemalloc.get_traced_memory()[1] < 6 * one
        tracemalloc.reset_peak()
        series = read_series(tmp_path / "a.nii")
        for n, volume in enumerate(series):
            assert float(volume.data.max()) == n
        assert tracemalloc.get_traced_memory()[1] < raw + 4 * one
    finally:
        tracemalloc.stop()
