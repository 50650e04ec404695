import gzip
import logging
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from damage import damaged, read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids, linears, numbers, points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats import MissingImages
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Transform, group

FIXED = Grid.from_spacing((6, 7, 8), (3.0, 2.0, 4.0))
MOVING = Grid.from_spacing((9, 6, 5), (1.5, 2.5, 3.0))


def bent(grid: Grid = FIXED, seed: int = 0, size_mm: float = 3.0) -> Displacement:
    generator = torch.Generator().manual_seed(seed)
    vectors = size_mm * torch.randn(3, *grid.shape, generator=generator, dtype=torch.float64)
    return Displacement(vectors.to(torch.float32), grid)


def read(path: Path, fixed: Grid | None = None, moving: Grid = MOVING) -> Displacement:
    found = read_transform(path, format="fsl", fixed=fixed, moving=moving)
    assert isinstance(found, Displacement)
    return found


def by_hand(grid: Grid, voxel: np.ndarray) -> np.ndarray:
    counted = voxel.copy()
    if np.linalg.det(grid.voxel_to_world.numpy()) > 0:
        counted[:, 0] = grid.shape[0] - 1 - counted[:, 0]
    return counted * grid.spacing_mm.numpy()


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i2"])
@given(data=st.data())
@settings(max_examples=15)
def test_it_takes_fixed_to_moving_in_fsls_millimetres(
    absolute: bool, dtype: str, data: st.DataObject
) -> None:
    """A file made by nibabel, read by the definition: in every orientation, voxel by voxel."""
    fixed, moving = (
        data.draw(grids(3, shear=0.0, sizes=(4, 6), spacings_mm=(1, 4), reach_mm=90)).grid() for _ in "fm"
    )
    voxels = (
        np.stack(np.meshgrid(*map(np.arange, fixed.shape), indexing="ij"), -1).reshape(-1, 3).astype(float)
    )
    shift = (
        np.random.default_rng(0).uniform(-0.4, 0.4, voxels.shape)
        if dtype[1] == "f"
        else np.ones(voxels.shape)
    )
    stored = (shift + by_hand(fixed, voxels) * absolute).astype(dtype)
    image = nib.Nifti1Image(stored.reshape(*fixed.shape, 3), fixed.voxel_to_world.numpy())
    image.header.set_intent(2006)
    with tempfile.TemporaryDirectory() as folder:
        nib.save(image, Path(folder) / "a.nii.gz")
        found = read(Path(folder) / "a.nii.gz", moving=moving)
    assert found.vectors.dtype == (torch.float32 if dtype[1:] == "f4" else torch.float64)
    there = stored.astype(float) + (0 if absolute else by_hand(fixed, voxels))
    counted = there / moving.spacing_mm.numpy()
    if np.linalg.det(moving.voxel_to_world.numpy()) > 0:
        counted[:, 0] = moving.shape[0] - 1 - counted[:, 0]
    expected = moving.to_world(torch.from_numpy(counted)).numpy()
    np.testing.assert_allclose(found(fixed.points_mm()).numpy(), expected, rtol=0, atol=1e-4)


@given(data=st.data())
@settings(max_examples=25)
def test_any_transform_makes_the_trip(data: st.DataObject) -> None:
    fixed, moving = (
        data.draw(grids(3, sizes=(3, 6), spacings_mm=(0.5, 4), reach_mm=90)).grid() for _ in "fm"
    )
    warp = bent(fixed, data.draw(st.integers(0, 99)), data.draw(numbers(0, 5)))
    transform = Composite((data.draw(linears(3, size=0.2)).transform(), warp))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.nii", "b.nii.gz", "c.nii"):
            write_transform(transform, Path(folder) / name, format="fsl", fixed=fixed, moving=moving)
        content = (Path(folder) / "a.nii").read_bytes()
        assert (Path(folder) / "c.nii").read_bytes() == content
        assert gzip.decompress((Path(folder) / "b.nii.gz").read_bytes()) == content
        found = read(Path(folder) / "b.nii.gz", fixed, moving)
    expected = transform(fixed.points_mm())
    torch.testing.assert_close(found(fixed.points_mm()), expected, rtol=1e-6, atol=1e-4)
    assert found.grid.same_as(fixed, 1e-3)


