from math import cos, exp, factorial, pi, sin

import pytest
import torch
from strategies import points
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.transforms import group
from inforeg.transforms.groups import GROUPS

SIZES = {
    "translation": (2, 3),
    "rigid": (3, 6),
    "similarity": (4, 7),
    "affine": (6, 12),
    "projective": (8, 15),
    "drmime-affine": (6, None),
    "drmime-projective": (8, None),
}


def every_group() -> list[tuple[str, int]]:
    return [(name, d) for name in GROUPS for d in (2, 3) if SIZES[name][d - 2] is not None]


def affine_part(matrix: Tensor) -> Tensor:
    return (matrix / matrix[-1, -1])[:-1, :-1]


@pytest.mark.parametrize(("name", "ndim"), every_group())
def test_number_of_parameters_and_independence(name: str, ndim: int) -> None:
    which = group(name, ndim)
    assert which.size == SIZES[name][ndim - 2]
    flat = which.generators.reshape(which.size, -1)
    assert int(torch.linalg.matrix_rank(flat)) == which.size


@pytest.mark.parametrize(("name", "ndim"), every_group())
def test_no_parameters_no_motion_and_finite_gradients_there(name: str, ndim: int) -> None:
    which = group(name, ndim)
    parameters = torch.zeros(which.size, dtype=torch.float64, requires_grad=True)
    matrix = which.matrix(parameters)
    assert torch.equal(matrix, torch.eye(ndim + 1, dtype=torch.float64))
    (matrix * torch.arange(1.0, (ndim + 1) ** 2 + 1).reshape(matrix.shape)).sum().backward()
    assert parameters.grad is not None
    assert torch.isfinite(parameters.grad).all()
    assert parameters.grad.abs().max() > 0


def test_unknown_names_and_dimensions() -> None:
    for name, ndim in (("rigit", 3), ("rigid", 4), ("drmime-affine", 3)):
        with pytest.raises(UsageError):
            group(name, ndim)


@pytest.mark.parametrize("angle", [0.3, -1.2, 2.5, pi])
def test_anchor_rotation_in_the_paper_basis(angle: float) -> None:
    """v3 = -angle, v4 = +angle is a rotation once divided by the last entry (papers, 1.2)."""
    v = torch.zeros(8, dtype=torch.float64)
    v[2], v[3] = -angle, angle
    wanted = torch.tensor([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]], dtype=torch.float64)
    assert torch.allclose(affine_part(group("drmime-projective", 2).matrix(v)), wanted, atol=1e-12)


@pytest.mark.parametrize("log_scale", [0.2, -0.7, 1.5])
def test_anchor_scale_in_the_paper_basis(log_scale: float) -> None:
    """v5 = s/3, v6 = -2 s/3 is an isotropic scale by exp(s)."""
    v = torch.zeros(6, dtype=torch.float64)
    v[4], v[5] = log_scale / 3, -2 * log_scale / 3
    matrix = group("drmime-affine", 2).matrix(v)
    assert torch.allclose(affine_part(matrix), exp(log_scale) * torch.eye(2, dtype=torch.float64), atol=1e-12)


def test_the_paper_basis_stays_in_sl3_and_needs_the_division() -> None:
    v = torch.tensor([0.1, -0.2, 0.3, 0.1, 0.2, 0.4, 0.05, -0.1], dtype=torch.float64)
    matrix = group("drmime-projective", 2).matrix(v)
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0, abs=1e-12)
    only_last = torch.zeros(6, dtype=torch.float64)
    only_last[5] = 0.4
    assert float(group("drmime-affine", 2).matrix(only_last)[2, 2]) == pytest.approx(exp(0.4))


@pytest.mark.parametrize(
    ("angle", "error"), [(0.5, 3e-10), (1.0, 3e-7), (1.5, 1.6e-5), (2.0, 2.7e-4), (2.5, 2.5e-3), (pi, 2.4e-2)]
)
def test_the_exponential_is_exact_where_ten_terms_of_its_series_are_not(angle: float, error: float) -> None:
    which = group("rigid", 2)
    v = torch.tensor([0.0, 0.0, angle], dtype=torch.float64)
    algebra = torch.einsum("k,kij->ij", v, which.generators)
    series = torch.stack([torch.linalg.matrix_power(algebra, n) / factorial(n) for n in range(10)]).sum(0)
    exact = torch.eye(3, dtype=torch.float64)
    exact[:2, :2] = torch.tensor([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]], dtype=torch.float64)
    assert float((which.matrix(v) - exact).abs().max()) < 1e-12
    assert float((series - exact).abs().max()) == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("ndim", [2, 3])
def test_rigid_keeps_distances_and_similarity_ratios(ndim: int) -> None:
    p = points(ndim)
    centre = torch.full((ndim,), 10.0, dtype=torch.float64)
    for name in ("rigid", "similarity"):
        which = group(name, ndim)
        v = torch.linspace(-1.2, 1.5, which.size, dtype=torch.float64)
        moved = which.exp(v, centre, 80.0)(p)
        ratio = torch.pdist(moved) / torch.pdist(p)
        assert float(ratio.max() - ratio.min()) < 1e-12
        assert (float(ratio[0]) == pytest.approx(1.0)) == (name == "rigid")


@pytest.mark.parametrize(("name", "ndim"), every_group())
def test_velocities_are_the_derivative_at_rest(name: str, ndim: int) -> None:
    which, p, step = group(name, ndim), points(ndim, 10, reach_mm=1.0), 1e-6
    velocity = which.velocities(p)
    for k in range(which.size):
        ends = []
        for sign in (-1, 1):
            v = torch.zeros(which.size, dtype=torch.float64)
            v[k] = sign * step
            ends.append(which.exp(v, torch.zeros(ndim, dtype=torch.float64), 1.0)(p))
        assert torch.allclose((ends[1] - ends[0]) / (2 * step), velocity[:, :, k], atol=1e-8)


def test_the_centre_stays_where_rotations_and_scales_are_about_it() -> None:
    centre = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
    v = torch.tensor([0.0, 0, 0, 0.5, -0.3, 0.9, 0.2], dtype=torch.float64)
    moved = group("similarity", 3).exp(v, centre, 80.0)
    assert torch.allclose(moved(centre[None]), centre[None], atol=1e-10)


def test_one_step_of_translation_moves_by_one_radius() -> None:
    v = torch.tensor([0.25, 0, 0], dtype=torch.float64)
    moved = group("translation", 3).exp(v, torch.zeros(3, dtype=torch.float64), 80.0)
    assert torch.allclose(moved(torch.zeros(1, 3, dtype=torch.float64))[0, 0], torch.tensor(20.0).double())
