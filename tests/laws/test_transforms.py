"""The axioms of a group, for every linear group, in 2-D and 3-D."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import linears, points

from inforeg.transforms import Composite, Linear, Transform, group

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