def test_the_header_is_fsls(tmp_path: Path) -> None:
    write_transform(bent(), tmp_path / "a.nii.gz", format="fsl", fixed=FIXED, moving=MOVING)
    image = nib.load(tmp_path / "a.nii.gz")
    assert image.shape == (6, 7, 8, 3)
    assert image.get_data_dtype() == np.float32
    assert image.header["intent_code"] == 2006
    assert image.header.get_zooms()[:3] == (3.0, 2.0, 4.0)
    assert (image.header["sform_code"], image.header["qform_code"]) == (1, 1)
    np.testing.assert_allclose(image.affine, FIXED.voxel_to_world.numpy(), atol=1e-5)


def test_the_identity_between_grids_is_no_field_of_zeros(tmp_path: Path) -> None:
    """FSL counts from a corner of each image: where the corners differ, so do the numbers of what does not move."""
    write_transform(Linear.identity(3), tmp_path / "a.nii.gz", format="fsl", fixed=FIXED, moving=MOVING)
    stored = nib.load(tmp_path / "a.nii.gz").get_fdata()
    # Both first axes grow to the right, so both are counted from their last voxel: 7.5 and 6 mm from the middle.
    np.testing.assert_allclose(stored[..., 0], 6.0 - 7.5, atol=1e-5)
    torch.testing.assert_close(read(tmp_path / "a.nii.gz")(points(3)), points(3), rtol=0, atol=1e-5)


def test_the_moving_image_is_needed(tmp_path: Path) -> None:
    with pytest.raises(MissingImages, match="--fixed and --moving"):
        write_transform(bent(), tmp_path / "a.nii.gz", format="fsl", fixed=FIXED)
    write_transform(bent(), tmp_path / "a.nii.gz", format="fsl", fixed=FIXED, moving=MOVING)
    with pytest.raises(MissingImages, match="--moving"):
        read_transform(tmp_path / "a.nii.gz", format="fsl", fixed=FIXED)


def test_another_fixed_image_and_no_mark_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.nii"
    write_transform(bent(), path, format="fsl", fixed=FIXED, moving=MOVING)
    with caplog.at_level(logging.WARNING):
        read(path, FIXED)
    assert caplog.messages == []
    with caplog.at_level(logging.WARNING):
        read(path, Grid.from_spacing((6, 7, 8), (3.0, 2.0, 4.1)))
    assert len(caplog.messages) == 1
    assert "not the fixed image's" in caplog.messages[0]
    caplog.clear()
    content = bytearray(path.read_bytes())
    content[68:70] = bytes(2)
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        read(path, FIXED)
    assert len(caplog.messages) == 1
    assert "taken for a warp of FSL" in caplog.messages[0]


