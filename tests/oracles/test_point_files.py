"""nibabel finds the points of streamlines and surfaces where we find them, and of ours where we put them."""

import io
from itertools import permutations, product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.streamlines import TrkFile
from point_samples import NUMBERS, gifti, tractogram
from strategies import GridNumbers, grids, linears

from inforeg.errors import ReadError
from inforeg.io import read_point_set, write_point_set

DATA = Path(nib.__file__).parent
STREAMLINES = sorted(
    path
    for pattern in ("standard*.t?k", "simple*.t?k", "complex*.t?k", "multiline_header_field.tck")
    for path in (DATA / "tests" / "data").glob(pattern)
)
SURFACES = [DATA / "gifti" / "tests" / "data" / f"{name}.gii" for name in ("ascii", "base64bin")]
# Of the largest coordinate; nibabel's own matrix of TRK is in float32.
STEP = float(np.finfo(np.float32).eps)
AXES = [
    "".join(pair[side] for pair, side in zip(axes, sides, strict=True))
    for axes in permutations(("RL", "AP", "SI"))
    for sides in product((0, 1), repeat=3)
]


def streamlines(path: Path) -> Any:
    return nib.streamlines.load(path)


def points(path: Path) -> np.ndarray:
    """What nibabel finds, in RAS+ mm."""
    if path.suffix == ".gii":
        return np.asarray(nib.load(path).agg_data("pointset"), np.float64)  # type: ignore[attr-defined]
    return np.concatenate([np.asarray(line, np.float64) for line in streamlines(path).streamlines])


def precision_mm(*arrays: np.ndarray) -> float:
    return 8 * STEP * max(float(np.abs(array).max()) for array in arrays)


def test_nibabel_carries_the_files() -> None:
    assert len(STREAMLINES) >= 9 and all(path.exists() for path in SURFACES)


@pytest.mark.parametrize("path", [*STREAMLINES, *SURFACES], ids=lambda path: path.name)
def test_files_of_others(path: Path, tmp_path: Path) -> None:
    expected = points(path)
    found = read_point_set(path)
    np.testing.assert_allclose(found.points_mm, expected, rtol=0, atol=precision_mm(expected))
    write_point_set(found, tmp_path / path.name)
    assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    moved = found.points_mm @ torch.tensor([[0.9, 0.1, 0], [0, 1.1, 0.2], [0.3, 0, 1]]).double() + 5
    write_point_set(found.moved(moved), tmp_path / path.name, overwrite=True)
    again = points(tmp_path / path.name)
    np.testing.assert_allclose(again, moved, rtol=0, atol=precision_mm(expected, moved.numpy()))


@pytest.mark.parametrize("path", STREAMLINES, ids=lambda path: path.name)
def test_all_else_of_streamlines_is_as_before(path: Path, tmp_path: Path) -> None:
    found = read_point_set(path)
    write_point_set(found.moved(found.points_mm + 5), tmp_path / path.name)
    before, after = streamlines(path), streamlines(tmp_path / path.name)
    assert [len(line) for line in before.streamlines] == [len(line) for line in after.streamlines]
    for kind in ("data_per_point", "data_per_streamline"):
        old, new = (getattr(file.tractogram, kind) for file in (before, after))
        assert old.keys() == new.keys()
        for key in old:
            for a, b in zip(old[key], new[key], strict=True):
                np.testing.assert_array_equal(a, b)
    for key, value in before.header.items():
        np.testing.assert_array_equal(value, after.header[key])


@given(numbers=grids(3, shear=0.0), axes=st.sampled_from(AXES), linear=linears(3))
@settings(max_examples=100)
def test_trk_in_images_of_any_axes(
    tmp_path_factory: Any, numbers: GridNumbers, axes: str, linear: Any
) -> None:
    """All 48 orders of axes, in images that lie anywhere."""
    grid = numbers.grid()
    header = {
        "voxel_to_rasmm": grid.voxel_to_world.numpy(),
        "dimensions": grid.shape,
        "voxel_sizes": grid.spacing_mm.numpy(),
        "voxel_order": axes,
    }
    buffer = io.BytesIO()
    TrkFile(tractogram(), header).save(buffer)
    path = tmp_path_factory.mktemp("trk") / "a.trk"
    path.write_bytes(buffer.getvalue())
    found = read_point_set(path)
    # In voxel mm, the points may lie far from the corner of their image.
    reach = np.abs(NUMBERS).max() + np.abs(grid.corners_mm().numpy()).max()
    np.testing.assert_allclose(found.points_mm, NUMBERS, rtol=0, atol=16 * STEP * reach)
    moved = linear.transform()(found.points_mm)
    write_point_set(found.moved(moved), path.with_name("b.trk"))
    reach += float(moved.abs().max())
    np.testing.assert_allclose(points(path.with_name("b.trk")), moved, rtol=0, atol=16 * STEP * reach)


@pytest.mark.parametrize("encoding", ["ASCII", "B64BIN", "B64GZ"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_surfaces_in_every_encoding(encoding: str, order: str, dtype: str, tmp_path: Path) -> None:
    (tmp_path / "a.gii").write_bytes(gifti(f"GIFTI_ENCODING_{encoding}", dtype, order))
    if (encoding, order) == ("ASCII", "F"):
        # nibabel goes by the lines of the text, the format's own library by the order.
        with pytest.raises(ReadError, match="read in two ways"):
            read_point_set(tmp_path / "a.gii")
        return
    found = read_point_set(tmp_path / "a.gii")
    np.testing.assert_array_equal(found.points_mm, NUMBERS)
    write_point_set(found.moved(found.points_mm / 3), tmp_path / "b.gii")
    moved = (found.points_mm.numpy() / 3).astype(dtype)
    np.testing.assert_array_equal(points(tmp_path / "b.gii").astype(dtype), moved)
    triangles = [nib.load(tmp_path / f"{name}.gii").agg_data("triangle") for name in "ab"]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(*triangles)
