import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import GridNumbers, grids, linears

from inforeg.errors import UsageError
from inforeg.evaluate import jacobian_determinants, jacobian_summary, slabs, smoothness
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear


def smooth_field(grid: Grid, size_mm: float, seed: int = 0) -> Displacement:
    generator = torch.Generator().manual_seed(seed)
    d = grid.ndim
    points = grid.points_mm()
    waves = torch.randn(4, d, d, generator=generator, dtype=torch.float64) / 25
    phases = torch.randn(4, d, generator=generator, dtype=torch.float64)
    vectors = sum(torch.sin(points @ wave + phase) for wave, phase in zip(waves, phases, strict=True))
    return Displacement((size_mm * vectors).T.reshape(d, *grid.shape).contiguous(), grid)


@pytest.mark.parametrize("shape", [(21, 17), (13, 15, 11)])
def test_a_field_is_measured_as_itk_does(shape: tuple[int, ...]) -> None:
    """Away from the faces, where ITK repeats the edge, and along the axes: ITK leaves the direction out."""
    d = len(shape)
    spacing = [1.5, 0.8, 2.0][:d]
    signs = torch.tensor([-1.0, -1.0, 1.0][:d], dtype=torch.float64)
    steps = [step * float(sign) for step, sign in zip(spacing, signs, strict=True)]
    grid = Grid(shape, torch.diag(torch.tensor([*steps, 1.0], dtype=torch.float64)))
    field = smooth_field(grid, 20.0)
    theirs_field = (field.vectors * signs.reshape(d, *[1] * d)).permute(*range(d, -1, -1)).numpy()
    image = sitk.GetImageFromArray(np.ascontiguousarray(theirs_field), isVector=True)
    image.SetSpacing(spacing)
    theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image)).T
    ours = jacobian_determinants(field, grid).numpy()
    inner = (slice(1, -1),) * d
    assert ours.min() < 0 < 1.5 < ours.max()
    np.testing.assert_allclose(ours[inner], theirs[inner], rtol=0, atol=1e-12)


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data())
@settings(max_examples=25)
def test_linear_ones_are_exact_everywhere(ndim: int, data: st.DataObject) -> None:
    """As matrices, and as fields that differences must not blur: on oblique, sheared, flipped grids."""
    drawn: GridNumbers = data.draw(grids(ndim, sizes=(2, 6), reach_mm=50.0))
    grid = drawn.grid()
    matrix = data.draw(linears(ndim)).transform()
    expected = torch.full(
        grid.shape, float(torch.linalg.det(matrix.matrix[:ndim, :ndim])), dtype=torch.float64
    )
    torch.testing.assert_close(jacobian_determinants(matrix, grid), expected, rtol=1e-12, atol=0)
    as_field = Displacement.of(matrix, grid, torch.float64)
    torch.testing.assert_close(jacobian_determinants(as_field, grid), expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("ndim", [2, 3])
def test_projective_ones_follow_their_own_derivative(ndim: int) -> None:
    grid = Grid.from_spacing((5, 6, 7)[:ndim], 3.0)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[ndim, :ndim] = torch.tensor([0.002, -0.001, 0.003][:ndim])
    matrix[:ndim, ndim] = 4.0
    projective = Linear(matrix)
    # By differences of its own, a hundredth of a millimetre apart.
    steps = 0.005 * torch.eye(ndim, dtype=torch.float64)
    points = grid.points_mm()
    columns = [(projective(points + s) - projective(points - s)) / 0.01 for s in steps]
    expected = torch.linalg.det(torch.stack(columns, dim=-1)).reshape(grid.shape)
    found = jacobian_determinants(projective, grid)
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=0)
    chain = Composite((projective, Linear.identity(ndim)))
    assert torch.equal(jacobian_determinants(chain, grid), found)


