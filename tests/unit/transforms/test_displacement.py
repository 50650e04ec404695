import numpy as np
import pytest
import SimpleITK as sitk
import torch
from strategies import GridNumbers, points

from inforeg.errors import NotInvertible, UsageError
from inforeg.image import Image, resample
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, displacement

GRIDS = {
    2: GridNumbers([9, 11], [0.4], [3.0, 2.0], [1, -1], [0.0], [-12.0, 7.0]).grid(),
    3: GridNumbers(
        [7, 9, 8], [0.4, -0.3, 0.2], [3.0, 2.0, 4.0], [1, -1, 1], [0.0, 0.0], [-12.0, 7.0, 3.0]
    ).grid(),
}


def field(ndim: int, size_mm: float = 2.0, dtype: torch.dtype = torch.float64, seed: int = 0) -> Displacement:
    grid = GRIDS[ndim]
    generator = torch.Generator().manual_seed(seed)
    vectors = size_mm * torch.randn(ndim, *grid.shape, generator=generator, dtype=torch.float64)
    return Displacement(vectors.to(dtype), grid)


def around(grid: Grid, count: int = 500) -> torch.Tensor:
    """Points within and around a grid."""
    generator = torch.Generator().manual_seed(1)
    share = torch.rand(count, grid.ndim, generator=generator, dtype=torch.float64) * 1.4 - 0.2
    return grid.to_world(share * torch.tensor(grid.shape, dtype=torch.float64) - 0.5)


def lps(array: np.ndarray) -> np.ndarray:
    flipped = np.array(array, dtype=float)
    flipped[..., :2] *= -1
    return flipped