def test_a_field_that_fsl_would_misread_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Twice the size: what is added to the positions varies as they do, as absolute ones would."""
    twice = Linear(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0])))
    with caplog.at_level(logging.WARNING):
        write_transform(twice, tmp_path / "a.nii", format="fsl", fixed=FIXED, moving=MOVING)
    assert len(caplog.messages) == 1
    assert "--rel" in caplog.messages[0]
    # We know our own.
    read = read_transform(tmp_path / "a.nii", format="fsl", fixed=FIXED, moving=MOVING)
    torch.testing.assert_close(read(FIXED.points_mm()), twice(FIXED.points_mm()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("intent", [2007, 2008, 2009, 2016])
def test_coefficients_are_refused_with_the_command(tmp_path: Path, intent: int) -> None:
    shape = (4, 5, 6) if intent == 2016 else (4, 5, 6, 3)
    image = nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4))
    image.header["intent_code"] = intent
    nib.save(image, tmp_path / "a.nii.gz")
    with pytest.raises(ReadError, match="topup --dfout" if intent == 2016 else "fnirtfileutils"):
        read_transform(tmp_path / "a.nii.gz", moving=MOVING)


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 2), (4, 5, 6, 4), (4, 5, 6, 3, 3)])
def test_what_is_no_field_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nib.save(nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(ReadError) as caught:
        read_transform(tmp_path / "a.nii.gz", moving=MOVING, format="fsl")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "a.nii.gz") in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_fields_with_holes_are_refused(tmp_path: Path, value: float) -> None:
    values = np.zeros((4, 5, 6, 3), np.float32)
    values[1, 2, 3, 0] = value
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(ReadError, match="NaN or infinity"):
        read(tmp_path / "a.nii.gz")


def test_scaled_integers_are_what_they_mean(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-300, 300, (*FIXED.shape, 3)).astype(np.int16)
    image = nib.Nifti1Image(values, FIXED.voxel_to_world.numpy())
    image.header.set_intent(2006)
    image.header.set_slope_inter(0.01, 0.5)
    nib.save(image, tmp_path / "a.nii")
    nib.save(nib.Nifti1Image(values * 0.01 + 0.5, FIXED.voxel_to_world.numpy()), tmp_path / "b.nii")
    scaled, plain = read(tmp_path / "a.nii"), read(tmp_path / "b.nii")
    torch.testing.assert_close(scaled.vectors, plain.vectors, rtol=0, atol=1e-6)


def test_there_is_no_2d(tmp_path: Path) -> None:
    flat = Grid.from_spacing((6, 7))
    with pytest.raises(WriteError, match="no 2-D"):
        write_transform(Linear.identity(2), tmp_path / "a.nii", format="fsl", fixed=flat, moving=flat)
    write_transform(bent(), tmp_path / "a.nii", format="fsl", fixed=FIXED, moving=MOVING)
    with pytest.raises(ReadError, match="no 2-D"):
        read(tmp_path / "a.nii", moving=flat)


def test_damage_is_an_error_or_still_a_field(tmp_path: Path) -> None:
    small = Grid.from_spacing((3, 3, 3), 4.0)
    write_transform(bent(small), tmp_path / "good.nii", format="fsl", fixed=small, moving=MOVING)
    content = (tmp_path / "good.nii").read_bytes()
    # Most of what a header can say is in its first hundred bytes.
    for start, count in ((0, 120), (40, 120)):
        part = content[start : start + 80]
        for n, version in enumerate(damaged(part, count)):
            if len(version) == len(part):
                (tmp_path / f"{n}.nii").write_bytes(content[:start] + version + content[start + 80 :])
                check(tmp_path / f"{n}.nii")
    survivors = read_damaged(tmp_path / "bad.nii", content, format="fsl", moving=MOVING)
    assert all(isinstance(found, Displacement) for found in survivors)
    assert 0 < len(survivors) < 250
    write_transform(bent(small), tmp_path / "good.nii.gz", format="fsl", fixed=small, moving=MOVING)
    packed = read_damaged(
        tmp_path / "bad.nii.gz", (tmp_path / "good.nii.gz").read_bytes(), format="fsl", moving=MOVING
    )
    assert len(packed) < 100


def check(path: Path) -> None:
    found: Transform | str
    try:
        found = read_transform(path, format="fsl", moving=MOVING)
    except ReadError as error:
        found = str(error)
    assert isinstance(found, Displacement) or (str(path) in found and "\n" not in found)


def test_a_header_that_promises_terabytes_costs_nothing(tmp_path: Path) -> None:
    write_transform(bent(), tmp_path / "a.nii", format="fsl", fixed=FIXED, moving=MOVING)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[42:48] = np.array([30000, 30000, 30000], "<i2").tobytes()
    for name in ("a.nii", "b.nii.gz"):
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        with pytest.raises(ReadError, match="cut short"):
            read(tmp_path / name)


def test_projective_transforms_become_fields(tmp_path: Path) -> None:
    which = group("projective", 3)
    parameters = 0.05 * torch.randn(
        which.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    transform = which.exp(parameters, torch.zeros(3, dtype=torch.float64), 80.0)
    write_transform(transform, tmp_path / "a.nii", format="fsl", fixed=FIXED, moving=MOVING)
    found = read(tmp_path / "a.nii", FIXED)
    torch.testing.assert_close(found(FIXED.points_mm()), transform(FIXED.points_mm()), rtol=0, atol=1e-4)
