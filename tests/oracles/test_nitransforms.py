"""Transforms as nitransforms has them: the examples in its wheel read by both, and what we write read by it.

Its examples were made by FreeSurfer, FSL's and AFNI's programs; they are read where they are installed.
"""

import shutil
import tempfile
from pathlib import Path

import nibabel as nib
import nitransforms
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nitransforms.io import afni, fsl, itk, lta
from nitransforms.linear import Affine
from nitransforms.nonlinear import DenseFieldTransform
from strategies import GridNumbers, grids, linears, points

from inforeg.io import read_transform, write_transform
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

TOLERANCE_MM = 1e-4
DATA = Path(nitransforms.__file__).parent / "tests" / "data"

ORIENTATIONS = ["RAS", "LAS", "LPS", "oblique"]
PAIRS = [
    "from-fsnative_to-bold_mode-image",
    "from-fsnative_to-scanner_mode-image",
    "from-scanner_to-bold_mode-image",
    "from-scanner_to-fsnative_mode-image",
]


def image(grid: Grid) -> nib.Nifti1Image:
    return nib.Nifti1Image(np.zeros(grid.shape, np.uint8), grid.voxel_to_world.numpy())


def geometry(path: Path, which: str) -> Grid:
    """The grid of the source or destination of an LTA, as nitransforms reads it."""
    volume = lta.FSLinearTransformArray.from_filename(path)["xforms"][0][which]
    shape = tuple(int(n) for n in volume["volume"])
    return Grid(shape, torch.from_numpy(np.array(volume.as_affine(), np.float64)))


def mapped(matrix: np.ndarray) -> np.ndarray:
    """Where a homogeneous matrix takes the test points."""
    moved = points(3).numpy() @ matrix[:3, :3].T + matrix[:3, 3]
    return moved / matrix[3, 3]


def agree(path: Path, matrix: np.ndarray, **known: object) -> Linear:
    read = read_transform(path, **known)  # type: ignore[arg-type]
    assert isinstance(read, Linear)
    np.testing.assert_allclose(read(points(3)).numpy(), mapped(matrix), rtol=0, atol=TOLERANCE_MM)
    return read


EXAMPLES = sorted(path.relative_to(DATA).as_posix() for path in DATA.rglob("*.lta"))


def test_its_examples_are_there() -> None:
    assert len(EXAMPLES) >= 13


@pytest.mark.parametrize("name", EXAMPLES)
def test_freesurfers_files(name: str) -> None:
    theirs = lta.FSLinearTransformArray.from_filename(DATA / name)
    agree(DATA / name, np.squeeze(theirs.to_ras()))


@pytest.mark.parametrize("pair", PAIRS)
def test_three_programs_wrote_one_transform(tmp_path: Path, pair: str) -> None:
    """LTA, FSL and ITK, each by FreeSurfer's own converters; they agree to 40 nanometres."""
    base = DATA / "regressions" / pair
    moving, fixed = (geometry(base.with_suffix(".lta"), which) for which in ("src", "dst"))
    shutil.copy(base.with_suffix(".fsl"), tmp_path / "a.mat")
    theirs = fsl.FSLLinearTransform.from_filename(tmp_path / "a.mat").to_ras(image(moving), image(fixed))
    by_fsl = agree(tmp_path / "a.mat", theirs, fixed=fixed, moving=moving, format="fsl")
    by_itk = agree(
        base.with_suffix(".tfm"), itk.ITKLinearTransform.from_filename(base.with_suffix(".tfm")).to_ras()
    )
    by_lta = read_transform(base.with_suffix(".lta"))
    for other in (by_fsl, by_itk):
        torch.testing.assert_close(other(points(3)), by_lta(points(3)), rtol=0, atol=TOLERANCE_MM)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_one_turn_as_every_program_writes_it(tmp_path: Path, orientation: str) -> None:
    base = f"affine-{orientation}"
    grid = geometry(DATA / f"{base}.fs.lta", "src")
    for suffix, name in ((".fsl", "a.mat"), (".afni", "a.1D")):
        shutil.copy(DATA / f"{base}{suffix}", tmp_path / name)
    theirs = fsl.FSLLinearTransform.from_filename(tmp_path / "a.mat").to_ras(image(grid), image(grid))
    agree(tmp_path / "a.mat", theirs, fixed=grid, moving=grid, format="fsl")
    theirs = afni.AFNILinearTransform.from_filename(tmp_path / "a.1D").to_ras(image(grid), image(grid))
    agree(tmp_path / "a.1D", theirs, fixed=grid, moving=grid)
    agree(tmp_path / "a.1D", afni.AFNILinearTransform.from_filename(tmp_path / "a.1D").to_ras())
    tfm = DATA / f"{base}.itk.tfm"
    agree(tfm, itk.ITKLinearTransform.from_filename(tfm).to_ras())


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_series_are_refused_and_each_of_their_rows_is_read(tmp_path: Path, orientation: str) -> None:
    series = DATA / f"affine-{orientation}.afni-array"
    shutil.copy(series, tmp_path / "series.1D")
    with pytest.raises(Exception, match="series of 2"):
        read_transform(tmp_path / "series.1D")
    rows = [line for line in series.read_text().splitlines() if not line.startswith("#")]
    for row, theirs in zip(rows, afni.AFNILinearTransformArray.from_filename(series).to_ras(), strict=True):
        (tmp_path / "row.1D").write_text(row)
        agree(tmp_path / "row.1D", theirs)


