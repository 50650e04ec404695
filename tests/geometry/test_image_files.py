"""Every voxel of an image file lies where other people's readers see it, in all orientations."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from dicom_writing import by_pydicom
from geometry.conftest import Within
from geometry.orientations import KINDS, every_way, named, oriented
from geometry.others import FLIP, affine_of, by_nibabel, by_simpleitk
from promises import IMAGES

from inforeg.image import Image
from inforeg.io import read_image, write_image
from inforeg.io.formats import READERS, WRITERS
from inforeg.space import Grid

WAYS = [(d, placed) for d in (2, 3) for placed in KINDS]


def cases(table: dict) -> list:
    return [
        pytest.param(suffix, d, placed, id=f"{suffix}-{d}D-{placed}")
        for suffix in table
        if suffix in IMAGES and IMAGES[suffix].oriented
        for d, placed in WAYS
        if d in IMAGES[suffix].ndims
    ]


def of_kind(ndim: int, placed: str) -> list[tuple[str, Grid, np.ndarray]]:
    """A small image in every orientation: what to call it, its grid and its values."""
    found = []
    for way in every_way(ndim):
        if way[2] == placed:
            grid = oriented(
                ndim, way[0], placed, field_mm=6.0, spacing_mm=2.1, centre_mm=(83.0, -121.0, 57.0)
            )
            values = np.random.default_rng(way[0]).normal(size=grid.shape).astype(np.float32)
            found.append((named(ndim, way), grid, values))
    return found


def seen(path: Path, by: str, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions `(n, d)` of all voxels in RAS+ mm and the values there, as another library reads the file."""
    if by == "nibabel":
        image = _mgh(path) if ".mg" in path.name else nib.load(path)
        values = np.asarray(image.dataobj)
        index = np.argwhere(np.ones(values.shape))
        return (index @ image.affine[:3, :3].T + image.affine[:3, 3])[:, :ndim], values.reshape(-1)
    return seen_in(sitk.ReadImage(str(path)), ndim)


def seen_in(image: sitk.Image, ndim: int) -> tuple[np.ndarray, np.ndarray]:
    """The same of an image of SimpleITK."""
    values = sitk.GetArrayFromImage(image).T
    index = np.argwhere(np.ones(values.shape))
    positions = [image.TransformIndexToPhysicalPoint(point) for point in index.tolist()]
    return np.array(positions)[:, :ndim] * FLIP[ndim], values.reshape(-1)


def _mgh(path: Path) -> nib.MGHImage:
    """From its bytes: nibabel does not close such files, and does not know `.mgh.gz`."""
    content = path.read_bytes()
    return nib.MGHImage.from_bytes(gzip.decompress(content) if path.name.endswith("z") else content)


def compare(
    grid: Grid, values: torch.Tensor, positions: np.ndarray, theirs: np.ndarray, suffix: str
) -> tuple[float, float]:
    """How far the voxels are apart, and what is allowed there; values have to be the same."""
    np.testing.assert_array_equal(values[0, 0].reshape(-1).numpy(), theirs)
    allowed = IMAGES[suffix].place * float(grid.voxel_to_world.abs().max())
    return np.abs(grid.points_mm().numpy() - positions).max(), max(allowed, 1e-12)


def test_every_format_has_its_promise() -> None:
    assert sorted({*READERS, *WRITERS} - set(IMAGES)) == [], "say in tests/promises.py what they hold"
    assert sorted(set(IMAGES) - {*READERS}) == []


@pytest.mark.parametrize(("suffix", "ndim", "placed"), cases(WRITERS))
def test_what_we_write_lies_where_it_did(
    suffix: str, ndim: int, placed: str, tmp_path: Path, within: Within
) -> None:
    for where, grid, values in of_kind(ndim, placed):
        path = tmp_path / f"{where}{suffix}"
        write_image(Image(torch.from_numpy(values)[None, None], grid), path)
        for by in IMAGES[suffix].seen_by:
            positions, theirs = seen(path, by, ndim)
            apart, allowed = compare(grid, torch.from_numpy(values)[None, None], positions, theirs, suffix)
            within(f"image {suffix} written, {by}: voxels [mm]", apart, allowed, where)


@pytest.mark.parametrize(("suffix", "ndim", "placed"), cases(READERS))
def test_what_others_write_lies_where_they_see_it(
    suffix: str, ndim: int, placed: str, tmp_path: Path, within: Within
) -> None:
    for where, grid, values in of_kind(ndim, placed):
        for by in IMAGES[suffix].seen_by:
            path = tmp_path / f"{by}-{where}{suffix}"
            if by == "SimpleITK":
                sitk.WriteImage(by_simpleitk(values, grid), str(path))
            elif suffix.startswith((".hdr", ".img")):
                nib.save(nib.Nifti1Pair.from_image(by_nibabel(values, grid)), path)
            elif suffix.startswith(".nii"):
                nib.save(by_nibabel(values, grid), path)
            else:
                content = nib.MGHImage(values, affine_of(grid)).to_bytes()
                path.write_bytes(gzip.compress(content) if suffix.endswith("z") else content)
            read = read_image(path)
            assert read.grid.shape == grid.shape
            apart, allowed = compare(read.grid, read.data, *seen(path, by, ndim), suffix)
            within(f"image {suffix} by {by}: voxels [mm]", apart, allowed, where)
            # And where it was meant to lie, so that two readers cannot be wrong together.
            meant = float((grid.points_mm() - read.grid.points_mm()).abs().max())
            within(f"image {suffix} by {by}, as meant: voxels [mm]", meant, 2e-4, where)


@pytest.mark.parametrize("placed", KINDS)
def test_dicom_series_lie_where_others_see_them(placed: str, tmp_path: Path, within: Within) -> None:
    for where, grid, noise in of_kind(3, placed):
        values = (1000 * noise).astype(np.int16)
        flip = np.diag([-1.0, -1.0, 1.0, 1.0])
        folder = by_pydicom(tmp_path / where, values, flip @ grid.voxel_to_world.numpy())
        read = read_image(folder)
        series = sitk.ImageSeriesReader()
        series.SetFileNames(series.GetGDCMSeriesFileNames(str(folder)))
        positions, theirs = seen_in(series.Execute(), 3)
        apart, _ = compare(read.grid, read.data, positions, theirs, ".nii")
        # Numbers in DICOM have at most sixteen letters.
        within("image DICOM by pydicom: voxels, SimpleITK [mm]", apart, 1e-4, where)
        # Slices are stacked along their normal: of a grid of the other hand, in the opposite order.
        meant = torch.cdist(grid.points_mm(), read.grid.points_mm()).min(dim=1).values.max()
        within("image DICOM by pydicom, as meant: voxels [mm]", float(meant), 1e-4, where)
