"""SimpleITK sees our files, and we see its files, with the same values at the same places."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids

from inforeg.image import Image, Labels, resample_labels
from inforeg.io import formats, read_image, read_labels, read_series, write_image, write_labels, write_series
from inforeg.space import Grid


def positions(image: sitk.Image) -> np.ndarray:
    """Where SimpleITK has the corners, in RAS+ mm, first axis slowest."""
    d, size = image.GetDimension(), image.GetSize()
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in size], indexing="ij"), -1).reshape(-1, d)
    lps = np.array([image.TransformIndexToPhysicalPoint([int(i) for i in c]) for c in corners])
    return lps * np.array([-1, -1, 1][:d])


def ours(grid: Grid) -> np.ndarray:
    axes = [torch.tensor([0, n - 1]) for n in grid.shape]
    return grid.to_world(torch.cartesian_prod(*axes).double()).numpy()


def noise(grid: Grid) -> torch.Tensor:
    return torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@given(data=st.data())
@settings(max_examples=40)
def test_nifti_we_wrote(suffix: str, data: st.DataObject) -> None:
    grid = data.draw(grids(3, shear=0.0)).grid()
    with tempfile.TemporaryDirectory() as folder:
        write_image(Image(noise(grid), grid), Path(folder) / f"a{suffix}")
        read = sitk.ReadImage(str(Path(folder) / f"a{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read).T, noise(grid)[0, 0].numpy())
    np.testing.assert_allclose(positions(read), ours(grid), atol=1e-3)


@given(data=st.data())
@settings(max_examples=30)
def test_nifti_it_wrote(data: st.DataObject) -> None:
    grid = data.draw(grids(3, shear=0.0)).grid()
    stored = to_sitk(Image(noise(grid), grid))
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(stored, str(Path(folder) / "a.nii.gz"))
        read = read_image(Path(folder) / "a.nii.gz")
    assert torch.equal(read.data, noise(grid))
    np.testing.assert_allclose(ours(read.grid), positions(stored), atol=2e-3)


@given(data=st.data())
@settings(max_examples=20)
def test_the_same_image_as_an_object(data: st.DataObject) -> None:
    grid = data.draw(grids(3, shear=0.0)).grid()
    read = read_image(to_sitk(Image(noise(grid), grid)))
    assert torch.equal(read.data, noise(grid))
    assert read.grid.same_as(grid, 1e-9 * 1e3)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@given(width=st.integers(1, 20), height=st.integers(1, 20), sx=st.floats(0.01, 5), sy=st.floats(0.01, 5))
@settings(max_examples=25)
def test_pictures(suffix: str, width: int, height: int, sx: float, sy: float) -> None:
    grid = Grid((width, height), torch.diag(torch.tensor([-sx, -sy, 1.0], dtype=torch.float64)))
    values = (noise(grid) * 255).round()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        write_image(Image(values, grid), path, dtype="uint8")
        theirs, read = sitk.ReadImage(str(path)), read_image(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs).T, values[0, 0].numpy())
    assert torch.equal(read.data, values)
    np.testing.assert_allclose(ours(read.grid), positions(theirs), atol=1e-9)
    # Resolutions in these files have five digits.
    np.testing.assert_allclose(ours(read.grid), ours(grid), rtol=2e-4, atol=1e-9)


def test_label_ids_beyond_float32() -> None:
    grid = Grid.from_spacing((2, 1, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.nii.gz"
        write_labels(Labels(torch.tensor([614454277, 1]).reshape(1, 1, 2, 1, 1), grid), path)
        assert sitk.GetArrayFromImage(sitk.ReadImage(str(path))).flatten().tolist() == [614454277, 1]
        sitk.WriteImage(
            sitk.GetImageFromArray(np.array([[[614454277, 2]]], np.int32)), str(Path(folder) / "b.nii")
        )
        assert read_labels(Path(folder) / "b.nii").data.flatten().tolist() == [614454277, 2]


KINDS = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Values that use the whole range of their type, wide integers to their last digit."""
    rng = np.random.default_rng(0)
    if dtype.startswith("float"):
        return (rng.random(shape) * 200 - 100).astype(dtype)
    limits = np.iinfo(dtype)
    values = rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)
    values.flat[:2] = (limits.min, limits.max)
    return values


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
@given(data=st.data())
@settings(max_examples=4)
def test_voxels_it_wrote(suffix: str, kind: str, packed: bool, data: st.DataObject) -> None:
    ndim = data.draw(st.sampled_from([2, 3]))
    grid = data.draw(grids(ndim, shear=0.0)).grid()
    values = numbers(grid.shape, kind)
    stored = of_array(values, grid)
    with tempfile.TemporaryDirectory() as folder:
        sitk.WriteImage(stored, str(Path(folder) / f"a{suffix}"), useCompression=packed)
        read = formats.load(Path(folder) / f"a{suffix}")
        image = read_image(Path(folder) / f"a{suffix}")
    assert read.dtype == kind
    np.testing.assert_array_equal(read.values[0], values)
    np.testing.assert_allclose(ours(image.grid), positions(stored), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@given(data=st.data())
@settings(max_examples=30)
def test_voxels_we_wrote_with_shear(suffix: str, data: st.DataObject) -> None:
    grid = data.draw(grids(data.draw(st.sampled_from([2, 3])))).grid()
    with tempfile.TemporaryDirectory() as folder:
        write_image(Image(noise(grid), grid), Path(folder) / f"a{suffix}")
        read = sitk.ReadImage(str(Path(folder) / f"a{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read).T, noise(grid)[0, 0].numpy())
    np.testing.assert_allclose(positions(read), ours(grid), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii.gz"])
def test_every_type_we_write(suffix: str, kind: str, tmp_path: Path) -> None:
    grid = Grid.from_spacing((4, 5, 6), 1.5)
    values = numbers(grid.shape, kind)
    formats.writer(Path(f"a{suffix}"))(tmp_path / f"a{suffix}", values[None], grid.voxel_to_world.numpy())
    read = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
    assert sitk.GetArrayFromImage(read).dtype == kind
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read).T, values)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 6)])
@pytest.mark.parametrize(("kind", "channels"), [("uint8", 3), ("float32", 3), ("uint16", 2), ("float64", 5)])
def test_colour_and_vectors(
    suffix: str, shape: tuple[int, ...], kind: str, channels: int, tmp_path: Path
) -> None:
    grid, values = Grid.from_spacing(shape, 1.5), numbers((channels, *shape), kind)
    theirs = sitk.GetImageFromArray(values.T, isVector=True)
    sitk.WriteImage(theirs, str(tmp_path / f"theirs{suffix}"))
    np.testing.assert_array_equal(formats.load(tmp_path / f"theirs{suffix}").values, values)
    formats.writer(Path(f"a{suffix}"))(tmp_path / f"ours{suffix}", values, grid.voxel_to_world.numpy())
    read = sitk.ReadImage(str(tmp_path / f"ours{suffix}"))
    assert read.GetNumberOfComponentsPerPixel() == channels
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read).T, values)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@given(data=st.data())
@settings(max_examples=8)
def test_series(suffix: str, data: st.DataObject) -> None:
    """Ours is a 4-D image to it and the other way round, with the same step and place."""
    grid = data.draw(grids(3, shear=0.0)).grid()
    volumes = [Image(noise(grid) + n, grid) for n in range(3)]
    with tempfile.TemporaryDirectory() as folder:
        ours_path, their_path = Path(folder) / f"ours{suffix}", Path(folder) / f"theirs{suffix}"
        write_series(volumes, ours_path, step=2.5, step_unit="s")
        read = sitk.ReadImage(str(ours_path))
        assert read.GetSize() == (*grid.shape, 3)
        assert read.GetSpacing()[3] == 2.5
        for n in range(3):
            volume = sitk.Extract(read, (*grid.shape, 0), (0, 0, 0, n))
            np.testing.assert_array_equal(sitk.GetArrayFromImage(volume).T, volumes[n].data[0, 0].numpy())
        np.testing.assert_allclose(positions(volume), ours(grid), rtol=1e-5, atol=2e-3)
        joined = sitk.JoinSeries([to_sitk(volume) for volume in volumes], 0.0, 2.5)
        sitk.WriteImage(joined, str(their_path))
        series = read_series(their_path)
    assert len(series) == 3
    assert series.step == 2.5
    for n in range(3):
        assert torch.equal(series[n].data, volumes[n].data)
    np.testing.assert_allclose(ours(series.grid), ours(grid), rtol=1e-5, atol=2e-3)


