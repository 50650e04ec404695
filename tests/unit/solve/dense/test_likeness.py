"""Metrics by name: what each looks at, on levels of any voxels, and with masks."""

from typing import get_args

import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg.cli import names
from inforeg.image import Image, find_foreground
from inforeg.image.intensity import window
from inforeg.solve.dense import neural_tables
from inforeg.solve.dense.compared import Lengths, Scene, Sight
from inforeg.solve.dense.likeness import MetricName, comparison
from inforeg.solve.dense.tables import BINS
from inforeg.space import Grid
from inforeg.transforms import Linear

METRICS = get_args(MetricName)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that learn from fewer samples, in fewer steps."""
    monkeypatch.setattr(neural_tables, "_SAMPLES", 1024)
    monkeypatch.setattr(neural_tables, "_NEW", 80)


def sight_of(fixed: Image, moving: Image, linear: Linear, mask: torch.Tensor | None = None) -> Sight:
    box = tuple(slice(1, n) for n in fixed.grid.shape)
    weight = torch.ones(fixed.grid.shape)[box].contiguous()
    return Sight(fixed, box, weight, moving, mask, linear)


def scene_of(fixed: Image, moving: Image) -> Scene:
    found = find_foreground(fixed), find_foreground(moving)
    windows = window(fixed), window(moving)
    lengths = Lengths(12.0, 36.0, 10.0, 8.0)
    return Scene(fixed, moving, *found, windows, lengths, torch.Generator().manual_seed(0))


def pair(ndim: int) -> tuple[Image, Image]:
    """A head on voxels of different sizes, and another contrast of it on others."""
    sides = [3.0, 5.0] if ndim == 2 else [6.0, 5.0, 8.0]
    shape = [round(190 / side) for side in sides]
    return phantom(Grid.from_spacing(shape, sides)), phantom(field_of_view(ndim, 4.0), "t2", seed=5)


def test_the_command_line_knows_them() -> None:
    assert names.DEFORMABLE_METRICS == METRICS


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", METRICS)
def test_what_is_warped_fits_what_is_asked(name: MetricName, ndim: int) -> None:
    """In 2-D and 3-D, on anisotropic voxels, with a mask or without; and it tells more of a head than of noise."""
    fixed, moving = pair(ndim)
    linear = Linear.identity(ndim)
    mask = torch.ones(moving.grid.shape)
    mask[: moving.grid.shape[0] // 2] = 0
    compared = comparison(name, scene_of(fixed, moving))
    told = []
    for given in (None, mask):
        seen = compared.on(sight_of(fixed, moving, linear, given))
        assert seen.moving.data.shape[1] in (seen.channels, seen.channels + 1)
        assert given is None or seen.moving.data.shape[1] == seen.channels + 1
        box = tuple(slice(1, n) for n in fixed.grid.shape)
        # Read where the fixed image's voxels are, by the nearest of its own.
        voxel = seen.moving.grid.to_voxel(seen.linear(fixed.grid.points_mm())).round().long()
        last = torch.tensor(seen.moving.grid.shape) - 1
        place = torch.minimum(voxel.clamp(min=0), last).T
        values = seen.moving.data[0][(slice(None), *place)].reshape(-1, *fixed.grid.shape)
        inside = torch.ones(fixed.grid.shape) if given is None else values[-1]
        warped = values[0] if seen.channels == 1 else values[: seen.channels]
        warped, inside = (v[(..., *box)].contiguous() for v in (warped, inside))
        here = seen.likeness(warped, inside)
        assert here.slope.shape == here.curvature.shape == warped.shape
        assert bool(here.slope.isfinite().all()) and float(here.curvature.min()) >= 0
        shuffled = warped.flatten(-inside.ndim)
        order = torch.randperm(shuffled.shape[-1], generator=torch.Generator().manual_seed(1))
        told.append((here.nats, seen.likeness(shuffled[..., order].reshape(warped.shape), inside).nats))
    for related, unrelated in told:
        assert related > unrelated + 0.02


def test_partners_come_from_the_neighbourhood() -> None:
    """A length in voxels, along each axis; from everywhere where it is not local."""
    fixed, moving = pair(2)
    found = [
        comparison(name, scene_of(fixed, moving)).on(sight_of(fixed, moving, Linear.identity(2))).likeness
        for name in ("mine", "mine_local")
    ]
    assert [type(likeness) for likeness in found] == [neural_tables.NeuralTables] * 2
    # 8 mm, on voxels of 3 by 5 mm.
    assert [likeness.reach for likeness in found] == [None, [3, 2]]  # type: ignore[attr-defined]


def test_descriptors_are_of_the_moving_image_as_it_lies() -> None:
    """A turned head is turned back before it is described: to less than noise would change."""
    fixed = phantom(field_of_view(2, 3.0))
    linear = turn(60.0, 2, (12.0, -9.0))
    straight, turned = (
        comparison("mind_ssc", scene_of(fixed, fixed)).on(sight_of(fixed, moving, way))
        for moving, way in (
            (phantom(field_of_view(2, 3.0), "t1"), Linear.identity(2)),
            (phantom(field_of_view(2, 2.0, 110.0), "t1", linear), linear),
        )
    )
    assert turned.moving.grid.same_as(fixed.grid, 1e-6)
    assert torch.equal(turned.linear.matrix, torch.eye(3, dtype=torch.float64))
    one, other = (compared.moving.data[0, :4][:, 15:-15, 15:-15] for compared in (straight, turned))
    assert float((one - other).square().mean()) < 0.3 * float(one.var(unbiased=False))


@pytest.mark.parametrize("name", ["mi", "lncc"])
def test_intensities_are_in_the_window_of_their_image(name: MetricName) -> None:
    """Whatever their scale; and a few very bright voxels do not change it."""
    fixed, moving = pair(2)
    scaled = Image(moving.data * 5000 + 300, moving.grid)
    scaled.data[0, 0, 30, 30] = 1e7
    one, other = (
        comparison(name, scene_of(fixed, seen)).on(sight_of(fixed, seen, Linear.identity(2))).moving.data
        for seen in (moving, scaled)
    )
    assert float(one.min()) >= 0 and float(one.max()) <= BINS - 1
    change = (one - other).abs()
    change[0, 0, 30, 30] = 0
    assert float(change.max()) < 0.2
    assert float(one.std()) > 5
