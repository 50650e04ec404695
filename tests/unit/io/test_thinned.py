"""Thinned while it is read: the same as read and then thinned, to the last bit."""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from inforeg.errors import ReadError
from inforeg.image.filters import downsample
from inforeg.io import read_image, thinned
from inforeg.io.thinned import read_thinned

AFFINE = np.array([[0.9, 0.2, 0.0, -20], [-0.1, 1.1, 0.3, 5], [0.0, -0.2, 2.5, 7], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("thinned")
    rng = np.random.default_rng(0)
    volume = nib.Nifti1Image(rng.integers(-900, 900, (21, 18, 13)).astype(np.int16), AFFINE)
    volume.header.set_slope_inter(0.5, -10)
    nib.save(volume, folder / "scaled.nii.gz")
    nib.save(nib.Nifti1Image(rng.normal(size=(21, 18, 13)), AFFINE), folder / "double.nii")
    for name, shape in (("grey.png", (23, 31)), ("colour.png", (23, 31, 3))):
        pixels = rng.integers(0, 255, shape, dtype=np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=len(shape) == 3), str(folder / name))
    return folder


@pytest.mark.parametrize("part", [1, 900, 1 << 20])
@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("scaled.nii.gz", (2, 2, 2)),
        ("scaled.nii.gz", (3, 2, 1)),
        ("double.nii", (1, 1, 4)),
        ("grey.png", (3, 2)),
        ("colour.png", (2, 5)),
    ],
)
def test_it_is_what_downsample_makes_of_the_whole(
    name: str, factors: tuple[int, ...], part: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinned, "_PART", part)
    whole = read_image(folder / name)
    expected = downsample(whole, factors)
    found = read_thinned(folder / name, factors)
    assert torch.equal(found.data, expected.data)
    assert torch.equal(found.grid.voxel_to_world, expected.grid.voxel_to_world)
    assert (found.name, found.dtype) == (whole.name, whole.dtype)
    from_memory = read_thinned(whole, factors)
    assert torch.equal(from_memory.data, expected.data)


def test_intensities_are_made_a_part_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    image_of: Any = thinned.image_of

    def watched(stored: Any, grid: Any) -> Any:
        made.append(stored.values.size)
        return image_of(stored, grid)

    monkeypatch.setattr(thinned, "image_of", watched)
    monkeypatch.setattr(thinned, "_PART", 1200)
    read_thinned(folder / "double.nii", (2, 2, 2))
    assert sum(made) == 21 * 18 * 13 and max(made) <= 1200


def test_faults_are_those_of_reading(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="is not there"):
        read_thinned(tmp_path / "none.nii", (2, 2, 2))
