"""What a network has learnt of two intensities: read off as tables, local or not, the same for the same seed."""

import pytest
import torch
from torch import Tensor
from unit.solve.dense.intensities import generator, related

from inforeg.solve.dense import neural_tables
from inforeg.solve.dense.neural_tables import Learner, NeuralTables
from inforeg.solve.dense.tables import BINS, JointTables, Places
from inforeg.space import Grid

SHAPE = (120, 100)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples for each step, and fewer steps."""
    monkeypatch.setattr(neural_tables, "_SAMPLES", 1024)
    monkeypatch.setattr(neural_tables, "_NEW", 120)


def by_network(
    fixed: Tensor,
    weight: Tensor | None = None,
    reach: tuple[int, ...] | None = None,
    size_mm: float = float("inf"),
    seed: int = 0,
) -> NeuralTables:
    places = Places(Grid.from_spacing(SHAPE, 1.0), tuple(slice(0, n) for n in SHAPE), size_mm)
    ones = torch.ones(SHAPE)
    learner = Learner(generator(seed), torch.device("cpu"))
    return NeuralTables(fixed, ones if weight is None else weight, places, learner, reach)


@pytest.mark.parametrize("reach", [None, (8, 8)])
def test_it_learns_what_a_table_counts(reach: tuple[int, ...] | None) -> None:
    fixed, warped = related(SHAPE)
    ones = torch.ones(SHAPE)
    told = by_network(fixed, reach=reach)(warped, ones)
    places = Places(Grid.from_spacing(SHAPE, 1.0), tuple(slice(0, n) for n in SHAPE), float("inf"))
    counted = JointTables(fixed, ones, places)(warped, ones)
    assert told.nats == pytest.approx(counted.nats, rel=0.15)
    together = torch.corrcoef(torch.stack((told.slope.flatten(), counted.slope.flatten())))[0, 1]
    assert float(together) > 0.9
    assert float(told.curvature.min()) >= 0
    # What a line with this noise has, of which smoothing takes from the table's.
    exact = 0.7**2 * 4**2 / (0.7**2 * 4**2 + 3**2) / 3**2
    assert float(told.curvature.mean()) == pytest.approx(exact, rel=0.3)


@pytest.mark.parametrize("size_mm", [float("inf"), 40.0])
def test_the_slope_is_that_of_the_information(size_mm: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that learns no more, against differences: but for what the smoothing of counts makes."""
    fixed, warped = related(SHAPE)
    ones = torch.ones(SHAPE)
    likeness = by_network(fixed, reach=(8, 8), size_mm=size_mm)
    likeness(warped, ones)
    monkeypatch.setattr(neural_tables, "_FURTHER", 0)
    likeness.steps = 0
    slope = likeness(warped, ones).slope
    change = (fixed - 15) / 8
    up, down = (likeness(warped + step * change, ones) for step in (0.1, -0.1))
    wanted = fixed.numel() * (up.nats - down.nats) / 0.2
    assert float((slope * change).sum()) == pytest.approx(wanted, rel=0.1)


def test_images_that_tell_nothing_of_each_other() -> None:
    fixed, _ = related(SHAPE)
    unrelated = 15.5 + 4 * torch.randn(SHAPE, generator=generator(7))
    likeness = by_network(fixed)
    told = likeness(unrelated.clamp(1, 30), torch.ones(SHAPE))
    assert abs(told.nats) < 0.01
    assert likeness.chance(fixed.numel()) < 0.01


def shaded() -> tuple[Tensor, Tensor]:
    """Two noises under one slow light, which is all they share."""
    light = torch.linspace(-10, 10, SHAPE[0])[:, None].expand(SHAPE)
    fixed, warped = (15.5 + light + torch.randn(SHAPE, generator=generator(seed)) for seed in (3, 4))
    return fixed.clamp(0, BINS - 1), warped.clamp(0, BINS - 1)


def test_partners_from_nearby_do_not_take_light_for_structure() -> None:
    fixed, warped = shaded()
    ones = torch.ones(SHAPE)
    everywhere = by_network(fixed)(warped, ones)
    nearby = by_network(fixed, reach=(5, 5), size_mm=10.0)(warped, ones)
    assert everywhere.nats > 0.8
    assert nearby.nats < 0.15 * everywhere.nats
    assert float(nearby.curvature.mean()) < 0.15 * float(everywhere.curvature.mean())


def test_the_same_seed_gives_the_same_bits_and_the_global_stream_is_left_alone() -> None:
    fixed, warped = related(SHAPE)
    before = torch.random.get_rng_state()
    first, again, other = (
        by_network(fixed, reach=(4, 4), seed=seed)(warped, torch.ones(SHAPE)) for seed in (0, 0, 1)
    )
    assert torch.equal(first.slope, again.slope) and first.nats == again.nats
    assert not torch.equal(first.slope, other.slope)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_not_seen_is_not_looked_at() -> None:
    fixed, warped = related(SHAPE)
    weight, inside = torch.ones(SHAPE), torch.ones(SHAPE)
    weight[:30], inside[:, :20] = 0, 0
    unseen = weight * inside == 0
    told, again = (
        by_network(torch.where(unseen, junk, fixed), weight, (6, 6))(
            torch.where(unseen, junk, warped), inside
        )
        for junk in (2.0, 25.0)
    )
    assert torch.equal(told.slope, again.slope) and told.nats == again.nats
    assert float(told.slope[unseen].abs().max()) == float(told.curvature[unseen].max()) == 0


def test_nothing_to_look_at_tells_nothing() -> None:
    fixed, warped = related(SHAPE)
    told = by_network(fixed)(warped, torch.zeros(SHAPE))
    assert float(told.slope.abs().max()) == float(told.curvature.abs().max()) == 0
    assert told.nats == pytest.approx(0, abs=1e-9)
