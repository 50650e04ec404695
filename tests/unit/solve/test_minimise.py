import pytest
import torch
from phantoms import RADIUS_MM, error_mm, pose
from torch import Tensor, nn

from inforeg.models import LinearUnknowns
from inforeg.solve.minimise import minimise
from inforeg.transforms import Linear, Transform, group


def unknowns(name: str = "rigid", ndim: int = 3) -> LinearUnknowns:
    return LinearUnknowns(
        group(name, ndim), Linear.identity(ndim), torch.zeros(ndim, dtype=torch.float64), RADIUS_MM
    )


class Objective:
    """The mean square distance, in radii, between where two transforms take points; with noise if asked for."""

    def __init__(self, truth: Linear, noise: float = 0.0) -> None:
        self.truth, self.noise, self.calls = truth, noise, 0
        self.generator = torch.Generator().manual_seed(0)
        axis = torch.linspace(-1, 1, 4, dtype=torch.float64) * RADIUS_MM
        self.points = torch.cartesian_prod(*[axis] * truth.ndim)

    def __call__(self, transform: Transform) -> Tensor:
        self.calls += 1
        off = (transform(self.points) - self.truth(self.points)) / RADIUS_MM
        push = self.noise * torch.randn(off.shape, generator=self.generator, dtype=torch.float64)
        return (off + push).square().sum(1).mean()


@pytest.mark.parametrize(("name", "ndim"), [("rigid", 2), ("rigid", 3), ("affine", 3)])
def test_the_bottom_of_a_bowl_is_found(name: str, ndim: int) -> None:
    model, truth = unknowns(name, ndim), pose(name, ndim, 0.1)
    trace, _status = minimise(model, Objective(truth), steps=300, lr=0.01, tolerance=1e-7)
    assert error_mm(model(), truth) < 0.05
    assert trace[-1] < 1e-3 * trace[0]


def test_it_stops_on_a_plateau_and_says_so() -> None:
    objective = Objective(pose("rigid", 3, 0.1))
    trace, status = minimise(unknowns(), objective, steps=2000, lr=0.02)
    assert status == "converged"
    assert len(trace) == objective.calls < 600


def test_it_does_not_stop_on_a_slope() -> None:
    trace, status = minimise(unknowns(), Objective(pose("rigid", 3, 0.5)), steps=100, lr=1e-4, tolerance=1e-5)
    assert status == "steps"
    assert len(trace) == 100


def test_it_ends_at_the_mean_of_the_last_steps_which_is_less_noisy() -> None:
    truth = pose("rigid", 3, 0.05)
    model = unknowns()
    seen: list[Tensor] = []
    noisy = Objective(truth, noise=1.0)

    def watched(transform: Transform) -> Tensor:
        seen.append(model.parameters_.detach().clone())
        return noisy(transform)

    minimise(model, watched, steps=150, lr=0.02, window=25, tolerance=-1.0)
    # What was seen in a step is what the step before it led to; the last one's end was never seen.
    mean, late = model.parameters_.detach(), torch.stack(seen[-24:])
    assert float((25 * mean - late.sum(0) - late[-1]).norm()) < 0.1
    assert error_mm(model.at(mean), truth) < sum(error_mm(model.at(v), truth) for v in late) / len(late)


class Pull(nn.Module):
    """A metric's own weight, which should go to two."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))


def test_weights_of_the_metric_move_by_a_rate_of_their_own() -> None:
    metric, model, truth = Pull(), unknowns(), pose("rigid", 3, 0.05)
    bowl = Objective(truth)
    minimise(
        model,
        lambda t: bowl(t) + (metric.weight - 2).square(),
        steps=400,
        lr=0.01,
        weights=metric,
        weights_lr=0.05,
        tolerance=1e-9,
    )
    assert float(metric.weight.detach()) == pytest.approx(2.0, abs=0.05)
    assert error_mm(model(), truth) < 0.05


def test_a_cost_that_is_no_number_ends_it_before_it_spoils_anything() -> None:
    model, truth = unknowns(), pose("rigid", 3, 0.1)
    bowl = Objective(truth)

    def breaks(transform: Transform) -> Tensor:
        cost = bowl(transform)
        return cost * float("nan") if bowl.calls > 10 else cost

    trace, status = minimise(model, breaks, steps=100, lr=0.01)
    assert status == "diverged"
    assert len(trace) == 10
    assert bool(torch.isfinite(model.parameters_).all())
    assert 0 < error_mm(model(), truth) < error_mm(Linear.identity(3), truth)


def test_a_cost_that_is_no_number_at_once_leaves_the_start() -> None:
    model = unknowns()
    trace, status = minimise(model, lambda t: t(torch.zeros(1, 3)).sum() * float("nan"), steps=10, lr=0.01)
    assert (trace, status) == ([], "diverged")
    assert torch.equal(model().matrix.detach(), Linear.identity(3).matrix)
