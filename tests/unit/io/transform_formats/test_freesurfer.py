import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids, linears, points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats import MissingImages
from inforeg.space import Grid
from inforeg.transforms import Linear, group

FIXED = Grid.from_spacing((20, 24, 28), (1.0, 2.0, 3.0))
MOVING = Grid.from_spacing((30, 21, 10), (1.5, 1.0, 2.5))


def linear(seed: int = 0, ndim: int = 3, name: str = "affine") -> Linear:
    which = group(name, ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


def written(folder: Path, fixed: Grid = FIXED, moving: Grid = MOVING, transform: Linear | None = None) -> str:
    write_transform(transform or linear(), folder / "a.lta", fixed=fixed, moving=moving)
    return (folder / "a.lta").read_text()


@given(data=st.data())
@settings(max_examples=30)
def test_the_trip_and_the_geometry_of_both_images(data: st.DataObject) -> None:
    fixed, moving = (data.draw(grids(3, reach_mm=200.0)).grid() for _ in "fm")
    transform = data.draw(linears(3)).transform()
    with tempfile.TemporaryDirectory() as folder:
        text = written(Path(folder), fixed, moving, transform)
        read = read_transform(Path(folder) / "a.lta")
        # The same transform between voxels, by the geometry that was written, is of type 0.
        between = (fixed.world_to_voxel @ transform.inverse().matrix @ moving.voxel_to_world).numpy()
        lines = text.splitlines()
        lines[0] = "type      = 0 # LINEAR_VOX_TO_VOX"
        start = lines.index("1 4 4") + 1
        lines[start : start + 4] = [" ".join(repr(float(v)) for v in row) for row in between]
        (Path(folder) / "b.lta").write_text("\n".join(lines) + "\n")
        by_voxels = read_transform(Path(folder) / "b.lta")
    expected = transform(points(3)).numpy()
    for found in (read, by_voxels):
        scale = 1e3 + np.abs(expected).max()
        np.testing.assert_allclose(found(points(3)).numpy(), expected, rtol=0, atol=1e-9 * scale)


def test_source_is_moving_and_destination_is_fixed(tmp_path: Path) -> None:
    """By hand: the matrix takes the moving image's points to the fixed image's, so it is turned."""
    text = written(tmp_path, transform=Linear.translation(torch.tensor([1.0, 2.0, 3.0])))
    lines = text.splitlines()
    start = lines.index("1 4 4") + 1
    assert [line.split()[3] for line in lines[start : start + 3]] == ["-1.0", "-2.0", "-3.0"]
    assert lines[lines.index("src volume info") + 3] == "volume = 30 21 10"
    assert lines[lines.index("dst volume info") + 3] == "volume = 20 24 28"
    # The centre is voxel n/2: half a voxel beyond the middle of the grid.
    centre = MOVING.to_world(torch.tensor([15.0, 10.5, 5.0], dtype=torch.float64)).tolist()
    assert lines[lines.index("dst volume info") - 1].split()[2:] == [repr(v + 0.0) for v in centre]


def test_both_images_are_needed_to_write_and_none_to_read(tmp_path: Path) -> None:
    with pytest.raises(MissingImages, match="--fixed and --moving"):
        write_transform(linear(), tmp_path / "a.lta")
    assert list(tmp_path.iterdir()) == []
    written(tmp_path)
    read = read_transform(tmp_path / "a.lta")
    torch.testing.assert_close(read(points(3)), linear()(points(3)), rtol=0, atol=1e-9)
    assert written_again(tmp_path) == (tmp_path / "a.lta").read_bytes()


def written_again(folder: Path) -> bytes:
    write_transform(linear(), folder / "again.lta", fixed=FIXED, moving=MOVING)
    return (folder / "again.lta").read_bytes()


def test_notes_and_names_of_files_do_not_matter(tmp_path: Path) -> None:
    text = written(tmp_path).replace("filename = unknown", "filename = /data/type = 7/süd #1.mgz")
    (tmp_path / "b.lta").write_text(
        f"# created by someone\n\n{text}subject bert\nfscale 0.1\n", encoding="latin-1"
    )
    read = read_transform(tmp_path / "b.lta")
    torch.testing.assert_close(read(points(3)), linear()(points(3)), rtol=0, atol=1e-9)


CHANGES = {
    "register.dat": ("type      = 1", "type      = 14", "register.dat"),
    "physical voxels": ("type      = 1", "type      = 2", "physical voxels"),
    "unknown type": ("type      = 1", "type      = 99", "unknown"),
    "half a type": ("type      = 1", "type      = 0.5", "whole number"),
    "no type": ("type      = 1", "kind      = 1", "lta"),
    "several": ("nxforms   = 1", "nxforms   = 3", "holds 3"),
    "none": ("nxforms   = 1", "nxforms   = 0", "holds 0"),
    "too many to count": ("nxforms   = 1", "nxforms   = 1e300", "one transform"),
    "no matrix": ("1 4 4", "1 5 5", "1 4 4"),
    "a word": ("0.0 0.0 0.0 1.0", "0.0 0.0 zero 1.0", "zero"),
    "projective": ("0.0 0.0 0.0 1.0", "0.1 0.0 0.0 1.0", "last row"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_not_read_is_one_line(tmp_path: Path, case: str) -> None:
    old, new, expected = CHANGES[case]
    text = written(tmp_path)
    assert old in text
    (tmp_path / "b.lta").write_text(text.replace(old, new))
    with pytest.raises(ReadError, match=expected) as caught:
        read_transform(tmp_path / "b.lta")
    assert "\n" not in str(caught.value)
    assert "b.lta" in str(caught.value)


GEOMETRY = {
    "not valid": ("valid = 1", "valid = 0", "not valid"),
    "missing": ("dst volume info", "volume info", "dst volume info"),
    "no voxels": ("volume = 30 21 10", "volume = 30 0 10", "voxel"),
    "too many voxels": ("volume = 30 21 10", "volume = 30 1e99 10", "voxels"),
    "no size": ("voxelsize = 1.5 1.0 2.5", "voxelsize = 1.5 0 2.5", "singular"),
    "two axes": ("voxelsize = 1.5 1.0 2.5", "voxelsize = 1.5 2.5", "voxelsize of src"),
    "not finite": ("voxelsize = 1.5 1.0 2.5", "voxelsize = 1.5 inf 2.5", "finite"),
}


@pytest.mark.parametrize("case", GEOMETRY)
def test_voxel_to_voxel_needs_the_geometry_of_both(tmp_path: Path, case: str) -> None:
    old, new, expected = GEOMETRY[case]
    text = written(tmp_path)
    assert old in text
    (tmp_path / "b.lta").write_text(text.replace(old, new))
    read = read_transform(tmp_path / "b.lta")
    torch.testing.assert_close(read(points(3)), linear()(points(3)), rtol=0, atol=1e-9)
    (tmp_path / "c.lta").write_text(text.replace(old, new).replace("type      = 1", "type      = 0"))
    with pytest.raises(ReadError, match=expected) as caught:
        read_transform(tmp_path / "c.lta")
    assert "\n" not in str(caught.value)


def test_there_is_no_2d_and_no_projection(tmp_path: Path) -> None:
    flat = Grid.from_spacing((20, 24))
    with pytest.raises(WriteError, match="3-D"):
        write_transform(linear(ndim=2), tmp_path / "a.lta", fixed=flat, moving=flat)
    with pytest.raises(WriteError, match="3-D"):
        write_transform(linear(), tmp_path / "a.lta", fixed=flat, moving=MOVING)
    with pytest.raises(WriteError, match="projective"):
        write_transform(linear(name="projective"), tmp_path / "a.lta", fixed=FIXED, moving=MOVING)


@pytest.mark.parametrize("kind", ["1", "0"])
def test_damage_is_an_error_or_still_a_matrix(tmp_path: Path, kind: str) -> None:
    text = written(tmp_path).replace("type      = 1", f"type      = {kind}")
    survivors = read_damaged(tmp_path / "bad.lta", text.encode())
    assert all(isinstance(read, Linear) for read in survivors)
    assert 0 < len(survivors) < 280
