import warnings
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import torch
from damage import read_damaged
from nitransforms.io import x5
from nitransforms.linear import Affine
from nitransforms.manip import TransformChain
from nitransforms.nonlinear import BSplineFieldTransform, DenseFieldTransform
from strategies import points

from inforeg.errors import ReadError, WriteError
from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear

PLACE = np.array([[0, -2.0, 0, 10], [1.5, 0, 0.3, -5], [0, 0.2, 2.5, 7], [0, 0, 0, 1]])
GRID = Grid((6, 7, 8), torch.from_numpy(PLACE))
RNG = np.random.default_rng(0)
MATRIX = np.eye(4)
MATRIX[:3] += 0.1 * RNG.normal(size=(3, 4))
VECTORS = RNG.normal(size=(6, 7, 8, 3))
# What both agree on everywhere; off the voxels of a field nitransforms takes splines, and we straight lines.
VOXELS = GRID.points_mm()
# nitransforms counts points in float32.
TOLERANCE_MM = 1e-5


@pytest.fixture(autouse=True)
def their_warnings_are_theirs() -> None:
    warnings.filterwarnings("ignore", "Reference space not set")


def their_affine(with_grid: bool = True) -> Affine:
    reference = nib.Nifti1Image(np.zeros((6, 7, 8), "f4"), PLACE)
    return Affine(MATRIX, reference=reference if with_grid else None)


def their_field(dtype: str = "f4", positions: bool = False) -> DenseFieldTransform:
    values = VECTORS + VOXELS.numpy().reshape(6, 7, 8, 3) if positions else VECTORS
    return DenseFieldTransform(nib.Nifti1Image(values.astype(dtype), PLACE), is_deltas=not positions)


