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

from inforeg.image import Image, Labels
from inforeg.io import read_image, read_labels, write_image, write_labels
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


def to_sitk(image: Image) -> sitk.Image:
    """The image as SimpleITK has it; the grid must have right angles."""
    d = image.grid.ndim
    lps = image.grid.voxel_to_world.numpy().copy()
    lps[:2] *= -1
    spacing = np.linalg.norm(lps[:d, :d], axis=0)
    result = sitk.GetImageFromArray(np.ascontiguousarray(image.data[0, 0].numpy().T))
    result.SetSpacing(spacing.tolist())
    result.SetDirection((lps[:d, :d] / spacing).reshape(-1).tolist())
    result.SetOrigin(lps[:d, d].tolist())
    return result