def in_itk(transform: Displacement | BSpline, values: torch.Tensor) -> sitk.Transform:
    """The same transform, built of ITK's own parts."""
    d, grid = transform.ndim, transform.grid
    matrix = grid.voxel_to_world.numpy().copy()
    matrix[:2] *= -1
    spacing = grid.spacing_mm.tolist()
    direction = (matrix[:d, :d] / np.array(spacing)).ravel().tolist()
    array = lps(np.moveaxis(values.double().numpy(), 0, -1))
    if isinstance(transform, BSpline):
        result = sitk.BSplineTransform(d, 3)
        result.SetFixedParameters([*map(float, grid.shape), *matrix[:d, d].tolist(), *spacing, *direction])
        result.SetParameters(np.concatenate([array[..., a].ravel(order="F") for a in range(d)]).tolist())
        return result
    image = sitk.GetImageFromArray(
        np.ascontiguousarray(array.transpose(*reversed(range(d)), d)), isVector=True
    )
    image.SetSpacing(spacing)
    image.SetOrigin(matrix[:d, d].tolist())
    image.SetDirection(direction)
    return sitk.DisplacementFieldTransform(sitk.Cast(image, sitk.sitkVectorFloat64))


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_move_as_in_itk_within_the_grid_and_beyond_it(ndim: int) -> None:
    transform = field(ndim)
    theirs = in_itk(transform, transform.vectors)
    where = around(transform.grid)
    expected = lps(np.array([theirs.TransformPoint(p.tolist()) for p in lps(where.numpy())]))
    assert 0.2 < float((transform(where) != where).any(dim=1).double().mean()) < 0.9
    np.testing.assert_allclose(transform(where).numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_spline_moves_points_as_in_itk_and_nothing_beyond_its_region(ndim: int) -> None:
    grid = GRIDS[ndim]
    coefficients = torch.randn(
        ndim, *grid.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    transform = BSpline(coefficients, grid)
    theirs = in_itk(transform, coefficients)
    where = around(grid)
    expected = lps(np.array([theirs.TransformPoint(p.tolist()) for p in lps(where.numpy())]))
    moved = (transform(where) != where).any(dim=1)
    assert 0.05 < float(moved.double().mean()) < 0.9
    np.testing.assert_allclose(transform(where).numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
def test_derivatives_are_those_of_finite_differences(ndim: int) -> None:
    grid = GRIDS[ndim]
    coefficients = torch.randn(
        ndim, *grid.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    projective = torch.eye(ndim + 1, dtype=torch.float64)
    projective[0, 1], projective[-1, 0] = 0.2, 1e-3
    affine = Linear(projective)
    chain = Composite((affine, field(ndim), BSpline(coefficients, grid)))
    where = around(grid, 200)
    for transform in (field(ndim), BSpline(coefficients, grid), affine, chain):
        found = transform.jacobian(where)
        step = 1e-6
        for axis in range(ndim):
            shift = torch.zeros(ndim, dtype=torch.float64)
            shift[axis] = step
            expected = (transform(where + shift) - transform(where - shift)) / (2 * step)
            wrong = (found[:, :, axis] - expected).abs().amax(dim=1) > 1e-6
            # A step may cross a face between voxels, where a piecewise linear field has no derivative.
            assert float(wrong.double().mean()) < 0.02


def test_a_field_of_any_transform_holds_it_at_the_voxel_centres() -> None:
    grid, other = GRIDS[3], field(3, seed=3)
    chain = Composite((Linear.translation(torch.tensor([5.0, -2.0, 1.0])), other))
    flat = Displacement.of(chain, grid, torch.float64)
    torch.testing.assert_close(flat(grid.points_mm()), chain(grid.points_mm()), rtol=0, atol=1e-9)


def test_a_field_of_float32_is_read_with_positions_of_float64() -> None:
    exact, rounded = field(3), field(3, dtype=torch.float32)
    where = around(exact.grid)
    difference = (exact(where) - rounded(where)).abs().max()
    assert 0 < float(difference) < 1e-6
    assert rounded(where).dtype == torch.float64
    assert rounded.vectors.dtype == torch.float32


def test_any_shape_of_points() -> None:
    transform = field(3)
    where = points(3).reshape(4, 10, 3)
    torch.testing.assert_close(transform(where).reshape(-1, 3), transform(where.reshape(-1, 3)))


@pytest.mark.parametrize("kind", [Displacement, BSpline])
def test_what_does_not_fit_is_refused(kind: type) -> None:
    with pytest.raises(UsageError, match=r"\(3, 7, 9, 8\)"):
        kind(torch.zeros(3, 7, 9, 9), GRIDS[3])
    broken = torch.zeros(3, *GRIDS[3].shape)
    broken[0, 0, 0, 0] = torch.nan
    with pytest.raises(UsageError, match="NaN"):
        kind(broken, GRIDS[3])
    with pytest.raises(NotInvertible, match="approximate_inverse"):
        kind(torch.zeros(3, *GRIDS[3].shape), GRIDS[3]).inverse()
    with pytest.raises(UsageError, match="at least 4"):
        BSpline(torch.zeros(2, 3, 9), Grid.from_spacing((3, 9)))


@pytest.mark.parametrize("ndim", [2, 3])
def test_on_its_own_grid_a_field_need_not_be_interpolated(ndim: int) -> None:
    first, second = field(ndim), field(ndim, seed=4)
    grid = first.grid
    moving = Image(torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(0)), grid)
    for transform in (first, Composite((second, first)), Composite((Linear.identity(ndim), first))):
        rows = slice(2, 5)
        known = transform.at_voxels(grid, rows)
        assert known is not None
        where = grid.points_mm().reshape(*grid.shape, ndim)[rows].reshape(-1, ndim)
        torch.testing.assert_close(known, transform(where), rtol=0, atol=1e-9)
        quick = resample(moving, grid, transform)
        slow = resample(moving, grid, lambda points, transform=transform: transform(points))
        torch.testing.assert_close(quick.data, slow.data, rtol=0, atol=1e-5)
    other = Grid(grid.shape, grid.voxel_to_world + torch.eye(ndim + 1) * 1e-3)
    assert first.at_voxels(other, slice(0, 1)) is None
    assert Composite((first, Linear.identity(ndim))).at_voxels(grid, slice(0, 1)) is None


def parallel(grid: Grid, scales: list[float], start: list[float], shape: tuple[int, ...]) -> Grid:
    """A grid whose axes run as another's, or against them, `scales` of its voxels apart, from its voxel `start` on."""
    d = grid.ndim
    steps = torch.eye(d + 1, dtype=torch.float64)
    steps[:d, :d] = torch.diag(torch.tensor(scales[:d], dtype=torch.float64))
    steps[:d, d] = torch.tensor(start[:d], dtype=torch.float64)
    return Grid(shape[:d], grid.voxel_to_world @ steps)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ndim", [2, 3])
def test_on_a_parallel_grid_axes_are_interpolated_one_by_one(ndim: int, dtype: torch.dtype) -> None:
    transform = field(ndim, dtype=dtype)
    others = [
        parallel(transform.grid, [0.4, 0.37, 0.6], [0.2, -0.1, 0.05], (16, 25, 11)),
        # Coarser and turned over, and beyond the faces on all sides.
        parallel(transform.grid, [-1.3, 1.7, -0.9], [9.1, -2.2, 8.9], (12, 9, 13)),
        # Voxel centres on the outer faces, and one slice.
        parallel(transform.grid, [0.5, 0.5, 0.5], [-0.5, -0.5, 3.25], (20, 30, 1)),
    ]
    for other in others:
        expected = transform(other.points_mm()).reshape(*other.shape, ndim)
        moved = (expected.reshape(-1, ndim) != other.points_mm()).any(dim=1).double().mean()
        assert float(moved) > 0.1
        for rows in (slice(0, other.shape[0]), slice(3, 7)):
            known = transform.at_voxels(other, rows)
            assert known is not None
            assert known.dtype == torch.float64
            torch.testing.assert_close(known, expected[rows].reshape(-1, ndim), rtol=0, atol=1e-5)
    flat = Displacement.of(transform, others[1], torch.float64)
    torch.testing.assert_close(
        flat(others[1].points_mm()), transform(others[1].points_mm()), rtol=0, atol=1e-5
    )


def test_grids_that_are_not_quite_parallel_are_told_apart() -> None:
    grid = Grid.from_spacing((40, 30, 20), 2.0)
    transform = Displacement(torch.ones(3, *grid.shape), grid)
    for slant, parallel_enough in ((1e-7, True), (1e-4, False)):
        matrix = torch.diag(torch.tensor([1.0, 1.0, 1.0, 1.0], dtype=torch.float64))
        matrix[0, 1] = slant
        other = Grid((80, 60, 40), matrix)
        assert (transform.at_voxels(other, slice(0, 2)) is not None) == parallel_enough
    assert transform.at_voxels(Grid.from_spacing((40, 30), 2.0), slice(0, 2)) is None


def test_a_field_is_made_slab_by_slab(monkeypatch: pytest.MonkeyPatch) -> None:
    transform, grid = field(3), GRIDS[3]
    chain = Composite((transform, Linear.translation(torch.tensor([1.0, 0.5, -2.0]))))
    whole = Displacement.of(chain, grid, torch.float64)
    monkeypatch.setattr(displacement, "_SLAB_VOXELS", 150)
    assert torch.equal(Displacement.of(chain, grid, torch.float64).vectors, whole.vectors)
    torch.testing.assert_close(whole(grid.points_mm()), chain(grid.points_mm()), rtol=0, atol=1e-9)
