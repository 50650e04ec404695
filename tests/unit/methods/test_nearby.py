"""The search of poses about a start: what it finds where coarse levels lead away, and what it leaves alone."""

from functools import cache

import pytest
import torch
from phantoms import error_mm, pose
from torch import Tensor

from inforeg.image import Image, resample
from inforeg.image.filters import smooth
from inforeg.methods import linear_method
from inforeg.methods.drmime import Drmime
from inforeg.methods.nearby import FIRST, Nearby
from inforeg.methods.pair import Pair, prepare_pair
from inforeg.methods.views import Sights, sights_of
from inforeg.solve.neural import Learning
from inforeg.space import Grid
from inforeg.transforms import Linear, group

SIZE, MARGIN = 96, 24
GRID = Grid.from_spacing((SIZE, SIZE), 2.0)
LEVEL = 0


def field(seed: int, sigma: float, grid: Grid) -> Image:
    """Smoothed noise of deviation 1."""
    noise = torch.randn(1, 1, *grid.shape, generator=torch.Generator().manual_seed(seed))
    found = smooth(Image(noise, grid), [sigma * float(s) for s in grid.spacing_mm])
    return Image(found.data / found.data.std(), grid)


@cache
def pair() -> tuple[Image, Image, Linear]:
    """Two pictures that share their details, bright in one and dark in the other, and not what is large in them."""
    truth = pose("similarity", 2, 0.2, seed=3)
    wide = Grid.from_spacing((SIZE + 2 * MARGIN,) * 2, 2.0)
    details = field(1, 1.5, wide)
    fixed = resample(details, GRID).data + 2.5 * field(2, 12.0, GRID).data
    moving = -resample(details, GRID, truth.inverse()).data + 2.5 * field(3, 12.0, GRID).data
    return Image(fixed, GRID), Image(moving, GRID), truth


@cache
def prepared() -> tuple[Pair, Sights]:
    fixed, moving, _ = pair()
    both = prepare_pair(fixed, moving, None, None)
    return both, sights_of(both, fixed, moving)


def nearby(name: str = "affine", seed: int = 0) -> Nearby:
    both, shown = prepared()
    generator = torch.Generator().manual_seed(seed)
    return Nearby(both, LEVEL, shown.sampler, shown.centre_mm, shown.radius_mm, name, generator)


def test_details_alone_are_enough_from_where_no_climb_leads_back() -> None:
    """Within half a voxel; the climb from coarse to fine, which sees the rest too, ends elsewhere."""
    fixed, moving, truth = pair()
    start = Linear.identity(2)
    assert error_mm(start, truth) > 16
    assert error_mm(Linear(linear_method("affine", init="header")(fixed, moving).transform.matrix), truth) > 8  # type: ignore[attr-defined]
    search = nearby()
    ends = search.about(start)
    assert error_mm(ends[0], truth) < 2.0
    told = [search.information(end) for end in ends]
    assert told == sorted(told, reverse=True) and told[0] > 1.5 * told[1]
    # Once more from close by finds nothing better that lies elsewhere.
    assert error_mm(search.closer(ends[0])[0], ends[0]) < 0.5


@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine", "projective"])
def test_ends_are_what_the_group_may_do(name: str) -> None:
    end = nearby(name).about(Linear.identity(2))[0].matrix
    linear = end[:2, :2]
    assert torch.allclose(end[2], torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    square = linear @ linear.T
    if name == "translation":
        assert torch.equal(linear, torch.eye(2, dtype=torch.float64))
    elif name == "rigid":
        assert torch.allclose(square, torch.eye(2, dtype=torch.float64), atol=1e-9)
    elif name == "similarity":
        assert torch.allclose(square, square[0, 0] * torch.eye(2, dtype=torch.float64), atol=1e-9)


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine"])
def test_poses_are_spread_over_what_is_in_reach(name: str, d: int) -> None:
    """The start first; shifts, turns and stretches each as far as they may, on both sides."""
    motion = group(name, d)
    parameters = FIRST.spread(motion)
    assert parameters.shape == (FIRST.scored + 1, motion.size)
    assert not parameters[0].any()
    turns = d * (d - 1) // 2
    reach = [FIRST.shift] * d + [FIRST.turn] * turns + [FIRST.stretch] * motion.size
    most = torch.tensor(reach[: motion.size], dtype=torch.float64)
    shares: Tensor = parameters[1:] / most
    assert bool((shares.abs() <= 1 + 1e-12).all())
    assert bool((shares.amax(0) > 0.95).all()) and bool((shares.amin(0) < -0.95).all())


def test_the_method_finds_it_too_and_says_so() -> None:
    """With a small network, within half a voxel, from the header: without the search it ends 40 mm away."""
    fixed, moving, truth = pair()
    method = Drmime(init="header", samples=512, learning=Learning(hidden=16, rate=1e-2, batch=128))
    result = method(fixed, moving)
    assert isinstance(result.transform, Linear)
    assert error_mm(result.transform, truth) < 1.0
    assert result.quality.verdict == "good"
