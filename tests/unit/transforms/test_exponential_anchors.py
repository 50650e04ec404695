"""Figures that DRMIME's matrix exponential has to meet, for its own bases and for ours."""

import math

import pytest
import torch
from torch import Tensor

from inforeg.transforms import Linear, LinearGroup, group

BASES = [
    ("drmime-affine", 2),
    ("drmime-projective", 2),
    *((name, d) for d in (2, 3) for name in ("rigid", "similarity", "affine", "projective")),
]
every_basis = pytest.mark.parametrize(("name", "ndim"), BASES)


def ten_terms(algebra: Tensor) -> Tensor:
    """The sum that the paper's code stops after ten terms."""
    term = total = torch.eye(len(algebra), dtype=algebra.dtype)
    for n in range(1, 10):
        term = term @ algebra / n
        total = total + term
    return total


def turned(angle_rad: float) -> tuple[Tensor, Tensor]:
    """DRMIME's parameters of a turn, and the turn itself."""
    v = torch.zeros(6, dtype=torch.float64)
    v[2], v[3] = -angle_rad, angle_rad
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return v, torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("angle_rad", "off"), [(0.5, 3e-10), (1.0, 3e-7), (1.5, 1.6e-5), (2.0, 2.7e-4), (math.pi, 2.4e-2)]
)
def test_the_exponential_is_exact_where_ten_terms_are_not(angle_rad: float, off: float) -> None:
    which = group("drmime-affine", 2)
    v, exact = turned(angle_rad)
    algebra = torch.einsum("k,kij->ij", v, which.generators)
    assert float((which.matrix(v) - exact).abs().max()) < 1e-13
    assert float((ten_terms(algebra) - exact).abs().max()) == pytest.approx(off, rel=0.15)


def test_half_a_turn_of_ten_terms_shrinks() -> None:
    v, exact = turned(math.pi)
    which = group("drmime-affine", 2)
    series = ten_terms(torch.einsum("k,kij->ij", v, which.generators))
    assert float(torch.linalg.det(series)) == pytest.approx(0.953, abs=1e-3)
    assert float(torch.linalg.det(which.matrix(v))) == pytest.approx(1.0, abs=1e-12)
    assert torch.allclose(which.matrix(v), exact, rtol=0, atol=1e-13)


def test_the_papers_basis_has_the_papers_meaning() -> None:
    """A scale is two of its parameters, and is seen only after the division by the last entry."""
    which, size = group("drmime-affine", 2), 0.3
    v = torch.tensor([0, 0, 0, 0, size / 3, -2 * size / 3], dtype=torch.float64)
    matrix = which.matrix(v)
    assert float(matrix[2, 2]) == pytest.approx(math.exp(-2 * size / 3))
    scaled = Linear(matrix).matrix
    assert torch.allclose(scaled, torch.diag(torch.tensor([math.exp(size), math.exp(size), 1.0])).double())
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0)


def some(which: LinearGroup, size: float) -> Tensor:
    generator = torch.Generator().manual_seed(which.size)
    return size * (2 * torch.rand(50, which.size, generator=generator, dtype=torch.float64) - 1)


@every_basis
@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 1.0), (torch.float32, 0.3)])
def test_minus_the_parameters_invert(name: str, ndim: int, dtype: torch.dtype, size: float) -> None:
    which = group(name, ndim)
    v = some(which, size).to(dtype)
    product = which.matrix(v) @ which.matrix(-v)
    assert float((product - torch.eye(ndim + 1, dtype=dtype)).abs().max()) < 1e-6


@every_basis
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_slope_at_the_identity_is_finite_and_complete(name: str, ndim: int, dtype: torch.dtype) -> None:
    """Every parameter moves the points, each in its own way, as the generators say."""
    which = group(name, ndim)
    axis = torch.linspace(-1, 1, 4, dtype=dtype)
    points = torch.cartesian_prod(*[axis] * ndim)

    def moved(v: Tensor) -> Tensor:
        matrix = which.matrix(v)
        below = points @ matrix[ndim, :ndim] + matrix[ndim, ndim]
        return (points @ matrix[:ndim, :ndim].T + matrix[:ndim, ndim]) / below[:, None]

    slope = torch.autograd.functional.jacobian(moved, torch.zeros(which.size, dtype=dtype))
    assert bool(torch.isfinite(slope).all())
    flat = slope.reshape(-1, which.size)
    assert float(flat.norm(dim=0).min()) > 0.1
    assert int(torch.linalg.matrix_rank(flat)) == which.size
    torch.testing.assert_close(slope, which.velocities(points))