def drawn_grid(data: st.DataObject) -> Grid:
    """A grid with spacings of two decimals (nitransforms rounds those of AFNI to four) and no shear."""
    numbers = data.draw(grids(3, shear=0.0, spacings_mm=(0.5, 5.0), reach_mm=100.0))
    return GridNumbers(*numbers)._replace(spacing_mm=[round(s, 2) for s in numbers.spacing_mm]).grid()


@pytest.mark.parametrize("ending", ["mat", "1D", "lta"])
@given(data=st.data())
@settings(max_examples=25)
def test_it_reads_what_we_wrote(ending: str, data: st.DataObject) -> None:
    fixed, moving = drawn_grid(data), drawn_grid(data)
    if ending == "1D":
        # Where two voxel axes are nearest to one axis of the world, it finds no cardinal grid.
        for grid in (fixed, moving):
            assume(len(set(grid.voxel_to_world[:3, :3].abs().argmax(dim=0).tolist())) == 3)
    transform = data.draw(linears(3, size=0.2)).transform()
    name = {"mat": "fsl", "1D": "afni", "lta": "freesurfer"}[ending]
    kind = {"mat": fsl.FSLLinearTransform, "1D": afni.AFNILinearTransform, "lta": lta.FSLinearTransformArray}[
        ending
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        write_transform(transform, path, format=name, fixed=fixed, moving=moving)
        theirs = np.squeeze(kind.from_filename(path).to_ras(moving=image(moving), reference=image(fixed)))
    expected = transform(points(3)).numpy()
    np.testing.assert_allclose(mapped(theirs), expected, rtol=0, atol=TOLERANCE_MM)


@pytest.mark.parametrize("ending", ["mat", "1D", "lta"])
@given(data=st.data())
@settings(max_examples=25)
def test_we_read_what_it_wrote(ending: str, data: st.DataObject) -> None:
    fixed, moving = drawn_grid(data), drawn_grid(data)
    if ending == "1D":
        for grid in (fixed, moving):
            assume(len(set(grid.voxel_to_world[:3, :3].abs().argmax(dim=0).tolist())) == 3)
    name = {"mat": "fsl", "1D": "afni", "lta": "freesurfer"}[ending]
    kind = {"mat": fsl.FSLLinearTransform, "1D": afni.AFNILinearTransform, "lta": lta.FSLinearTransform}[
        ending
    ]
    matrix = data.draw(linears(3, size=0.2)).transform().matrix.numpy()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        kind.from_ras(matrix, moving=image(moving), reference=image(fixed)).to_filename(path)
        kind = lta.FSLinearTransformArray if ending == "lta" else kind
        theirs = np.squeeze(kind.from_filename(path).to_ras(moving=image(moving), reference=image(fixed)))
        read = read_transform(path, format=name, fixed=fixed, moving=moving)
    np.testing.assert_allclose(read(points(3)).numpy(), mapped(theirs), rtol=0, atol=TOLERANCE_MM)


def test_a_warp_that_fsl_wrote() -> None:
    """nitransforms takes the field for one in the world but for the sign of x.

    That holds where both images lie along the axes of the world on one grid, as here.
    """
    path = DATA / "ds-005_sub-01_from-OASIS_to-T1_warp_fsl.nii.gz"
    stored = nib.load(path)
    grid = Grid(stored.shape[:3], torch.from_numpy(stored.affine))
    theirs = DenseFieldTransform(fsl.FSLDisplacementsField.from_filename(path))
    read = read_transform(path, format="fsl", fixed=grid, moving=grid)
    assert isinstance(read, Displacement)
    assert read.vectors.dtype == torch.float32
    voxels = np.random.default_rng(0).integers(0, grid.shape, (2000, 3))
    positions = voxels @ stored.affine[:3, :3].T + stored.affine[:3, 3]
    np.testing.assert_allclose(
        read(torch.from_numpy(positions)).numpy(), theirs.map(positions), rtol=0, atol=TOLERANCE_MM
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_warps_both_ways(tmp_path: Path, sign: int) -> None:
    """Where the second and third axes grow to the front and up; elsewhere it does not follow FSL."""
    matrix = np.diag([2.0 * sign, 3.0, 2.5, 1.0])
    matrix[:3, 3] = 20, -30, 10
    grid = Grid((7, 8, 9), torch.from_numpy(matrix))
    vectors = torch.randn(3, *grid.shape, generator=torch.Generator().manual_seed(0)) * 2
    ours = Displacement(vectors, grid)
    positions = grid.points_mm()
    write_transform(ours, tmp_path / "a.nii.gz", format="fsl", fixed=grid, moving=grid)
    theirs = DenseFieldTransform(fsl.FSLDisplacementsField.from_filename(tmp_path / "a.nii.gz"))
    np.testing.assert_allclose(
        theirs.map(positions.numpy()), ours(positions).numpy(), rtol=0, atol=TOLERANCE_MM
    )
    field = np.moveaxis(vectors.numpy(), 0, -1)
    DenseFieldTransform(field, reference=image(grid)).to_filename(tmp_path / "b.nii.gz", fmt="fsl")
    read = read_transform(tmp_path / "b.nii.gz", format="fsl", fixed=grid, moving=grid)
    torch.testing.assert_close(read(positions), ours(positions), rtol=0, atol=TOLERANCE_MM)


def test_points_of_its_affines_are_ours() -> None:
    """Its matrices are RAS+ mm, fixed to moving, as ours are: no other convention stands between the two."""
    transform = Linear.translation(torch.tensor([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(Affine(transform.matrix.numpy()).map(np.zeros((1, 3))), [[1.0, 2.0, 3.0]])