# What the header says, the body being 3 x 4 x 5 of int16; ITK is asked where it puts them.
NRRD_PLACES = [
    "space: RAS\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)",
    "space: left-anterior-superior\nspace directions: (1,0,.1) (0,2,0) (0.5,0,3)\nspace origin: (1,2,3)",
    "space: LPS\nspace directions: (1,0,0) (0.5,2,0) (0,0,-3)\nspace origin: (1,2,3)\nkinds: space space space",
    "space: scanner-xyz\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)",
    "space: 3D-left-handed\nspace directions: (1, 0, 0) (0, 2, 0) (0, 0, 3)",
    "space dimension: 3\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)",
    "",
    "spacings: 1 2 3",
    "spacings: 1 2 nan",
    "spacings: -1 2 3\naxis mins: 10 20 30",
    "spacings: 1 2 3\naxis mins: 10 20 30\ncenters: node node node",
    "kinds: vector domain domain",
    "kinds: domain 4-color domain",
]
META_PLACES = [
    "ElementSpacing = 1 2 3\nTransformMatrix = 0 1 0 0.1 0.9 0 0 0 1\nOffset = 1 2 3",
    "ElementSpacing = 1 2 3\nRotation = 0 1 0 -1 0 0 0 0 1\nPosition = 1 2 3\nCenterOfRotation = 5 6 7",
    "ElementSpacing = 1 2 3\nOrientation = 0 1 0 -1 0 0 0 0 1\nOrigin = 1 2 3",
    "ElementSpacing = -1 2 3\nElementByteOrderMSB = True",
    "ElementSize = 1 2 3\nBinaryDataByteOrderMSB = True",
    "ElementSize = 1 2 3\nElementSpacing = 4 5 6\nHeaderSize = -1",
    "TransformMatrix = 2 0 0 0 1 0 0 0 1",
    "",
]
BODY = np.arange(60, dtype="<i2").tobytes()
HEADS = [
    (
        ".nrrd",
        f"NRRD0005\ntype: short\ndimension: 3\nsizes: 3 4 5\nendian: little\nencoding: raw\n{place}\n\n",
    )
    for place in (place or "# nothing" for place in NRRD_PLACES)
] + [
    (
        ".mha",
        f"ObjectType = Image\nNDims = 3\nBinaryData = True\n{place or 'Comment = nothing'}\nDimSize = 3 4 5\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n",
    )
    for place in META_PLACES
]


