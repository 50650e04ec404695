"""Normalised mutual information from one table: its slope is its own, and not that of mutual information."""

import pytest
import torch
from torch import Tensor
from unit.solve.dense.intensities import generator, related

from inforeg.solve.dense.normalised_table import NormalisedTable
from inforeg.solve.dense.tables import JointTables, Places
from inforeg.space import Grid

SHAPE = (90, 80)


def table(kind: type[JointTables], fixed: Tensor) -> JointTables:
    grid = Grid.from_spacing(SHAPE, 1.0)
    places = Places(grid, tuple(slice(0, n) for n in SHAPE), float("inf"))
    assert places.counts == [1, 1]
    return kind(fixed, torch.ones(SHAPE), places)


def entropies(likeness: JointTables, warped: Tensor) -> tuple[float, float, float]:
    """Of fixed, of warped, and of both, by the table that is counted."""
    ones = torch.ones(SHAPE)
    column = warped.long()
    tables, _ = likeness._smoothed(likeness._counted(column, warped - column, ones))
    joint = tables[0]
    return tuple(  # type: ignore[return-value]
        float(-(p * p.log()).sum()) for p in (joint.sum(1), joint.sum(0), joint)
    )


def test_the_slope_is_that_of_the_logarithm_of_the_measure() -> None:
    """Against differences, to two hundredths of what follows the fixed image: in that direction, and in one that takes
    from the warped image's own entropy as much as from the joint one, where mutual information would fall.
    """
    fixed, warped = related(SHAPE)
    likeness, plain = (table(kind, fixed) for kind in (NormalisedTable, JointTables))
    ones = torch.ones(SHAPE)
    slope, other = (kind(warped, ones).slope for kind in (likeness, plain))
    joint = entropies(likeness, warped)[2]
    wanted, found, unlike = [], [], []
    for change in ((fixed - 15) / 8, (16 - warped) / 8):
        logs = []
        for step in (0.1, -0.1):
            one, two, both = entropies(likeness, warped + step * change)
            logs.append(float(torch.tensor((one + two) / both).log()))
        wanted.append(joint * fixed.numel() * (logs[0] - logs[1]) / 0.2)
        found.append(float((slope * change).sum()))
        unlike.append(float((other * change).sum()))
    allowed = 0.02 * abs(wanted[0])
    assert found == pytest.approx(wanted, abs=allowed)
    assert abs(wanted[1]) < allowed < 0.3 * abs(unlike[1])


def test_information_and_chance_are_those_of_the_table() -> None:
    fixed, warped = related(SHAPE)
    one, other = (table(kind, fixed) for kind in (JointTables, NormalisedTable))
    ones = torch.ones(SHAPE)
    assert one(warped, ones).nats == other(warped, ones).nats
    assert one.chance(5000) == other.chance(5000)
    unrelated = torch.rand(SHAPE, generator=generator(5)) * 18 + 7
    told = other(unrelated, ones)
    assert told.nats < 3 * other.chance(fixed.numel()) < 0.03
    assert float(told.curvature.min()) >= 0


def test_images_that_share_little_are_compared_as_by_mutual_information() -> None:
    fixed, warped = related(SHAPE)
    warped = 0.2 * warped + 0.8 * (torch.rand(SHAPE, generator=generator(6)) * 18 + 7)
    ones = torch.ones(SHAPE)
    slopes = [table(kind, fixed)(warped, ones).slope.flatten() for kind in (JointTables, NormalisedTable)]
    assert float(torch.corrcoef(torch.stack(slopes))[0, 1]) > 0.95
