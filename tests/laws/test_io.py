"""Writing and reading give back what was there, for any grid and any transform."""

from contextlib import suppress
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from point_samples import samples
from strategies import GridNumbers, LinearNumbers, clouds, grids, points
from strategies import linears as new_linears

from inforeg.errors import InforegError
from inforeg.image import Image, Labels
from inforeg.io import (
    read_image,
    read_labels,
    read_point_set,
    read_points,
    read_transform,
    write_image,
    write_labels,
    write_point_set,
    write_points,
    write_transform,
)
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Threads that wait for one another take longer than the work on grids this small."""


# Made once: making a strategy for every example takes longer than the example.
linears, boxes, cloud_of = cache(new_linears), cache(grids), cache(clouds)


def there_and_back(image: Image, path: Path, dtype: str | None = None) -> Image:
    write_image(image, path, dtype=dtype, overwrite=True)
    return read_image(path)


def noise(grid: Grid) -> torch.Tensor:
    return torch.randn(1, 1, *grid.shape, generator=torch.Generator().manual_seed(0)) * 100


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@given(data=st.data())
@settings(max_examples=40)
def test_images_on_any_grid_shear_included(ndim: int, suffix: str, folder: Path, data: st.DataObject) -> None:
    grid = data.draw(boxes(ndim)).grid()
    read = there_and_back(Image(noise(grid), grid), folder / f"a{suffix}")
    assert torch.equal(read.data, noise(grid))
    # The header holds float32: seven digits of the largest number in a row.
    reach = float(grid.voxel_to_world.abs().max())
    assert read.grid.shape == grid.shape
    assert torch.allclose(read.grid.voxel_to_world, grid.voxel_to_world, rtol=1e-6, atol=1e-7 * reach)


@given(numbers=grids(3), kind=st.sampled_from(["uint8", "int16", "uint16", "int32", "float64"]))
@settings(max_examples=25)
def test_images_of_integers(folder: Path, numbers: GridNumbers, kind: str) -> None:
    grid = numbers.grid()
    whole = noise(grid).round().clamp(0, 255)
    read = there_and_back(Image(whole, grid), folder / "a.nii.gz", kind)
    assert torch.equal(read.data, whole)
    assert read.dtype == kind


@given(
    numbers=grids(3, sizes=(1, 4)),
    ids=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=20),
    kind=st.sampled_from(["uint8", "int16", "int32", "float32", "int64"]),
)
@settings(max_examples=40)
def test_labels_of_any_size(folder: Path, numbers: GridNumbers, ids: list[int], kind: str) -> None:
    grid = numbers.grid()
    values = torch.tensor(ids).repeat(grid.voxel_count)[: grid.voxel_count].reshape(1, 1, *grid.shape)
    write_labels(Labels(values, grid, dtype=kind), folder / "a.nii.gz", overwrite=True)
    read = read_labels(folder / "a.nii.gz")
    assert torch.equal(read.data.flatten(), values.flatten())


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".h5", ".json"])
@given(data=st.data())
@settings(max_examples=25)
def test_transforms_to_the_last_digit(ndim: int, suffix: str, folder: Path, data: st.DataObject) -> None:
    transform = data.draw(linears(ndim)).transform()
    write_transform(transform, folder / f"a{suffix}", overwrite=True)
    read = read_transform(folder / f"a{suffix}")
    assert isinstance(read, Linear)
    assert torch.equal(read.matrix, transform.matrix)


@cache
def good_file(suffix: str, folder: Path) -> bytes:
    grid = Grid.from_spacing((4, 3, 5), 1.5)
    path = folder / f"good{suffix}"
    if suffix in (".nii", ".nii.gz"):
        write_image(Image(noise(grid), grid), path)
    elif suffix == ".csv":
        write_points(points(3, 4), path)
    else:
        write_transform(Composite((Linear.identity(3), Linear.identity(3))), path)
    return path.read_bytes()


READERS = {
    ".nii": read_image,
    ".nii.gz": read_image,
    ".csv": read_points,
    ".json": read_transform,
    ".tfm": read_transform,
}


@pytest.mark.parametrize("suffix", READERS)
@given(data=st.data())
@settings(max_examples=80)
def test_whatever_is_in_a_file_it_is_read_or_refused(suffix: str, folder: Path, data: st.DataObject) -> None:
    """Bytes changed or cut off: never anything but an answer or an error of ours."""
    content = bytearray(good_file(suffix, folder))
    places = st.tuples(st.integers(0, min(len(content), 400) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(places, max_size=6)):
        content[place] = value
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    path = folder / f"a{suffix}"
    path.write_bytes(content)
    with suppress(InforegError):
        READERS[suffix](path)


@pytest.mark.parametrize("suffix", [".tfm", ".h5", ".json"])
@given(data=st.data())
@settings(max_examples=15)
def test_chains_in_their_order_about_any_centre(suffix: str, folder: Path, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(linears(3), min_size=2, max_size=4))
    chain = Composite(tuple(numbers.transform() for numbers in drawn))
    centre = torch.tensor(
        data.draw(st.lists(st.floats(-200, 200), min_size=3, max_size=3)), dtype=torch.float64
    )
    write_transform(chain, folder / f"a{suffix}", centre_mm=centre, overwrite=True)
    read = read_transform(folder / f"a{suffix}")
    torch.testing.assert_close(read(points(3)), chain(points(3)), rtol=1e-10, atol=1e-9)


POINT_FILES = samples()


@pytest.mark.parametrize("suffix", [".csv", ".json", ".mrk.json", ".fcsv", ".vtk", ".ply", ".obj", ".pts"])
@given(data=st.data())
@settings(max_examples=40)
def test_new_files_of_points_to_the_last_digit(suffix: str, folder: Path, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from([2, 3]))
    cloud = torch.tensor(data.draw(cloud_of(ndim)), dtype=torch.float64)
    space = data.draw(st.sampled_from(["lps"] if suffix == ".pts" else ["ras", "lps"]))
    write_points(cloud, folder / f"a{suffix}", space=space, overwrite=True)
    read = read_point_set(folder / f"a{suffix}", ndim=ndim)
    assert torch.equal(read.points_mm, cloud)
    assert read.space == space


@pytest.mark.parametrize("suffix", dict.fromkeys(sample.suffix for sample in POINT_FILES.values()))
@given(data=st.data())
@settings(max_examples=100)
def test_points_moved_by_a_transform_written_and_read(suffix: str, folder: Path, data: st.DataObject) -> None:
    """Where they were put, within the type of the file's numbers; and where they came from, once moved back."""
    sample = data.draw(st.sampled_from([s for s in POINT_FILES.values() if s.suffix == suffix]))
    said = None if sample.space else data.draw(st.sampled_from(["ras", "lps"]))
    first, second, third = (folder / f"{name}{suffix}" for name in "abc")
    first.write_bytes(sample.content)
    found = read_point_set(first, space=said)
    numbers: LinearNumbers = data.draw(linears(found.points_mm.shape[1]))
    moved = found.moved(numbers.transform()(found.points_mm))
    write_point_set(moved, second, overwrite=True)
    again = read_point_set(second, space=said)
    write_point_set(again.moved(found.points_mm), third, overwrite=True)
    back = read_point_set(third, space=said)
    apart_mm = (again.points_mm - moved.points_mm).abs().max()
    assert float(apart_mm) <= sample.precision_mm(moved.points_mm.numpy())
    assert (again.space, again.origin.format) == (found.space, found.origin.format)
    assert float((back.points_mm - found.points_mm).abs().max()) <= sample.precision_mm(sample.numbers)
