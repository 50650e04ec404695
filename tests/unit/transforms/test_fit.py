import pytest
import torch
from strategies import points
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.transforms import Linear, fit_affine, fit_rigid, fit_similarity, fit_translation, group

FITS = {
    "translation": fit_translation,
    "rigid": fit_rigid,
    "similarity": fit_similarity,
    "affine": fit_affine,
}


def truth(name: str, ndim: int, seed: int = 0) -> Linear:
    which = group(name, ndim)
    v = torch.randn(which.size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return which.exp(v, torch.full((ndim,), 20.0, dtype=torch.float64), 60.0)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", FITS)
def test_exact_points_give_the_exact_transform(name: str, ndim: int) -> None:
    for seed in range(5):
        answer = truth(name, ndim, seed)
        found = FITS[name](points(ndim), answer(points(ndim)))
        assert torch.allclose(found.matrix, answer.matrix, atol=1e-8)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", FITS)
def test_weights_of_nothing_silence_wrong_pairs(name: str, ndim: int) -> None:
    answer = truth(name, ndim)
    fixed, moving = points(ndim), answer(points(ndim))
    moving[:5] += 100
    weights = torch.ones(len(fixed), dtype=torch.float64)
    weights[:5] = 0
    assert torch.allclose(FITS[name](fixed, moving, weights).matrix, answer.matrix, atol=1e-8)
    assert not torch.allclose(FITS[name](fixed, moving).matrix, answer.matrix, atol=1e-2)


@pytest.mark.parametrize("name", FITS)
def test_a_weight_of_two_is_a_pair_twice(name: str) -> None:
    fixed = points(3, 12)
    moving = truth(name, 3)(fixed) + points(3, 12, reach_mm=5.0, seed=1)
    weights = torch.ones(12, dtype=torch.float64)
    weights[0] = 2
    twice = FITS[name](torch.cat((fixed, fixed[:1])), torch.cat((moving, moving[:1])))
    assert torch.allclose(FITS[name](fixed, moving, weights).matrix, twice.matrix, atol=1e-9)


def nudged(name: str, ndim: int) -> list[Linear]:
    which = group(name, ndim)
    steps = torch.cat((torch.eye(which.size), -torch.eye(which.size))).double() * 1e-3
    return [which.exp(step, torch.zeros(ndim, dtype=torch.float64), 60.0) for step in steps]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", FITS)
def test_no_transform_of_the_kind_is_nearer_in_the_mean_square(name: str, ndim: int) -> None:
    fixed = points(ndim)
    moving = truth(name, ndim)(fixed) + points(ndim, reach_mm=8.0, seed=1)

    def cost(transform: Linear) -> float:
        return float((transform(fixed) - moving).square().sum())

    found = FITS[name](fixed, moving)
    best = cost(found)
    for step in nudged(name, ndim):
        assert cost(Linear(step.matrix @ found.matrix)) >= best - 1e-9


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("fit", [fit_rigid, fit_similarity])
def test_reflected_points_never_give_a_reflection(fit: object, ndim: int) -> None:
    mirrored = points(ndim) * torch.tensor([-1.0, *[1.0] * (ndim - 1)], dtype=torch.float64)
    found = fit(points(ndim), mirrored)  # type: ignore[operator]
    assert float(torch.linalg.det(found.matrix[:ndim, :ndim])) > 0


def test_rigid_is_symmetric_and_affine_is_not() -> None:
    fixed = points(3)
    noisy = truth("rigid", 3)(fixed) + points(3, reach_mm=10.0, seed=1)
    there, back = fit_rigid(fixed, noisy), fit_rigid(noisy, fixed)
    assert torch.allclose(there.inverse().matrix, back.matrix, atol=1e-9)
    there, back = fit_affine(fixed, noisy), fit_affine(noisy, fixed)
    assert not torch.allclose(there.inverse().matrix, back.matrix, atol=1e-3)


def plane() -> Tensor:
    flat = points(3)
    flat[:, 2] = 7.0
    return flat


def test_coplanar_points_need_a_ridge() -> None:
    with pytest.raises(UsageError, match="span the space"):
        fit_affine(plane(), plane() + 1)
    found = fit_affine(plane(), plane() + 1, ridge=1e-6)
    assert torch.allclose(found(plane()), plane() + 1, atol=1e-3)
    assert torch.allclose(found.matrix[:3, 2], torch.tensor([0.0, 0, 1]).double(), atol=1e-9)


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_ridge_pulls_towards_the_rigid_fit_and_not_towards_nothing(symmetric: bool) -> None:
    fixed = points(3)
    moving = truth("affine", 3)(fixed)
    found = fit_affine(fixed, moving, ridge=1e9, symmetric=symmetric)
    assert torch.allclose(found.matrix, fit_rigid(fixed, moving).matrix, atol=1e-4)
    same = points(3)[:1].expand(4, 3)
    assert torch.allclose(fit_affine(same, same + 2, ridge=0.1).matrix[:3, 3], torch.full((3,), 2.0).double())


@pytest.mark.parametrize(
    ("name", "fixed", "moving", "weights", "expected"),
    [
        ("rigid", points(3, 2), points(3, 2), None, "at least 3"),
        ("affine", points(3, 3), points(3, 3), None, "at least 4"),
        ("affine", points(2, 2), points(2, 2), None, "at least 3"),
        ("rigid", points(3), points(3), -torch.ones(40).double(), "weights"),
        ("rigid", points(3), points(3), torch.zeros(40).double(), "weights"),
        ("similarity", torch.ones(5, 3).double(), points(3, 5), None, "coincide"),
    ],
)
def test_too_little_to_fit_is_refused(
    name: str, fixed: Tensor, moving: Tensor, weights: Tensor | None, expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        FITS[name](fixed, moving, weights)


@pytest.mark.parametrize("fit", [fit_rigid, fit_similarity])
def test_points_on_a_line_do_not_fix_a_rotation(fit: object) -> None:
    """A turn about the line is free, so no answer would be right."""
    line = torch.linspace(-50, 50, 9, dtype=torch.float64)[:, None] * torch.tensor([1.0, 2.0, 3.0]).double()
    with pytest.raises(UsageError):
        fit(line, line)  # type: ignore[operator]
