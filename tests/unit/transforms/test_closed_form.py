"""Batches of points: the same as one after the other, differentiable, and well-behaved where points are few or flat."""

import pytest
import torch
from strategies import points
from torch import Tensor

from inforeg.transforms import (
    Linear,
    closed_form,
    fit_affine,
    fit_rigid,
    fit_similarity,
    fit_thin_plate,
    group,
)

SOLVERS = {
    "rigid": closed_form.rigid,
    "similarity": closed_form.similarity,
    "affine": closed_form.affine,
    "symmetric": closed_form.symmetric_affine,
    "symmetric similarity": closed_form.symmetric_similarity,
}


def truth(name: str, ndim: int, seed: int = 0) -> Linear:
    which = group({"symmetric": "affine", "symmetric similarity": "similarity"}.get(name, name), ndim)
    v = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(v, torch.full((ndim,), 20.0, dtype=torch.float64), 60.0)


def noisy(name: str, ndim: int, seed: int, n: int = 20) -> tuple[Tensor, Tensor]:
    fixed = points(ndim, n, seed=seed)
    return fixed, truth(name, ndim, seed)(fixed) + points(ndim, n, reach_mm=5.0, seed=seed + 50)


def batch(name: str, ndim: int, count: int = 3) -> tuple[Tensor, Tensor]:
    fixed, moving = zip(*(noisy(name, ndim, seed) for seed in range(count)), strict=True)
    return torch.stack(fixed), torch.stack(moving)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "similarity", "affine", "symmetric"])
def test_batches_are_the_same_as_one_after_the_other(name: str, ndim: int) -> None:
    fixed, moving = batch(name, ndim)
    weights = torch.rand(fixed.shape[:2], generator=torch.Generator().manual_seed(1)).double()
    alone = {
        "rigid": fit_rigid,
        "similarity": fit_similarity,
        "affine": lambda *given: fit_affine(*given, ridge=closed_form.RIDGE),
        "symmetric": lambda *given: fit_affine(*given, ridge=closed_form.RIDGE, symmetric=True),
    }[name]
    found = SOLVERS[name](fixed, moving, weights)
    for row, p, q, w in zip(found, fixed, moving, weights, strict=True):
        assert torch.allclose(row, alone(p, q, w).matrix, atol=1e-9)
    bends, affine = closed_form.thin_plate(fixed, moving, 0.1, weights)
    for k in range(len(fixed)):
        one = fit_thin_plate(fixed[k], moving[k], 0.1, weights[k])
        assert torch.allclose(one.weights, bends[k], atol=1e-9)
        assert torch.allclose(one.affine.matrix, affine[k], atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", SOLVERS)
def test_derivatives_are_those_of_the_solution(name: str, ndim: int) -> None:
    fixed, moving = batch(name, ndim, 2)
    weights = 0.5 + torch.rand(fixed.shape[:2], generator=torch.Generator().manual_seed(1)).double()
    given = [values.requires_grad_() for values in (fixed / 50, moving / 50, weights)]
    assert torch.autograd.gradcheck(SOLVERS[name], given)


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_that_spread_alike_in_all_directions_have_derivatives(ndim: int) -> None:
    """Where singular values are equal, those of the decomposition itself have none."""
    corners = torch.cat((torch.eye(ndim), -torch.eye(ndim))).double()[None]
    turned = truth("rigid", ndim)(corners[0])[None].requires_grad_()
    for name, solver in SOLVERS.items():
        assert torch.autograd.gradcheck(lambda q, solver=solver: solver(corners, q), turned), name


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", SOLVERS)
def test_a_shift_of_either_image_is_a_shift_of_the_transform(name: str, ndim: int) -> None:
    fixed, moving = batch(name, ndim)
    shift = torch.arange(1.0, ndim + 1).double() * 17
    plain, there, here = (
        SOLVERS[name](p, q) for p, q in ((fixed, moving), (fixed, moving + shift), (fixed + shift, moving))
    )
    by = Linear.translation(shift).matrix
    assert torch.allclose(there, by @ plain, atol=1e-9)
    assert torch.allclose(here @ by, plain, atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "similarity", "affine"])
def test_swapping_the_images_gives_the_inverse(name: str, ndim: int) -> None:
    fixed, moving = batch(name, ndim)
    solver = closed_form.LINEAR[name]
    there, back = solver(fixed, moving), solver(moving, fixed)
    eye = torch.eye(ndim + 1).double().expand_as(there)
    assert torch.allclose(there @ back, eye, atol=1e-9)
    # Least squares one way shrink what noise has spread.
    one, other = closed_form.affine(fixed, moving), closed_form.affine(moving, fixed)
    assert not torch.allclose(one @ other, eye, atol=1e-4)


def test_exact_points_give_the_exact_transform_by_every_solver() -> None:
    for name, solver in SOLVERS.items():
        answer = truth(name, 3, 3)
        fixed = points(3)
        assert torch.allclose(solver(fixed[None], answer(fixed)[None])[0], answer.matrix, atol=1e-4), name


def test_the_symmetric_fit_is_the_geometric_mean_of_both_directions() -> None:
    """`M` with `M A^-1 M = B^-1`, the midpoint of the two fits."""
    fixed, moving = batch("affine", 3)
    middle = closed_form.symmetric_affine(fixed, moving, ridge=0.0)[:, :3, :3]
    there, back = (
        closed_form.affine(p, q, ridge=0.0)[:, :3, :3] for p, q in ((fixed, moving), (moving, fixed))
    )
    assert torch.allclose(middle @ torch.linalg.inv(there) @ middle, torch.linalg.inv(back), atol=1e-9)


@pytest.mark.parametrize("name", ["affine", "symmetric"])
def test_flat_clouds_turn_rigidly_across_their_plane(name: str) -> None:
    flat = points(3, 20)
    flat[:, 2] = 7.0
    turn = truth("rigid", 3, 4)
    found = SOLVERS[name](flat[None], turn(flat)[None])[0]
    assert torch.allclose(found, turn.matrix, atol=1e-4)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "similarity"])
def test_mirrored_clouds_give_no_reflection(name: str, ndim: int) -> None:
    fixed = points(ndim)[None]
    mirrored = fixed * torch.tensor([-1.0, *[1.0] * (ndim - 1)]).double()
    assert float(torch.linalg.det(SOLVERS[name](fixed, mirrored)[0, :ndim, :ndim])) > 0


def test_one_point_is_a_shift() -> None:
    fixed, moving = torch.zeros(1, 1, 3), torch.full((1, 1, 3), 5.0)
    found = closed_form.rigid(fixed, moving)
    assert torch.allclose(found[0], Linear.translation(torch.full((3,), 5.0)).matrix)