@pytest.mark.parametrize(("suffix", "head"), HEADS)
def test_headers_of_other_programs(suffix: str, head: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(head.encode() + BODY)
    theirs, read = sitk.ReadImage(str(path)), read_image(path)
    values = sitk.GetArrayFromImage(theirs).T
    np.testing.assert_array_equal(
        read.data[0].numpy(), values if values.ndim > read.grid.ndim else values[None]
    )
    np.testing.assert_allclose(ours(read.grid), positions(theirs), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(("kind", "top"), [("int32", 614454277), ("int64", 2**62 + 1), ("uint64", 2**63 - 1)])
def test_label_ids_beyond_float_both_ways(suffix: str, kind: str, top: int, tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 1, 2))
    ids = torch.tensor([top, 1, 0, top - 1]).reshape(1, 1, 2, 1, 2)
    moved = resample_labels(Labels(ids, grid, dtype=kind), grid)
    write_labels(moved, tmp_path / f"a{suffix}")
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"a{suffix}"))).T.flatten().tolist() == [
        top,
        1,
        0,
        top - 1,
    ]
    theirs = sitk.GetImageFromArray(np.array([[[top, 2]]], kind))
    sitk.WriteImage(theirs, str(tmp_path / f"b{suffix}"))
    assert read_labels(tmp_path / f"b{suffix}").data.flatten().tolist() == [top, 2]


def to_sitk(image: Image) -> sitk.Image:
    """The image as SimpleITK has it; the grid must have right angles."""
    return of_array(image.data[0, 0].numpy(), image.grid)


def of_array(values: np.ndarray, grid: Grid) -> sitk.Image:
    """Values `(i, j[, k])` on a grid with right angles, as SimpleITK has them."""
    d, lps = grid.ndim, grid.voxel_to_world.numpy().copy()
    lps[:2] *= -1
    spacing = np.linalg.norm(lps[:d, :d], axis=0)
    result = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    result.SetSpacing(spacing.tolist())
    result.SetDirection((lps[:d, :d] / spacing).reshape(-1).tolist())
    result.SetOrigin(lps[:d, d].tolist())
    return result
