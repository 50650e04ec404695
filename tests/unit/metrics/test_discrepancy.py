"""Discrepancies of beliefs: the figures the method's authors have, scipy's distances, and what each of them sees."""

import pytest
import torch
from scipy.stats import wasserstein_distance
from torch.nn.functional import one_hot

from inforeg.errors import UsageError
from inforeg.metrics.discrepancy import (
    AbsoluteDiscrepancy,
    MeanOfDiscrepancies,
    ProjectedEarthMover,
    SlicedWasserstein,
    directions_over,
)

GRID = torch.cartesian_prod(torch.arange(-2.0, 3.0), torch.arange(-2.0, 3.0))


def sure_of(*displacement):
    """A belief in one displacement of the grid."""
    number = int((GRID - torch.tensor(displacement).float()).norm(dim=1).argmin())
    return one_hot(torch.tensor([number]), len(GRID)).float()


def beliefs(count, seed):
    return torch.softmax(2 * torch.randn(count, 25, generator=torch.Generator().manual_seed(seed)), 1)


@pytest.mark.parametrize(
    ("span", "expected"),
    [(90.0, (0.628, 1.255, 0.559, 1.883, 0.975)), (180.0, (0.635, 0.897, 0.897, 1.425, 1.425))],
)
def test_single_displacements_are_as_far_apart_as_is_known(span, expected):
    distance = ProjectedEarthMover(GRID, 16, span)
    for displacement, value in zip(((1, 0), (1, 1), (1, -1), (2, 1), (2, -1)), expected, strict=True):
        assert float(distance(sure_of(*displacement), sure_of(0, 0))) == pytest.approx(value, abs=6e-4)


@pytest.mark.parametrize(("count", "span"), [(1, 90.0), (2, 90.0), (16, 90.0), (7, 180.0)])
def test_every_direction_has_the_earth_movers_distance(count, span):
    one, other = beliefs(5, 0), beliefs(5, 1)
    found = ProjectedEarthMover(GRID, count, span).each(one, other)
    for n in range(5):
        expected = [
            wasserstein_distance(*[(GRID.double() @ way).numpy()] * 2, one[n].numpy(), other[n].numpy())
            for way in directions_over(2, count, span)
        ]
        assert float(found[n]) == pytest.approx(sum(expected) / count, rel=1e-4)


def test_in_three_dimensions_length_counts_and_direction_hardly():
    line = torch.arange(-1.0, 2.0)
    grid = torch.cartesian_prod(line, line, line)
    distance = ProjectedEarthMover(grid, 64)
    still = one_hot(torch.tensor([13]), 27).float()
    for number in range(27):
        found = float(distance(one_hot(torch.tensor([number]), 27).float(), still))
        assert found == pytest.approx(0.5 * float(grid[number].norm()), rel=0.06)


def test_the_order_of_a_batch_matters_to_the_earth_mover_alone():
    one, other = beliefs(32, 2), beliefs(32, 3)
    order = torch.randperm(32, generator=torch.Generator().manual_seed(4))

    def sliced(first, second):
        return float(SlicedWasserstein(128, torch.Generator().manual_seed(5))(first, second))

    assert sliced(one[order], other) == pytest.approx(sliced(one, other), rel=1e-5)
    mover = ProjectedEarthMover(GRID, 16)
    assert abs(float(mover(one[order], other)) - float(mover(one, other))) > 1e-3


def test_sliced_distances_do_not_see_where_classes_lie_and_the_earth_mover_does():
    still, near, far = sure_of(0, 0), sure_of(1, 0), sure_of(2, 2)

    def sliced(first, second):
        return float(SlicedWasserstein(4096, torch.Generator().manual_seed(6))(first, second))

    assert sliced(near, still) == pytest.approx(sliced(far, still), rel=0.1)
    mover = ProjectedEarthMover(GRID, 16)
    assert float(mover(far, still)) > 2.5 * float(mover(near, still))


@pytest.mark.parametrize(
    "make",
    [
        AbsoluteDiscrepancy,
        lambda: SlicedWasserstein(16, torch.Generator().manual_seed(9)),
        lambda: ProjectedEarthMover(GRID, 4),
    ],
    ids=["l1", "swd", "pemd"],
)
def test_nothing_is_between_the_same_and_slopes_lead_there(make):
    one, other = beliefs(8, 7), beliefs(8, 8).requires_grad_()
    assert float(make()(one, one.clone())) == 0
    cost = make()(one, other)
    (slope,) = torch.autograd.grad(cost, other)
    nearer = (other - 1e-2 * slope / slope.norm()).detach()
    assert float(make()(one, nearer)) < float(cost.detach())


def test_parts_weigh_alike_whatever_their_units():
    wide = MeanOfDiscrepancies([ProjectedEarthMover(1000 * GRID, 4), AbsoluteDiscrepancy()])
    for seed in range(20):
        wide(beliefs(8, seed), beliefs(8, seed + 100))
    assert float(wide.means[0] / wide.means[1]) > 1000
    assert float(wide(beliefs(8, 50), beliefs(8, 150))) == pytest.approx(1, abs=0.3)
    wide.eval()
    before = wide.means.clone()
    wide(beliefs(8, 51), beliefs(8, 52))
    assert torch.equal(wide.means, before)


def test_no_direction_is_refused():
    with pytest.raises(UsageError, match="at least one direction, got 0"):
        ProjectedEarthMover(GRID, 0)
