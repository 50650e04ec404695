import pytest
import torch

from inforeg.errors import NotInvertible, UsageError
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, approximate_inverse, solve
from inforeg.transforms.invert import inverted


def smooth(ndim: int, size_mm: float = 3.0, seed: int = 0) -> Displacement:
    """A smooth field that fades towards its faces, so that nothing leaves its grid."""
    grid = Grid.from_spacing([24, 26, 22][:ndim], 2.0)
    where = grid.points_mm()
    waves = torch.randn(ndim, ndim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 12
    fade = torch.cos(torch.pi * where / grid.extent_mm).prod(dim=1, keepdim=True)
    vectors = size_mm * fade * torch.sin(where @ waves + torch.arange(ndim))
    return Displacement(vectors.T.reshape(ndim, *grid.shape).contiguous(), grid)


def affine(ndim: int) -> Linear:
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[0, 1], matrix[1, 1], matrix[0, ndim] = 0.1, 1.2, 4.0
    return Linear(matrix)


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_are_taken_back_exactly(ndim: int) -> None:
    field = smooth(ndim)
    chain = Composite((affine(ndim), field))
    where = field.grid.points_mm()[::7]
    for transform in (field, chain, affine(ndim)):
        found, error = solve(transform, transform(where))
        assert float(error.max()) < 1e-4
        assert float((found - where).norm(dim=1).max()) < 1e-3


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_spline_is_taken_back_too(ndim: int) -> None:
    grid = Grid.from_spacing([9, 10, 9][:ndim], 8.0)
    generator = torch.Generator().manual_seed(1)
    spline = BSpline(2 * torch.randn(ndim, *grid.shape, generator=generator, dtype=torch.float64), grid)
    where = Grid.from_spacing([6] * ndim, 5.0).points_mm()
    assert float((spline(where) - where).norm(dim=1).max()) > 1
    found, error = solve(spline, spline(where))
    assert float(error.max()) < 1e-4
    assert float((found - where).norm(dim=1).max()) < 1e-3


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_inverse_of_a_field_undoes_it_and_its_error_is_what_it_says(ndim: int) -> None:
    field = smooth(ndim)
    inverse = approximate_inverse(field)
    assert inverse.share_found == 1.0
    centres = field.grid.points_mm()
    assert float((field(inverse.transform(centres)) - centres).norm(dim=1).max()) < 1e-4
    # Between voxel centres interpolation leaves something, and it is no more than what was said.
    generator = torch.Generator().manual_seed(0)
    inner = centres[(centres.abs() < 15).all(dim=1)]
    between = inner + 2 * (torch.rand(inner.shape, generator=generator, dtype=torch.float64) - 0.5)
    off = (field(inverse.transform(between)) - between).norm(dim=1)
    assert 1e-3 < float(off.max()) < 1.5 * inverse.largest_error_mm
    assert 0 < inverse.median_error_mm < inverse.largest_error_mm < 0.2


def test_where_a_field_folds_there_is_no_inverse_or_its_error_shows() -> None:
    field = smooth(3, size_mm=25.0)
    assert bool((torch.linalg.det(field.jacobian(field.grid.points_mm())) <= 0).any())
    inverse = approximate_inverse(field)
    assert inverse.largest_error_mm > 1.0
    assert bool(torch.isinf(inverse.error_mm[~inverse.found]).all())


def test_what_nothing_leads_to_has_no_inverse() -> None:
    grid = Grid.from_spacing((20, 20, 20), 2.0)
    squeezed = Displacement(-0.5 * grid.points_mm().T.reshape(3, *grid.shape), grid)
    inverse = approximate_inverse(squeezed)
    # The field halves every distance: an eighth of its grid is reached, and beyond the grid nothing moves.
    assert 0.1 < inverse.share_found < 0.2
    assert inverse.largest_error_mm < 1e-3
    assert bool(torch.isinf(inverse.error_mm[~inverse.found]).all())


def test_matrices_in_a_chain_stay_exact_and_a_grid_makes_one_field() -> None:
    chain = Composite((affine(3), smooth(3)))
    inverse = approximate_inverse(chain).transform
    assert isinstance(inverse, Composite)
    assert [type(part) for part in inverse.parts] == [Displacement, Linear]
    where = Grid.from_spacing((6, 6, 6), 4.0).points_mm()
    assert float((inverse(chain(where)) - where).norm(dim=1).max()) < 0.1
    grid = Grid.from_spacing((12, 12, 12), 3.0)
    one = approximate_inverse(chain, grid)
    assert isinstance(one.transform, Displacement)
    assert one.transform.grid is grid
    assert float((chain(one.transform(grid.points_mm())) - grid.points_mm()).norm(dim=1).max()) < 1e-4


def test_inverted_is_the_inverse_and_its_own_inverse_the_transform() -> None:
    chain = Composite((affine(3), smooth(3)))
    back = inverted(chain)
    where = Grid.from_spacing((5, 6, 5), 5.0).points_mm()
    assert float((back(chain(where)) - where).norm(dim=1).max()) < 1e-3
    product = back.jacobian(chain(where)) @ chain.jacobian(where)
    # On a face between voxels the two sides have derivatives of their own.
    assert float((product - torch.eye(3)).abs().amax(dim=(1, 2)).median()) < 1e-6
    again = inverted(back)
    assert float((again(where) - chain(where)).norm(dim=1).max()) < 1e-9


def test_what_cannot_be_inverted_says_why() -> None:
    with pytest.raises(UsageError, match="inverse"):
        approximate_inverse(affine(3))
    with pytest.raises(NotInvertible):
        solve(Linear(torch.diag(torch.tensor([1.0, 1.0, 0.0, 1.0]))), torch.zeros(1, 3, dtype=torch.float64))
    with pytest.raises(UsageError, match="give the moving image's"):
        approximate_inverse(BSpline(torch.zeros(3, 5, 5, 5), Grid.from_spacing((5, 5, 5))))
