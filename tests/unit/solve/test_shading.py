import pytest
import torch
from phantoms import RADIUS_MM, error_mm, field_of_view, landmarks, moved_view, phantom, pose

from inforeg.image import Image
from inforeg.solve.information import SampledInformation
from inforeg.solve.newton import climb
from inforeg.solve.shading import Shading, basis, estimate_shading, shade
from inforeg.transforms import Linear, group

# Mean gain of a field of this depth is one; its log runs from about -0.3 to 0.5.
DEPTH = 0.35


def objective(
    ndim: int, fixed_depth: float, moving_depth: float, name: str = "rigid"
) -> tuple[SampledInformation, Linear]:
    grid, truth = field_of_view(ndim), pose("rigid", ndim, 0.06)
    fixed = phantom(grid, "t1", shading=fixed_depth)
    moving = phantom(moved_view(grid, truth), "t2", truth, shading=moving_depth, seed=3)
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(30_000, ndim, generator=generator, dtype=torch.float64) * 2 - 1
    points = RADIUS_MM * points[points.norm(dim=1) < 1]
    measured = SampledInformation(
        fixed, moving, points, group(name, ndim), torch.zeros(ndim).double(), RADIUS_MM, bins=32
    )
    return measured, truth


def top(measured: SampledInformation, start: Linear) -> Linear:
    centre = torch.zeros(start.ndim, dtype=torch.float64)
    return climb(
        measured, start, measured.group, centre, RADIUS_MM, steps=30, tolerance_mm=1e-3, longest_mm=5.0
    ).transform


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_basis_has_every_linear_and_quadratic_term_and_no_mean(ndim: int) -> None:
    points = torch.randn(200_000, ndim, generator=torch.Generator().manual_seed(0))
    ball = points / points.norm(dim=1, keepdim=True)
    ball = ball * torch.rand(len(points), 1, generator=torch.Generator().manual_seed(1)) ** (1 / ndim)
    fields = basis(ball)
    assert fields.shape[1] == ndim + ndim * (ndim + 1) // 2
    assert float(fields.mean(0).abs().max()) < 0.01
    assert float(torch.linalg.matrix_rank(fields.T @ fields / len(fields))) == fields.shape[1]
    # Beyond the rim the rim's value holds.
    assert torch.allclose(basis(3 * torch.eye(ndim)), basis(50 * torch.eye(ndim)))


@pytest.mark.parametrize(("fixed_depth", "moving_depth"), [(0.0, DEPTH), (DEPTH, 0.0), (DEPTH, DEPTH)])
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_field_that_was_put_on_is_found(ndim: int, fixed_depth: float, moving_depth: float) -> None:
    """The estimated gain follows the one that was applied, and information comes back."""
    measured, truth = objective(ndim, fixed_depth, moving_depth)
    shading = estimate_shading(measured, truth)
    clean = objective(ndim, 0.0, 0.0)[0](truth).information
    before, after = measured(truth).information, shade(measured, shading)(truth).information
    assert after > before + 0.8 * (clean - before) > before + 0.1
    points = landmarks(ndim)
    for depth, found, where in ((fixed_depth, shading.fixed, points), (moving_depth, shading.moving, None)):
        log_gain = basis((points / RADIUS_MM).float()) @ found
        if depth == 0:
            continue
        grid = field_of_view(ndim)
        moved = moved_view(grid, truth)
        view, at = (grid, points) if where is not None else (moved, truth(points))
        applied = depth * field_at(view, at)
        both = torch.stack((log_gain.double(), applied.double()))
        assert float(torch.corrcoef(both)[0, 1]) > 0.95
        assert float(log_gain.std() / applied.std()) == pytest.approx(1.0, abs=0.2)


def field_at(grid: object, points: torch.Tensor) -> torch.Tensor:
    """The phantom's field at points: linear in two axes and quadratic in the last, of the field of view."""
    half = (torch.tensor(grid.shape) - 1) / 2  # type: ignore[attr-defined]
    x = grid.to_voxel(points) / half - 1  # type: ignore[attr-defined]
    return 0.6 * x[:, 0] - 0.4 * x[:, 1] + 0.5 * x[:, -1].square()


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_pose_is_truer_with_the_shading_taken_out(ndim: int) -> None:
    measured, truth = objective(ndim, DEPTH, -DEPTH)
    plain = top(measured, truth)
    freed = top(shade(measured, estimate_shading(measured, plain)), plain)
    assert error_mm(freed, truth) < 0.6 * error_mm(plain, truth)


@pytest.mark.parametrize("ndim", [2, 3])
def test_where_there_is_none_next_to_none_is_found(ndim: int) -> None:
    measured, truth = objective(ndim, 0.0, 0.0)
    shading = estimate_shading(measured, truth)
    points = basis((landmarks(ndim) / RADIUS_MM).float())
    assert float((points @ shading.fixed).abs().max()) < 0.05
    assert float((points @ shading.moving).abs().max()) < 0.05
    # And the pose stays: within a fiftieth of a voxel.
    voxel = float(measured.moving.grid.spacing_mm[0])
    assert error_mm(top(shade(measured, shading), truth), top(measured, truth)) < voxel / 50


def test_taking_out_never_lowers_the_information() -> None:
    measured, truth = objective(3, 0.1, 0.2)
    for transform in (truth, Linear.identity(3)):
        shading = estimate_shading(measured, transform)
        assert shade(measured, shading)(transform).information >= measured(transform).information - 1e-4


def test_no_gain_beyond_what_is_shading() -> None:
    measured, truth = objective(3, 0.0, 2.5)
    shading = estimate_shading(measured, truth)
    assert float(torch.cat((shading.fixed, shading.moving)).abs().max()) <= 0.5


def test_no_information_is_made_out_of_nothing() -> None:
    """Noise under a field depends on the place, as the head does: that must not count as something they share."""
    grid = field_of_view(2)
    noise = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(6))
    points = torch.rand(30_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    nothing = SampledInformation(
        phantom(grid),
        Image(noise, grid),
        120 * points - 60,
        group("rigid", 2),
        torch.zeros(2).double(),
        RADIUS_MM,
    )
    here = Linear.identity(2)
    before = nothing(here).information
    after = shade(nothing, estimate_shading(nothing, here))(here).information
    assert before < 0.02
    assert after < before + 0.01


def test_shading_is_a_gain_by_the_exponential_of_its_field() -> None:
    measured, truth = objective(2, 0.0, 0.0)
    none = Shading(torch.zeros(5), torch.zeros(5))
    assert shade(measured, none)(truth).information == measured(truth).information
    tilted = Shading(torch.zeros(5), torch.tensor([0.4, 0.0, 0.0, 0.0, 0.0]))
    gain = torch.exp(-0.4 * basis(measured.points)[:, 0])
    expected = measured.with_gains(torch.ones(measured.count), gain)(truth).information
    assert shade(measured, tilted)(truth).information == pytest.approx(expected, rel=1e-6)