def test_a_spline_is_met_as_the_grid_gets_finer() -> None:
    """Central differences err with the square of the spacing, one-sided ones with the spacing."""
    control = Grid.from_spacing((8, 8, 8), 10.0)
    coefficients = 2 * torch.randn(
        3, 8, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    spline = BSpline(coefficients, control)
    errors = []
    for spacing in (2.0, 1.0):
        grid = Grid.from_spacing([round(20 / spacing) + 1] * 3, spacing)
        exact = torch.linalg.det(spline.jacobian(grid.points_mm())).reshape(grid.shape)
        error = (jacobian_determinants(spline, grid) - exact).abs()
        errors.append((float(error[1:-1, 1:-1, 1:-1].max()), float(error[0].max())))
    (coarse, coarse_face), (fine, fine_face) = errors
    assert 3.5 < coarse / fine < 4.5
    assert 1.5 < coarse_face / fine_face < 2.5
    assert fine < 0.01


def test_chains_multiply() -> None:
    grid = Grid.from_spacing((9, 9, 9), 2.0)
    field = smooth_field(grid, 2.0)
    double = Linear(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    alone = jacobian_determinants(field, grid)
    torch.testing.assert_close(jacobian_determinants(double @ field, grid), 8 * alone, rtol=1e-9, atol=1e-9)


def test_what_folds_is_counted_as_it_is() -> None:
    """x goes to |x|: mirrored on one side, as it was on the other, flat between."""
    grid = Grid.from_spacing((11, 4), (1.0, 1.0))
    x = grid.points_mm().T[0].reshape(grid.shape)
    vectors = torch.stack((x.abs() - x, torch.zeros_like(x)))
    found = jacobian_determinants(Displacement(vectors, grid), grid)
    assert found[:5].tolist() == [[-1.0] * 4] * 5
    assert found[5].tolist() == [0.0] * 4
    assert found[6:].tolist() == [[1.0] * 4] * 5
    summary = jacobian_summary(found)
    assert (summary.folds, summary.voxels) == (24, 44)
    assert summary.share_folded == pytest.approx(24 / 44)
    assert (summary.smallest, summary.largest, summary.sd_log) == (-1.0, 1.0, 0.0)


def test_slabs_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid.from_spacing((7, 6, 5), (1.0, 2.0, 3.0))
    field = smooth_field(grid, 2.0)
    projective = torch.eye(4, dtype=torch.float64)
    projective[3, 0] = 0.004
    whole = [jacobian_determinants(t, grid) for t in (field, Linear(projective))]
    for size in (1, 60, 61, 90):
        monkeypatch.setattr(slabs, "SLAB_VOXELS", size)
        for transform, expected in zip((field, Linear(projective)), whole, strict=True):
            torch.testing.assert_close(jacobian_determinants(transform, grid), expected, rtol=1e-13, atol=0)


def test_an_axis_of_one_voxel() -> None:
    grid = Grid.from_spacing((5, 6, 1), (1.0, 1.0, 4.0))
    control = Grid.from_spacing((6, 6, 6), 6.0)
    spline = BSpline(
        torch.randn(3, 6, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64), control
    )
    exact = torch.linalg.det(spline.jacobian(grid.points_mm())).reshape(grid.shape)
    found = jacobian_determinants(spline, grid)
    torch.testing.assert_close(found[1:-1, 1:-1], exact[1:-1, 1:-1], rtol=0, atol=0.02)
    # A field of one voxel does not vary across.
    flat = smooth_field(grid, 1.0)
    assert bool(torch.isfinite(jacobian_determinants(flat, grid)).all())


def test_the_figures() -> None:
    values = torch.tensor([[0.5, 1.0, 2.0], [-3.0, 0.0, float("nan")]], dtype=torch.float64)
    where = torch.tensor([[True, True, True], [False, False, False]])
    inside = jacobian_summary(values, where)
    assert (inside.voxels, inside.folds, inside.share_folded) == (3, 0, 0.0)
    assert (inside.smallest, inside.largest) == (0.5, 2.0)
    assert inside.mean == pytest.approx(3.5 / 3)
    assert inside.sd_log == pytest.approx(np.std(np.log([0.5, 1.0, 2.0])))
    assert jacobian_summary(values).folds == 3
    assert math.isnan(jacobian_summary(values[1]).sd_log)
    with pytest.raises(UsageError, match="is the mask empty"):
        jacobian_summary(values, ~where & where)


def test_smoothness_is_the_summary_of_the_determinants() -> None:
    grid = Grid.from_spacing((7, 6, 5), (1.0, 2.0, 3.0))
    where = torch.rand(grid.shape, generator=torch.Generator().manual_seed(0)) > 0.5
    mirror = torch.diag(torch.tensor([-2.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    projective = torch.eye(4, dtype=torch.float64)
    projective[3, 0] = 0.004
    for transform in (smooth_field(grid, 20.0), Linear(mirror), Linear(projective)):
        determinants = jacobian_determinants(transform, grid)
        for mask in (None, where):
            # In words: there NaN, where everything is folded, is NaN.
            assert str(smoothness(transform, grid, mask)) == str(jacobian_summary(determinants, mask))
        with pytest.raises(UsageError, match="is the mask empty"):
            smoothness(transform, grid, where & ~where)


def test_another_dimension_is_refused() -> None:
    with pytest.raises(UsageError, match="expected a 2-D transform for this grid, got a 3-D one"):
        jacobian_determinants(Linear.identity(3), Grid.from_spacing((4, 4)))
