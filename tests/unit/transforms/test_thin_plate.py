import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator
from strategies import points, rotation

from inforeg.errors import NotInvertible, UsageError
from inforeg.space import Grid
from inforeg.transforms import Linear, ThinPlate, approximate_inverse, fit_affine, fit_thin_plate
from inforeg.transforms import thin_plate as module

KERNEL = {2: "thin_plate_spline", 3: "linear"}


def pairs(ndim: int, count: int = 25, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Points within 80 mm that move by some millimetres, none alike."""
    fixed = points(ndim, count, seed=seed) + 15.0
    return fixed, fixed + points(ndim, count, reach_mm=4.0, seed=seed + 1)


@pytest.mark.parametrize("ndim", [2, 3])
def test_it_passes_through_its_points(ndim: int) -> None:
    fixed, moving = pairs(ndim)
    torch.testing.assert_close(fit_thin_plate(fixed, moving)(fixed), moving, rtol=0, atol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.03, 2.0])
@pytest.mark.parametrize("ndim", [2, 3])
def test_between_them_it_is_scipys(ndim: int, smoothing: float) -> None:
    fixed, moving = pairs(ndim)
    centre = fixed.mean(dim=0)
    scale = (fixed - centre).square().sum(dim=1).mean().sqrt()
    theirs = RBFInterpolator(
        ((fixed - centre) / scale).numpy(), moving.numpy(), smoothing=smoothing, kernel=KERNEL[ndim], degree=1
    )
    where = points(ndim, 300, reach_mm=150.0, seed=9)
    expected = theirs(((where - centre) / scale).numpy())
    found = fit_thin_plate(fixed, moving, smoothing)(where)
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_affine_stays_affine(ndim: int) -> None:
    fixed, _ = pairs(ndim)
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[0, 1], matrix[1, 1], matrix[0, ndim] = 0.3, 0.8, 12.0
    for smoothing in (0.0, 0.5):
        fitted = fit_thin_plate(fixed, Linear(matrix)(fixed), smoothing)
        torch.testing.assert_close(fitted.affine.matrix, matrix, rtol=0, atol=1e-9)
        assert float(fitted.weights.abs().max()) < 1e-9
    still = fit_thin_plate(fixed, fixed)
    assert torch.equal(still(fixed), fixed)


@pytest.mark.parametrize("ndim", [2, 3])
def test_smoothing_leads_to_the_affine_fit(ndim: int) -> None:
    fixed, moving = pairs(ndim)
    weights = torch.rand(len(fixed), generator=torch.Generator().manual_seed(5), dtype=torch.float64) + 0.1
    misfits = []
    for smoothing in (0.0, 0.01, 0.1, 1.0, 10.0):
        off = fit_thin_plate(fixed, moving, smoothing, weights)(fixed) - moving
        misfits.append(float((weights * off.square().sum(dim=1)).sum()))
    assert misfits == sorted(misfits)
    affine = fit_affine(fixed, moving, weights)
    where = points(ndim, 50)
    found = fit_thin_plate(fixed, moving, 1e9, weights)(where)
    torch.testing.assert_close(found, affine(where), rtol=0, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("ndim", [2, 3])
def test_neither_the_unit_nor_the_place_nor_the_turn_matters(ndim: int, smoothing: float) -> None:
    fixed, moving = pairs(ndim)
    where = points(ndim, 50)
    turn = rotation([0.4, -0.3, 0.2][: 2 * ndim - 3])
    expected = fit_thin_plate(fixed, moving, smoothing)(where)

    def elsewhere(p: torch.Tensor) -> torch.Tensor:
        return (p @ turn.T + 300.0) * 1e-3

    found = fit_thin_plate(elsewhere(fixed), elsewhere(moving), smoothing)(elsewhere(where))
    torch.testing.assert_close(found, elsewhere(expected), rtol=0, atol=1e-11)


def test_a_pair_of_more_weight_is_met_more_closely_and_one_of_none_not_at_all() -> None:
    fixed, moving = pairs(3)
    weights = torch.ones(len(fixed))
    off = [
        float((fit_thin_plate(fixed, moving, 0.5, w)(fixed) - moving)[4].norm())
        for w in (weights, weights.index_fill(0, torch.tensor([4]), 20.0))
    ]
    assert off[1] < 0.3 * off[0]
    none = fit_thin_plate(fixed, moving, 0.5, weights.index_fill(0, torch.tensor([4]), 0.0))
    rest = torch.arange(len(fixed)) != 4
    expected = fit_thin_plate(fixed[rest], moving[rest], 0.5)
    torch.testing.assert_close(none(fixed), expected(fixed), rtol=0, atol=1e-9)
    double = fit_thin_plate(fixed, moving, 0.5, 2 * weights)
    torch.testing.assert_close(double(fixed), fit_thin_plate(fixed, moving, 0.5)(fixed), rtol=0, atol=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
def test_derivatives_are_those_of_finite_differences(ndim: int) -> None:
    transform = fit_thin_plate(*pairs(ndim))
    where = points(ndim, 60, seed=7)
    found = transform.jacobian(where)
    for axis in range(ndim):
        step = torch.zeros(ndim, dtype=torch.float64)
        step[axis] = 1e-4
        expected = (transform(where + step) - transform(where - step)) / 2e-4
        torch.testing.assert_close(found[:, :, axis], expected, rtol=0, atol=1e-6)
    assert torch.isfinite(transform.jacobian(transform.control_points_mm)).all()


@pytest.mark.parametrize("ndim", [2, 3])
def test_it_can_be_differentiated_at_its_own_points(ndim: int) -> None:
    fixed, moving = pairs(ndim, 6)

    def moved(f: torch.Tensor, m: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        transform = fit_thin_plate(f, m, 0.1, w)
        return transform(torch.cat((points(ndim, 5, reach_mm=40.0, seed=8), fixed[:1])))

    given = [t.clone().requires_grad_() for t in (fixed, moving, torch.ones(6, dtype=torch.float64))]
    assert torch.autograd.gradcheck(moved, given, eps=1e-5, atol=1e-5)


def test_in_parts_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    transform = fit_thin_plate(*pairs(3))
    where = points(3, 100).float()
    whole, slopes = transform(where), transform.jacobian(where)
    monkeypatch.setattr(module, "_CHUNK_PAIRS", 70)
    torch.testing.assert_close(transform(where), whole)
    torch.testing.assert_close(transform.jacobian(where), slopes)
    assert transform(where.reshape(4, 25, 3)).shape == (4, 25, 3)
    assert whole.dtype == slopes.dtype == torch.float32


def test_its_inverse_is_found_on_a_grid() -> None:
    transform = fit_thin_plate(*pairs(3))
    with pytest.raises(NotInvertible, match="approximate_inverse"):
        transform.inverse()
    with pytest.raises(UsageError, match="ThinPlate has no grid of its own"):
        approximate_inverse(transform)
    found = approximate_inverse(transform, Grid.from_spacing((9, 9, 9), 6.0))
    assert found.share_found == 1.0
    assert found.largest_error_mm < 0.5


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_that_leave_it_open_are_refused(ndim: int) -> None:
    fixed, moving = pairs(ndim)
    cases = {
        f"at least {ndim + 1} point pairs": (fixed[:ndim], moving[:ndim]),
        "lie on one": (
            fixed * torch.tensor([1.0, 1.0, 0.0][:ndim]) if ndim == 3 else fixed[:, :1].expand(-1, 2),
            moving,
        ),
        "or coincide": (fixed[:1].expand(9, ndim), moving[:9]),
        r"number 2 and number 6 \(from 0\) coincide": (
            torch.cat((fixed[:6], fixed[2:3] + 1e-9, fixed[7:])),
            moving,
        ),
        "paired points": (fixed, moving[1:]),
        "finite points": (fixed, moving * torch.inf),
    }
    for message, (one, other) in cases.items():
        with pytest.raises(UsageError, match=message) as caught:
            fit_thin_plate(one, other)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"smoothing of at least zero, got -1"):
        fit_thin_plate(fixed, moving, -1.0)
    lightly = torch.zeros(len(fixed)).index_fill(0, torch.arange(ndim), 1.0)
    with pytest.raises(
        UsageError, match=f"at least {ndim + 1} point pairs with a weight above zero, got {ndim}"
    ):
        fit_thin_plate(fixed, moving, 0.0, lightly)
    # With a smoothing, one place may be given twice.
    twice = torch.cat((fixed, fixed[:1])), torch.cat((moving, moving[:1] + 1.0))
    assert torch.isfinite(fit_thin_plate(*twice, 0.01)(fixed)).all()


def test_numbers_that_do_not_fit_are_refused() -> None:
    fixed, moving = pairs(3)
    with pytest.raises(UsageError, match=r"\(k, 3\).*\(25, 3\) and \(24, 3\)"):
        ThinPlate(fixed, moving[1:], Linear.identity(3))
    with pytest.raises(UsageError, match="affine part"):
        ThinPlate(fixed, moving, Linear.identity(2))
    with pytest.raises(UsageError, match="finite weights"):
        ThinPlate(fixed, moving * torch.nan, Linear.identity(3))