@pytest.mark.parametrize("with_grid", [True, False])
@pytest.mark.parametrize("suffix", [".x5", ".h5"])
def test_their_matrices(tmp_path: Path, with_grid: bool, suffix: str) -> None:
    theirs = their_affine(with_grid)
    theirs.to_filename(tmp_path / f"a{suffix}", x5_inverse=True)
    read = read_transform(tmp_path / f"a{suffix}")
    at = points(3).float().double()
    np.testing.assert_allclose(read(at).numpy(), theirs.map(at.numpy()), rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("positions", [False, True])
def test_their_fields(tmp_path: Path, dtype: str, positions: bool) -> None:
    theirs = their_field(dtype, positions)
    x5.to_filename(tmp_path / "a.x5", [theirs.to_x5()])
    read = read_transform(tmp_path / "a.x5")
    np.testing.assert_allclose(
        read(VOXELS).numpy(), theirs.map(VOXELS.numpy()), rtol=0, atol=1e-9 if dtype == "f8" else TOLERANCE_MM
    )
    if not positions:
        assert read.vectors.dtype == (torch.float32 if dtype == "f4" else torch.float64)


def test_their_splines_up_to_where_they_end(tmp_path: Path) -> None:
    reference = nib.Nifti1Image(np.zeros((6, 7, 8), "f4"), PLACE)
    theirs = BSplineFieldTransform(nib.Nifti1Image(VECTORS, PLACE), reference=reference)
    x5.to_filename(tmp_path / "a.x5", [theirs.to_x5()])
    read = read_transform(tmp_path / "a.x5")
    voxel = torch.rand(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at = GRID.to_world(voxel * torch.tensor([11.0, 12.0, 13.0]) - 3)
    np.testing.assert_allclose(read(at).numpy(), theirs.map(at.numpy()), rtol=0, atol=TOLERANCE_MM)


def before(matrix: np.ndarray) -> torch.Tensor:
    """The points that a matrix takes to the voxels."""
    return Linear(torch.from_numpy(matrix)).inverse()(VOXELS)


def test_their_chains_go_from_the_first_to_the_last(tmp_path: Path) -> None:
    TransformChain([their_affine(), their_field("f8")]).to_filename(tmp_path / "a.x5")
    read = read_transform(tmp_path / "a.x5")
    assert [type(part) for part in read.parts] == [Displacement, Linear]
    at = before(MATRIX)
    theirs = TransformChain.from_filename(tmp_path / "a.x5")
    np.testing.assert_allclose(read(at).numpy(), theirs.map(at.numpy()), rtol=0, atol=TOLERANCE_MM)


def test_what_is_twice_in_a_chain(tmp_path: Path) -> None:
    TransformChain([their_affine(), their_affine()]).to_filename(tmp_path / "a.x5")
    np.testing.assert_allclose(read_transform(tmp_path / "a.x5").matrix.numpy(), MATRIX @ MATRIX, atol=1e-12)


FIELD = Displacement(torch.from_numpy(np.moveaxis(VECTORS, -1, 0).copy()), GRID)
LINEAR = Linear(torch.from_numpy(MATRIX))


@pytest.mark.parametrize("fixed", [GRID, None])
def test_they_read_our_matrices(tmp_path: Path, fixed: Grid | None) -> None:
    write_transform(LINEAR, tmp_path / "a.x5", fixed=fixed)
    theirs = Affine.from_filename(tmp_path / "a.x5", fmt="X5")
    at = points(3).float().double()
    np.testing.assert_allclose(theirs.map(at.numpy()), LINEAR(at).numpy(), rtol=0, atol=1e-9)
    if fixed is not None:
        assert tuple(theirs.reference.shape) == GRID.shape
        np.testing.assert_array_equal(theirs.reference.affine, PLACE)
    assert torch.equal(read_transform(tmp_path / "a.x5").matrix, LINEAR.matrix)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_they_read_our_fields(tmp_path: Path, dtype: torch.dtype) -> None:
    ours = Displacement(FIELD.vectors.to(dtype), GRID)
    for name in "ab":
        write_transform(ours, tmp_path / f"{name}.x5")
    assert (tmp_path / "a.x5").read_bytes() == (tmp_path / "b.x5").read_bytes()
    theirs = DenseFieldTransform.from_filename(tmp_path / "a.x5")
    np.testing.assert_allclose(theirs.map(VOXELS.numpy()), ours(VOXELS).numpy(), rtol=0, atol=1e-9)
    read = read_transform(tmp_path / "a.x5")
    assert torch.equal(read.vectors, ours.vectors) and read.vectors.dtype == dtype
    assert torch.equal(read.grid.voxel_to_world, GRID.voxel_to_world)


def test_they_read_our_chains(tmp_path: Path) -> None:
    for name, parts, at in (("a", (LINEAR, FIELD), VOXELS), ("b", (FIELD, LINEAR), before(MATRIX))):
        write_transform(Composite(parts), tmp_path / f"{name}.x5")
        theirs = TransformChain.from_filename(tmp_path / f"{name}.x5")
        expected = Composite(parts)(at).numpy()
        np.testing.assert_allclose(theirs.map(at.numpy()), expected, rtol=0, atol=TOLERANCE_MM)
        read = read_transform(tmp_path / f"{name}.x5")
        np.testing.assert_array_equal(read(at).numpy(), expected)


def test_what_it_cannot_hold(tmp_path: Path) -> None:
    projective = torch.eye(4, dtype=torch.float64)
    projective[3, 0] = 0.001
    cases = (Linear(projective), Linear.identity(2), BSpline(torch.zeros(3, 6, 7, 8), GRID))
    for transform in cases:
        with pytest.raises(WriteError):
            write_transform(transform, tmp_path / "a.x5")
    assert list(tmp_path.iterdir()) == []


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.x5"

    def refuse(said: str, chain: bool = False, **changes: object) -> None:
        path.unlink(missing_ok=True)
        if chain:
            TransformChain([their_affine(), their_field()]).to_filename(path)
        else:
            x5.to_filename(path, [their_field().to_x5()])
        with h5py.File(path, "r+") as file:
            for name, value in changes.items():
                where, _, key = name.rpartition("__")
                at = file[where.replace("__", "/") or "/"]
                if key in at.attrs:
                    at.attrs[key] = value
                else:
                    del at[key]
                    if value is not None:
                        at[key] = value
        with pytest.raises(ReadError, match=said) as caught:
            read_transform(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)

    refuse("without Format X5", Format="X6")
    refuse("no /TransformGroup", TransformGroup=None)
    refuse("a series", TransformGroup__0__ArrayLength=4)
    refuse("linear or nonlinear", TransformGroup__0__Type="quadratic")
    refuse("linear or nonlinear", TransformGroup__0__Representation="velocities")
    refuse("3x3 or 4x4", TransformGroup__0__Type="linear")
    refuse("no /TransformGroup/0/Domain", TransformGroup__0__Domain=None)
    refuse("as its domain says", TransformGroup__0__Domain__Size=np.array([6, 7, 9]))
    refuse("as its domain says", TransformGroup__0__Domain__Size=np.array([np.nan, 7, 9]))
    refuse("matrix", TransformGroup__0__Domain__Mapping=np.eye(3))
    refuse("singular", TransformGroup__0__Domain__Mapping=np.zeros((4, 4)))
    refuse("NaN", TransformGroup__0__Transform=np.full((6, 7, 8, 3), np.nan))
    refuse("expected numbers", TransformGroup__0__Transform="words")
    refuse("no chain of them", True, TransformChain=None)
    refuse("no /TransformGroup/7", True, TransformChain__0="0/7")
    refuse("chain of up to", True, TransformChain__0="/".join(["0"] * 2000))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("ours", [True, False])
def test_damage_gives_an_error_or_a_transform(tmp_path: Path, ours: bool) -> None:
    path = tmp_path / "a.x5"
    if ours:
        write_transform(Composite((LINEAR, FIELD)), path)
    else:
        TransformChain([their_affine(), their_field()]).to_filename(path)
    for transform in read_damaged(path, path.read_bytes(), 150):
        assert transform(points(3)).shape == points(3).shape
