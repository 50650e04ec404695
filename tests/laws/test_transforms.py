"""The axioms of a group, for every linear group and for the flows of velocity fields, in 2-D and 3-D."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import linears, points

from inforeg.image import Image, smooth
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Transform, Velocity, exponential, group

NAMES = ["translation", "rigid", "similarity", "affine", "projective"]


def near(a: Transform, b: Transform, ndim: int, reach_mm: float = 30.0) -> bool:
    """Whether both take the same points to the same places (near the centre: no plane goes to infinity)."""
    p = points(ndim, reach_mm=reach_mm)
    return torch.allclose(a(p), b(p), rtol=1e-7, atol=1e-7)


def law(check: Callable[[str, int, st.DataObject], None]) -> Callable[..., None]:
    tested = settings(max_examples=12)(given(data=st.data())(check))
    return pytest.mark.parametrize("ndim", [2, 3])(pytest.mark.parametrize("name", NAMES)(tested))


def some(data: st.DataObject, name: str, ndim: int) -> Linear:
    # Small projective parts: with large ones the plane that goes to infinity comes among the points.
    return data.draw(linears(ndim, name, size=0.1 if name == "projective" else 0.6)).transform()


@law
def test_the_identity_changes_nothing(name: str, ndim: int, data: st.DataObject) -> None:
    a, e = some(data, name, ndim), Linear.identity(ndim)
    assert near(a @ e, a, ndim)
    assert near(e @ a, a, ndim)


@law
def test_composition_is_application_one_after_the_other(name: str, ndim: int, data: st.DataObject) -> None:
    a, b = some(data, name, ndim), some(data, name, ndim)
    p = points(ndim, reach_mm=30.0)
    assert torch.allclose((a @ b)(p), a(b(p)), rtol=1e-7, atol=1e-7)
    assert torch.allclose(Composite((a, b))(p), a(b(p)))


@law
def test_composition_is_associative(name: str, ndim: int, data: st.DataObject) -> None:
    a, b, c = (some(data, name, ndim) for _ in range(3))
    assert near((a @ b) @ c, a @ (b @ c), ndim)
    assert near(Composite((a, b)) @ c, a @ Composite((b, c)), ndim)


@law
def test_the_inverse_undoes_on_both_sides(name: str, ndim: int, data: st.DataObject) -> None:
    a = some(data, name, ndim)
    e = Linear.identity(ndim)
    assert near(a @ a.inverse(), e, ndim)
    assert near(a.inverse() @ a, e, ndim)


@law
def test_the_inverse_of_a_chain(name: str, ndim: int, data: st.DataObject) -> None:
    a, b = some(data, name, ndim), some(data, name, ndim)
    chain = Composite((a, b))
    assert near(chain.inverse(), b.inverse() @ a.inverse(), ndim)
    assert near(chain.inverse() @ chain, Linear.identity(ndim), ndim)


@law
def test_the_product_stays_in_the_group(name: str, ndim: int, data: st.DataObject) -> None:
    """What the group leaves alone, the product leaves alone."""
    product = some(data, name, ndim) @ some(data, name, ndim)
    assert isinstance(product, Linear)
    linear = product.matrix[:ndim, :ndim]
    eye = torch.eye(ndim, dtype=torch.float64)
    if name == "translation":
        assert torch.allclose(linear, eye, atol=1e-9)
    if name in ("rigid", "similarity"):
        gram = linear.T @ linear
        assert torch.allclose(gram, gram[0, 0] * eye, atol=1e-9)
        assert name == "similarity" or abs(float(gram[0, 0]) - 1) < 1e-9
    assert product.is_affine or name == "projective"


@law
def test_minus_the_parameters_is_the_inverse(name: str, ndim: int, data: st.DataObject) -> None:
    which = group(name, ndim)
    values = data.draw(st.lists(st.floats(-0.5, 0.5), min_size=which.size, max_size=which.size))
    v, centre = torch.tensor(values, dtype=torch.float64), torch.full((ndim,), 12.0, dtype=torch.float64)
    product = which.exp(v, centre, 80.0).matrix @ which.exp(-v, centre, 80.0).matrix
    assert torch.allclose(product / product[-1, -1], torch.eye(ndim + 1, dtype=torch.float64), atol=1e-6)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_at_rest_are_finite(name: str, ndim: int) -> None:
    which = group(name, ndim)
    v = torch.zeros(which.size, dtype=torch.float64, requires_grad=True)
    transform = which.exp(v, torch.ones(ndim, dtype=torch.float64), 80.0)
    transform(points(ndim)).square().sum().backward()
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()
    assert (v.grad != 0).any()


# Flows: random fields that are smooth to 10 mm and move points by up to 4 mm, on voxels of 3 mm. What holds exactly for
# flows holds on a grid to what linear interpolation loses: within a tenth of a millimetre, a fiftieth in the mean.
LARGEST_MM, MEAN_MM = 0.1, 0.02


def flow(ndim: int, seed: int, size_mm: float = 4.0) -> Velocity:
    grid = Grid.from_spacing([30, 33, 28][:ndim], 3.0)
    noise = torch.randn(1, ndim, *grid.shape, generator=torch.Generator().manual_seed(seed))
    vectors = smooth(Image(noise, grid), 10.0).data[0]
    inner = (slice(None), *[slice(8, -8)] * ndim)
    return Velocity(size_mm / float(vectors[inner].norm(dim=0).max()) * vectors, grid)


def inside(ndim: int) -> torch.Tensor:
    """Points that no flow takes out of its grid."""
    return points(ndim, count=2000, reach_mm=22.0)


def check_near(found: torch.Tensor, expected: torch.Tensor) -> None:
    off = (found - expected).norm(dim=1)
    assert float(off.max()) < LARGEST_MM
    assert float(off.mean()) < MEAN_MM


@pytest.mark.parametrize("ndim", [2, 3])
def test_no_velocity_is_the_identity(ndim: int) -> None:
    grid = flow(ndim, 0).grid
    still = Velocity(torch.zeros(ndim, *grid.shape), grid)
    p = points(ndim)
    assert torch.equal(still(p), p)
    assert torch.equal(still.jacobian(p), torch.eye(ndim, dtype=torch.float64).expand(len(p), ndim, ndim))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_flow_and_its_inverse_undo_one_another(ndim: int, seed: int) -> None:
    a, p = flow(ndim, seed), inside(ndim)
    assert float((a(p) - p).norm(dim=1).max()) > 2
    check_near(a.inverse()(a(p)), p)
    check_near(a(a.inverse()(p)), p)
    assert torch.equal(a.inverse().inverse()(p), a(p))
    assert float(torch.linalg.det(a.jacobian(p)).min()) > 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ndim", [2, 3])
def test_flows_along_one_field_add_up(ndim: int, seed: int) -> None:
    a, p = flow(ndim, seed), inside(ndim)

    def part(t: float) -> Velocity:
        return Velocity(t * a.vectors, a.grid)

    check_near((part(0.3) @ part(0.7))(p), a(p))
    check_near((part(-0.4) @ a)(p), part(0.6)(p))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("ndim", [2, 3])
def test_chains_with_a_flow(ndim: int, seed: int) -> None:
    a, p = flow(ndim, seed), inside(ndim)
    turn = group("affine", ndim)
    parameters = 0.1 * torch.randn(
        turn.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    linear = turn.exp(parameters, torch.zeros(ndim, dtype=torch.float64), 40.0)
    chain = linear @ a
    assert torch.equal(chain(p), linear(a(p)))
    check_near((chain.inverse() @ chain)(p), p)
    assert torch.allclose(((linear @ a) @ a)(p), (linear @ (a @ a))(p))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_derivative_of_a_flow_is_that_of_finite_differences(ndim: int) -> None:
    a, p = flow(ndim, 1), inside(ndim)
    found, step = a.jacobian(p), 1e-6
    for axis in range(ndim):
        shift = torch.zeros(ndim, dtype=torch.float64)
        shift[axis] = step
        expected = (a(p + shift) - a(p - shift)) / (2 * step)
        wrong = (found[:, :, axis] - expected).abs().amax(dim=1) > 1e-6
        # A step may cross a face between voxels, where a piecewise linear field has no derivative.
        assert float(wrong.double().mean()) < 0.002


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_gradient_of_an_exponential_is_that_of_finite_differences(ndim: int) -> None:
    grid = Grid.from_spacing((3, 4, 2)[:ndim], (2.0, 3.0, 1.5)[:ndim])
    generator = torch.Generator().manual_seed(4)
    vectors = 2 * torch.randn(1, ndim, *grid.shape, generator=generator, dtype=torch.float64)
    vectors.requires_grad_()
    assert torch.autograd.gradcheck(lambda v: exponential(v, grid, squarings=3), (vectors,))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_gradient_of_a_flow_at_rest_is_finite(ndim: int) -> None:
    grid = flow(ndim, 0).grid
    vectors = torch.zeros(ndim, *grid.shape, requires_grad=True)
    Velocity(vectors, grid)(inside(ndim)).square().sum().backward()
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()
    assert (vectors.grad != 0).any()
