import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids, linears, points, rotation

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import Linear, group

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def linear(seed: int = 0, ndim: int = 3, name: str = "affine") -> Linear:
    which = group(name, ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


def matrix_of(path: Path, **known: Grid) -> np.ndarray:
    read = read_transform(path, **known)
    assert isinstance(read, Linear)
    return read.matrix.numpy()


def test_a_shift_in_dicom_order(tmp_path: Path) -> None:
    """Base to source, to the left, to the back and up: in RAS+ the first two are the other way."""
    (tmp_path / "a.aff12.1D").write_text("1 0 0 10 0 1 0 20 0 0 1 30\n")
    assert matrix_of(tmp_path / "a.aff12.1D")[:3, 3].tolist() == [-10.0, -20.0, 30.0]


@pytest.mark.parametrize(
    "text",
    [
        "# 3dvolreg matrices (DICOM-to-DICOM, row-by-row):\n{0} {1} {2}\n",
        "{0}\t{1}\t{2}",
        "{0}\n{1}\n{2}\n",
        "{0}\n{1}\n{2}\n0 0 0 1\n",
    ],
)
def test_every_layout_that_afni_writes(tmp_path: Path, text: str) -> None:
    matrix = linear().matrix.numpy()
    rows = [" ".join(repr(float(v)) for v in row) for row in (LPS @ matrix @ LPS)[:3]]
    (tmp_path / "a.1D").write_text(text.format(*rows))
    assert np.array_equal(matrix_of(tmp_path / "a.1D"), matrix)


@given(data=st.data())
@settings(max_examples=30)
def test_the_trip_for_images_of_any_orientation(data: st.DataObject) -> None:
    fixed, moving = (data.draw(st.none() | grids(3, shear=0.0, reach_mm=200.0)) for _ in "fm")
    known = {
        name: drawn.grid() for name, drawn in (("fixed", fixed), ("moving", moving)) if drawn is not None
    }
    transform = data.draw(linears(3)).transform()
    with tempfile.TemporaryDirectory() as folder:
        write_transform(transform, Path(folder) / "a.1D", **known)
        read = read_transform(Path(folder) / "a.1D", **known)
    expected = transform(points(3)).numpy()
    np.testing.assert_allclose(
        read(points(3)).numpy(), expected, rtol=0, atol=1e-10 * (1e3 + np.abs(expected).max())
    )


def oblique(angles: list[float]) -> Grid:
    """Grids that AFNI calls oblique, none of its axes along its own axis of the world."""
    turned = torch.zeros(3, 3, dtype=torch.float64)
    for axis, (world, step) in enumerate(((1, -2.0), (2, 3.0), (0, -1.5))):
        turned[world, axis] = step
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = rotation(angles) @ turned
    matrix[:3, 3] = torch.tensor([30.0, -40.0, 50.0])
    return Grid((10, 12, 14), matrix)


def test_oblique_images_are_meant_without_their_angle(tmp_path: Path) -> None:
    """AFNI's identity takes voxels where they lie on the two cardinal grids: same first voxel, axes of the world."""
    fixed, moving = oblique([0.2, -0.1, 0.3]), oblique([-0.3, 0.1, 0.2])
    (tmp_path / "a.1D").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n")
    read = read_transform(tmp_path / "a.1D", fixed=fixed, moving=moving)
    voxels = points(3, 20, 10.0)
    # Both have the same first voxel, voxel sizes and nearest axes, so their cardinal grids are one.
    torch.testing.assert_close(read(fixed.to_world(voxels)), moving.to_world(voxels), rtol=0, atol=1e-9)
    plain = read_transform(tmp_path / "a.1D")
    assert torch.equal(plain(voxels), voxels)
    half = read_transform(tmp_path / "a.1D", fixed=fixed, moving=oblique([0.0, 0.0, 0.0]))
    torch.testing.assert_close(
        half(fixed.to_world(voxels)), oblique([0.0, 0.0, 0.0]).to_world(voxels), rtol=0, atol=1e-9
    )


def test_a_series_is_counted_and_the_way_to_one_is_named(tmp_path: Path) -> None:
    (tmp_path / "motion.aff12.1D").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n" * 7)
    with pytest.raises(ReadError, match=r"series of 7.*1dcat 'motion.aff12.1D\{0\}'"):
        read_transform(tmp_path / "motion.aff12.1D")


BAD = {
    "six columns of motion": "0.1 0.2 0.3 1 2 3\n" * 5,
    "parameters": "# 3dAllineate parameters:\n#x-shift[$] y-shift\n1 2 3 4 5 6 7 8 9 10 11 12\n",
    "eleven": "1 0 0 0 0 1 0 0 0 0 1\n",
    "two rows of four": "1 0 0 0\n0 1 0 0\n",
    "five rows of four": "1 0 0 0\n" * 5,
    "another last row": "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 1 1\n",
    "NaN": "1 0 0 0 0 nan 0 0 0 0 1 0\n",
    "singular": "1 0 0 0 0 0 0 0 0 0 1 0\n",
    "words": "1 0 0 0 0 1 0 0 0 0 one 0\n",
    "nothing": "# 3dvolreg matrices\n",
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_matrix_is_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.1D"
    path.write_text(BAD[case])
    with pytest.raises(ReadError) as caught:
        read_transform(path, format="afni")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_there_is_no_2d_and_no_projection(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="3-D"):
        write_transform(linear(ndim=2), tmp_path / "a.1D")
    with pytest.raises(WriteError, match="3-D"):
        write_transform(linear(), tmp_path / "a.1D", fixed=Grid.from_spacing((4, 4)))
    with pytest.raises(WriteError, match="projective"):
        write_transform(linear(name="projective"), tmp_path / "a.1D")
    assert list(tmp_path.iterdir()) == []


def test_damage_is_an_error_or_still_a_matrix(tmp_path: Path) -> None:
    write_transform(linear(), tmp_path / "good.1D")
    survivors = read_damaged(tmp_path / "bad.1D", (tmp_path / "good.1D").read_bytes())
    assert all(isinstance(read, Linear) for read in survivors)
    assert 0 < len(survivors) < 250
