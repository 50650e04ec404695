import tempfile
from functools import partial
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import read_damaged
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids, linears, points

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.io.transform_formats import MissingImages
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, group

# ANTs' files have the same ending and are what is written if nothing is said.
write = partial(write_transform, format="fsl")

FIXED = Grid.from_spacing((20, 24, 28), (1.0, 2.0, 3.0))
MOVING = Grid.from_spacing((30, 20, 10), (1.5, 1.0, 2.5))


def linear(seed: int = 0, ndim: int = 3, name: str = "affine") -> Linear:
    which = group(name, ndim)
    parameters = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(0.3 * parameters, torch.arange(ndim, dtype=torch.float64) * 7, 80.0)


def by_hand(grid: Grid, voxel: np.ndarray) -> np.ndarray:
    """FSL's millimetres of voxel indices: scaled, the first one counted from its end where x grows with it."""
    counted = voxel.copy()
    if np.linalg.det(grid.voxel_to_world.numpy()) > 0:
        counted[:, 0] = grid.shape[0] - 1 - counted[:, 0]
    return counted * grid.spacing_mm.numpy()


@given(data=st.data())
@settings(max_examples=30)
def test_it_takes_moving_to_fixed_in_voxel_sizes(data: st.DataObject) -> None:
    fixed, moving = (data.draw(grids(3, reach_mm=200.0)).grid() for _ in "fm")
    transform = data.draw(linears(3)).transform()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mat"
        write(transform, path, fixed=fixed, moving=moving)
        stored = np.loadtxt(path)
        read = read_transform(path, format="fsl", fixed=fixed, moving=moving)
    voxels = points(3, 20, 10.0).numpy()
    there = transform(fixed.to_world(torch.from_numpy(voxels)))
    found = by_hand(moving, moving.to_voxel(there).numpy())
    scale = 1 + np.abs(found).max()
    np.testing.assert_allclose(
        found @ stored[:3, :3].T + stored[:3, 3], by_hand(fixed, voxels), rtol=0, atol=1e-10 * scale
    )
    np.testing.assert_allclose(
        read(points(3)).numpy(), transform(points(3)).numpy(), rtol=0, atol=1e-9 * scale
    )


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_identity_of_fsl_lays_corner_on_corner(
    tmp_path: Path, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    """In every axis orientation: FSL's identity takes the first voxel to the first, counted as FSL counts."""
    matrix = np.zeros((4, 4))
    for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
        matrix[world, axis] = sign * (1.0, 2.0, 3.0)[axis]
    matrix[:, 3] = 5, -7, 11, 1
    grid = Grid((4, 5, 6), torch.from_numpy(matrix))
    (tmp_path / "a.mat").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n")
    read = read_transform(tmp_path / "a.mat", format="fsl", fixed=FIXED, moving=grid)
    radiological = np.linalg.det(matrix) < 0
    start = FIXED.to_world(torch.tensor([[19.0, 0.0, 0.0]], dtype=torch.float64))
    expected = grid.to_world(torch.tensor([[0.0 if radiological else 3.0, 0.0, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(read(start), expected, rtol=0, atol=1e-12)
    # One millimetre on along FSL's x is one voxel of 1 mm in both.
    moved = read(start + torch.tensor([[-1.0, 0.0, 0.0]], dtype=torch.float64)) - expected
    torch.testing.assert_close(
        moved[0], grid.voxel_to_world[:3, 0] * (1 if radiological else -1), rtol=0, atol=1e-12
    )


def test_both_images_are_needed_and_the_way_out_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    with pytest.raises(MissingImages, match="--fixed and --moving"):
        write(linear(), path, fixed=FIXED)
    assert not path.exists()
    write(linear(), path, fixed=FIXED, moving=MOVING)
    for known in ({}, {"fixed": FIXED}, {"moving": MOVING}):
        with pytest.raises(MissingImages, match="--fixed and --moving"):
            read_transform(path, format="fsl", **known)
    for known in ({}, {"fixed": FIXED, "moving": MOVING}):
        with pytest.raises(UsageError, match=r"fsl and plain.*--from"):
            read_transform(path, **known)


def test_the_last_entry_of_programs_that_count_in_float32(tmp_path: Path) -> None:
    write(linear(), tmp_path / "a.mat", fixed=FIXED, moving=MOVING)
    rows = (tmp_path / "a.mat").read_text().splitlines()
    (tmp_path / "b.mat").write_text("\n".join([*rows[:3], "0 0 0 1.00000012"]))
    read = read_transform(tmp_path / "b.mat", format="fsl", fixed=FIXED, moving=MOVING)
    torch.testing.assert_close(read(points(3)), linear()(points(3)), rtol=0, atol=1e-4)


BAD = {
    "three rows": "1 0 0 0\n0 1 0 0\n0 0 1 0\n",
    "five rows": "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n0 0 0 1\n",
    "ragged": "1 0 0 0\n0 1 0\n0 0 1 0\n0 0 0 1\n",
    "a word": "1 0 0 0\n0 one 0 0\n0 0 1 0\n0 0 0 1\n",
    "NaN": "1 0 0 0\n0 nan 0 0\n0 0 1 0\n0 0 0 1\n",
    "infinite": "1 0 0 0\n0 1e999 0 0\n0 0 1 0\n0 0 0 1\n",
    "singular": "1 0 0 0\n0 0 0 0\n0 0 1 0\n0 0 0 1\n",
    "projective": "1 0 0 0\n0 1 0 0\n0 0 1 0\n0.01 0 0 1\n",
    "last entry zero": "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 0\n",
    "long": "1 0 0 0\n" * 40_000,
    "binary": bytes(range(256)).decode("latin-1") * 3,
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_matrix_is_one_line(tmp_path: Path, case: str) -> None:
    path = tmp_path / "a.mat"
    path.write_text(BAD[case], encoding="latin-1")
    with pytest.raises(ReadError) as caught:
        read_transform(path, format="fsl", fixed=FIXED, moving=MOVING)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fsl_has_no_2d_no_warps_in_mat_and_no_projections(tmp_path: Path) -> None:
    flat = Grid.from_spacing((20, 24))
    with pytest.raises(WriteError, match="3-D images"):
        write(linear(ndim=2), tmp_path / "a.mat", fixed=flat, moving=flat)
    with pytest.raises(WriteError, match="projective"):
        write(linear(name="projective"), tmp_path / "a.mat", fixed=FIXED, moving=MOVING)
    field = Displacement.of(linear(), Grid.from_spacing((4, 4, 4), 20.0))
    with pytest.raises(WriteError, match=r"Displacement.*\.h5"):
        write(Composite((field, linear())), tmp_path / "a.mat", fixed=FIXED, moving=MOVING)
    assert list(tmp_path.iterdir()) == []
    write(linear(), tmp_path / "a.mat", fixed=FIXED, moving=MOVING)
    with pytest.raises(ReadError, match="no 2-D"):
        read_transform(tmp_path / "a.mat", format="fsl", fixed=flat, moving=flat)


def test_chains_of_matrices_become_one_and_bytes_are_the_same(tmp_path: Path) -> None:
    chain = Composite((linear(1), linear(2)))
    for name in "ab":
        write(chain, tmp_path / f"{name}.mat", fixed=FIXED, moving=MOVING)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    read = read_transform(tmp_path / "a.mat", format="fsl", fixed=FIXED, moving=MOVING)
    torch.testing.assert_close(read(points(3)), chain(points(3)), rtol=0, atol=1e-9)


def test_damage_is_an_error_or_still_a_matrix(tmp_path: Path) -> None:
    write(linear(), tmp_path / "good.mat", fixed=FIXED, moving=MOVING)
    content = (tmp_path / "good.mat").read_bytes()
    survivors = read_damaged(tmp_path / "bad.mat", content, format="fsl", fixed=FIXED, moving=MOVING)
    assert all(isinstance(read, Linear) for read in survivors)
    assert 0 < len(survivors) < 200
