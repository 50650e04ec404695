"""Tables of the neighbourhood: their slopes, and what they do not take for structure."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from inforeg.solve.dense import tables
from inforeg.solve.dense.tables import BINS, JointTables, Places
from inforeg.solve.dense.told import Told
from inforeg.space import Grid

SHAPE = (60, 70)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def whole(shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, n) for n in shape)


def tell(fixed: Tensor, warped: Tensor, size_mm: float = 1e6, weight: Tensor | None = None) -> Told:
    """What two images tell, where a block is of this size and a voxel of 1 mm."""
    grid = Grid.from_spacing(tuple(fixed.shape), 1.0)
    ones = torch.ones_like(fixed)
    places = Places(grid, whole(grid.shape), size_mm)
    return JointTables(fixed, ones if weight is None else weight, places)(warped, ones)


def related(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two images, clear of the first and the last bins; one is a noisy function of the other, which rises and falls."""
    clean = torch.rand(shape, generator=generator(seed)) * 16 + 7
    noise = torch.randn(shape, generator=generator(seed + 1))
    return clean, (25 - 0.12 * (clean - 13).square() + noise).clamp(5, 26)


def by_hand(fixed: Tensor, warped: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """One table for all: shared between bins, smoothed, with what it borrows of itself; and its information."""
    edges = np.zeros((BINS, BINS))
    rows, columns = fixed.double().numpy().ravel(), warped.double().numpy().ravel()
    low = np.floor(rows).astype(int), np.floor(columns).astype(int)
    beyond = rows - low[0], columns - low[1]
    for i in (0, 1):
        for j in (0, 1):
            share = np.abs(1 - i - beyond[0]) * np.abs(1 - j - beyond[1])
            np.add.at(edges, (low[0] + i, low[1] + j), share)
    kernel = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        edges = correlate1d(edges, kernel, axis=axis, mode="constant")
    joint = edges / edges.sum()
    joint = (joint + 0.05 * (joint + 1e-7)) / 1.05
    return joint, np.log(joint / joint.sum(1, keepdims=True) / joint.sum(0, keepdims=True))


def test_slopes_are_differences_of_the_smoothed_tables_information() -> None:
    """At whole bins, to the digits of float32."""
    fixed, warped = (values.round() for values in related())
    told = tell(fixed, warped)
    _, information = by_hand(fixed, warped)
    rows, columns = fixed.long().numpy(), warped.long().numpy()
    wanted = (information[rows, columns + 1] - information[rows, columns - 1]) / 2
    assert np.abs(told.slope.numpy() - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_between_bins_slopes_are_means_of_their_neighbours() -> None:
    fixed, warped = related()
    _, information = by_hand(fixed, warped)
    slopes = np.gradient(information, axis=1)
    low, high = fixed.floor(), warped.floor()
    rows, columns = low.long().numpy(), high.long().numpy()
    up, along = (fixed - low).numpy(), (warped - high).numpy()
    wanted = (1 - up) * (1 - along) * slopes[rows, columns] + (1 - up) * along * slopes[rows, columns + 1]
    wanted += up * (1 - along) * slopes[rows + 1, columns] + up * along * slopes[rows + 1, columns + 1]
    assert np.abs(tell(fixed, warped).slope.numpy() - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_curvatures_are_the_squares_to_be_expected_of_a_fixed_intensity() -> None:
    fixed, warped = related()
    joint, information = by_hand(fixed, warped)
    squares = np.gradient(information, axis=1) ** 2
    expected = (joint * squares).sum(1) / joint.sum(1)
    wanted = expected[fixed.long().numpy()]
    assert np.abs(tell(fixed, warped).curvature.numpy() - wanted).max() < 1e-4 * wanted.max()


def test_images_that_tell_nothing_of_each_other() -> None:
    """No more information than chance gives a smoothed table, and next to no slope."""
    shape = (300, 300)
    fixed = torch.rand(shape, generator=generator(0)) * 20 + 5
    warped = torch.rand(shape, generator=generator(1)) * 20 + 5
    told, kin = tell(fixed, warped), tell(*related(shape))
    assert 0 <= told.nats < 0.002 < 0.5 < kin.nats
    assert float(told.curvature.mean()) < 0.01 * float(kin.curvature.mean())


def test_the_information_is_that_of_the_table() -> None:
    fixed, warped = related()
    joint, information = by_hand(fixed, warped)
    assert tell(fixed, warped).nats == pytest.approx(float((joint * information).sum()), rel=1e-5)


def shaded() -> tuple[Tensor, Tensor, Tensor]:
    """Two noises under one slow light, which is all they share; and how bright it is."""
    across = torch.linspace(-1, 1, 200)
    light = (12 * across)[:, None].expand(200, 200)
    fixed, warped = (
        (15.5 + light + torch.randn(200, 200, generator=generator(seed))).clamp(0, BINS - 1)
        for seed in (0, 1)
    )
    return fixed, warped, light


def test_local_tables_are_not_pulled_by_slow_light_as_one_table_is() -> None:
    fixed, warped, _ = shaded()
    one, local = tell(fixed, warped), tell(fixed, warped, size_mm=10.0)
    assert one.nats > 1
    assert local.nats < 0.25 * one.nats
    assert float(local.curvature.mean()) < 0.15 * float(one.curvature.mean())
    # A moving image that is a little too bright is pulled to where it is darker, but for a tenth.
    pulls = [
        abs(float(tell(fixed, (warped + 1.5).clamp(max=BINS - 1), size).slope.mean())) for size in (1e6, 10.0)
    ]
    assert pulls[1] < 0.1 * pulls[0]


def test_local_tables_see_what_is_there_as_well_as_one_table_does() -> None:
    fixed, warped = related((200, 200))
    assert tell(fixed, warped, size_mm=40.0).nats == pytest.approx(tell(fixed, warped).nats, rel=0.1)


def test_what_has_no_weight_is_not_looked_at() -> None:
    fixed, warped = related()
    weight = torch.ones(SHAPE)
    weight[:, 40:] = 0
    told = tell(fixed, warped, 20.0, weight)
    others = [values.clone() for values in (fixed, warped)]
    for values in others:
        values[:, 40:] = 3.0
    again = tell(*others, 20.0, weight)
    for one, other in ((told.slope, again.slope), (told.curvature, again.curvature)):
        assert torch.equal(one[:, :40], other[:, :40])
        assert float(one[:, 40:].abs().max()) == float(other[:, 40:].abs().max()) == 0
    assert told.nats == again.nats


def test_what_the_moving_image_does_not_see_is_not_looked_at() -> None:
    fixed, warped = related()
    grid = Grid.from_spacing(SHAPE, 1.0)
    inside = torch.ones(SHAPE)
    inside[30:] = 0
    joint = JointTables(fixed, torch.ones(SHAPE), Places(grid, whole(SHAPE), 20.0))
    told = joint(warped, inside)
    other = warped.clone()
    other[30:] = 9.0
    again = joint(other, inside)
    assert torch.equal(told.slope, again.slope) and told.nats == again.nats
    assert float(told.slope[30:].abs().max()) == float(told.curvature[30:].abs().max()) == 0


def test_nothing_to_look_at_tells_nothing() -> None:
    fixed, warped = related()
    told = tell(fixed, warped, 20.0, torch.zeros(SHAPE))
    assert float(told.slope.abs().max()) == float(told.curvature.abs().max()) == 0
    assert told.nats == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shape", [(120, 140), (30, 24, 28)])
def test_a_selection_counts_for_all(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """A table from a quarter of the voxels or less says of every voxel about what one from all of them says."""
    fixed, warped = related(shape)
    told = tell(fixed, warped)
    monkeypatch.setattr(tables, "_COUNTED", fixed.numel() // 6)
    thin = tell(fixed, warped)
    assert thin.slope.shape == told.slope.shape
    assert not torch.equal(thin.slope, told.slope)
    assert thin.nats == pytest.approx(told.nats, rel=0.05)
    together = torch.corrcoef(torch.stack((thin.slope.flatten(), told.slope.flatten())))[0, 1]
    assert float(together) > 0.97


def test_the_first_and_the_last_bin_are_bins_too() -> None:
    fixed = torch.zeros(40, 40)
    fixed[20:] = BINS - 1
    told = tell(fixed, BINS - 1 - fixed)
    assert bool(told.slope.isfinite().all()) and bool(told.curvature.isfinite().all())
    assert told.nats == pytest.approx(float(torch.tensor(2.0).log()), abs=0.01)


def test_blocks_are_about_of_one_size_and_in_the_order_of_their_voxels() -> None:
    grid = Grid.from_spacing((30, 20, 7), (1.0, 2.0, 1.0))
    places = Places(grid, (slice(0, 30), slice(5, 20), slice(0, 7)), 11.0)
    assert places.counts == [3, 3, 1]
    assert places.index.shape == (30, 15, 7)
    assert places.index.unique().tolist() == list(range(9))
    _, sizes = places.index.unique(return_counts=True)
    assert sizes.tolist() == [10 * 5 * 7] * 9
    assert places.index[0, 0, 0] == 0 and places.index[29, 14, 6] == 8 and places.index[0, 14, 0] == 2
