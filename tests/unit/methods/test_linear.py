"""The linear method where images are not two plain volumes of the same kind."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from phantoms import (
    error_mm,
    field_of_view,
    landmarks,
    moved_view,
    phantom,
    pose,
    turn,
)

from inforeg.image import Image
from inforeg.methods import Result, linear_method, stages
from inforeg.solve.minimise import minimise
from inforeg.space import Grid
from inforeg.transforms import Linear

# Enough for answers within a tenth of a voxel, and quick.
FEW = 15_000


def run(
    name: str, fixed: Image, moving: Image, *, masks: dict[str, Image] | None = None, **settings: Any
) -> Result:
    return linear_method(name, **{"samples": FEW, **settings})(fixed, moving, **(masks or {}))


def found(result: Result) -> Linear:
    assert isinstance(result.transform, Linear)
    return result.transform


def pair(ndim: int, truth: Linear, contrasts: tuple[str, str] = ("t1", "t2")) -> tuple[Image, Image]:
    grid = field_of_view(ndim)
    return phantom(grid, contrasts[0]), phantom(moved_view(grid, truth), contrasts[1], truth, seed=5)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "affine"])
def test_auto_keeps_what_the_pair_needs(name: str, ndim: int) -> None:
    truth = pose(name, ndim, 0.12, seed=2)
    result = run("auto", *pair(ndim, truth))
    assert [stage.name for stage in result.stages] == (["rigid"] if name == "rigid" else ["rigid", "affine"])
    assert error_mm(found(result), truth) < (0.2 if ndim == 2 else 0.3)
    assert any(("kept" if name == "affine" else "dropped") in note for note in result.notes)


@pytest.mark.parametrize("ndim", [2, 3])
def test_any_turn_is_found_without_being_told(ndim: int) -> None:
    truth = turn(155.0, ndim, (22.0, -14.0, 18.0)[:ndim], seed=8)
    result = run("rigid", *pair(ndim, truth))
    assert error_mm(found(result), truth) < (0.1 if ndim == 2 else 0.25)
    assert result.start is not None and result.start.poses_scored > 100
    assert result.quality.margin is not None and result.quality.margin > 0.25
    assert result.ok


@pytest.mark.parametrize("init", ["header", "centre", "mass", "moments"])
@pytest.mark.parametrize("shading", [True, False])
def test_a_named_start_near_the_answer_ends_where_the_search_does(init: str, shading: bool) -> None:
    """From 9 mm away, or less: what is close enough to see must not be left half-way."""
    truth = turn(5.0, 2, (7.0, -5.0))
    fixed, moving = pair(2, truth)
    result = run("rigid", fixed, moving, init=init, shading=shading)
    assert error_mm(Linear.identity(2), truth) < 10
    assert error_mm(found(result), truth) < 0.05
    assert result.status == "converged"
    assert result.start is not None
    assert result.start.best.origin == init
    assert init == "moments" or result.quality.margin is None


def test_a_given_start_is_where_it_starts() -> None:
    """Half a turn away from the header, where nothing but a search or the start itself could lead."""
    truth = turn(180.0, 3, (10.0, 5.0, -8.0), seed=1)
    fixed, moving = pair(3, truth)
    near = Linear(truth.matrix @ turn(3.0, 3, (2.0, 1.0, 0.0), seed=2).matrix)
    result = linear_method("rigid", samples=FEW)(fixed, moving, near)
    assert error_mm(found(result), truth) < 0.25
    assert result.start is not None
    assert (result.start.best.origin, result.start.poses_scored) == ("given", 0)
    lost = run("rigid", fixed, moving, init="header")
    assert error_mm(found(lost), truth) > 20


def test_shading_read_off_before_the_stretch_was_known_does_not_bend_the_answer() -> None:
    """On voxels fine enough that shading is read off a coarser level: no worse than without, by a tenth of one."""
    truth = pose("affine", 3, seed=3)
    grid = field_of_view(3, 1.15)
    fixed, moving = phantom(grid), phantom(moved_view(grid, truth), "t2", truth, seed=5)
    errors = [error_mm(found(run("affine", fixed, moving, shading=s)), truth) for s in (True, False)]
    assert errors[0] < errors[1] + 0.1 < 0.3


def two_bodies(ndim: int) -> tuple[Image, Image, Linear, Linear, Image, Image]:
    """A head whose left half moves one way and whose right half another, and each half's mask in each image."""
    grid = field_of_view(ndim)
    left, right = turn(4.0, ndim, (5.0, 3.0, -4.0)[:ndim]), turn(-6.0, ndim, (-3.0, -6.0, 3.0)[:ndim], seed=1)
    view = moved_view(grid, Linear.identity(ndim))
    parts = [phantom(view, "t2", t, seed=5) for t in (left, right)]
    at = view.points_mm()
    # The cut is in the moving image at one place; what lies on either side of it was moved as a whole.
    cut = (at[:, 0] > 0).reshape(view.shape)
    moving = Image(torch.where(cut, parts[1].data, parts[0].data), view)
    fixed_side = (grid.points_mm()[:, 0] < -10).float().reshape(1, 1, *grid.shape)
    moving_side = (~cut).float()[None, None]
    return phantom(grid), moving, left, right, Image(fixed_side, grid), Image(moving_side, view)


def error_left_mm(a: Linear, b: Linear) -> float:
    points = landmarks(a.ndim)
    points = points[points[:, 0] < -15]
    return float((a(points) - b(points)).norm(dim=1).mean())


@pytest.mark.parametrize("which", ["fixed_mask", "moving_mask"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_what_a_mask_leaves_out_does_not_pull(ndim: int, which: str) -> None:
    fixed, moving, left, right, fixed_side, moving_side = two_bodies(ndim)
    mask = fixed_side if which == "fixed_mask" else moving_side
    result = run("rigid", fixed, moving, masks={which: mask}, init="header")
    assert error_left_mm(found(result), left) < (0.2 if ndim == 2 else 0.4)
    plain = run("rigid", fixed, moving, init="header")
    assert error_left_mm(found(plain), left) > 1.0
    assert error_left_mm(right, left) > 5.0


def test_a_search_minds_masks_too() -> None:
    """A second head in the picture, turned another way: the mask says which one is meant."""
    truth, other = turn(120.0, 2, (-30.0, 0.0)), turn(-70.0, 2, (150.0, 10.0))
    view = Grid.from_spacing((230, 130), 1.55)
    matrix = view.voxel_to_world.clone()
    matrix[0, 2] += 60.0
    view = Grid(view.shape, matrix)
    here, there = (phantom(view, "t2", t, seed=5) for t in (truth, other))
    side = view.points_mm()[:, 0].reshape(view.shape) > 60
    moving = Image(torch.where(side, there.data, here.data), view)
    for mask, expected in ((~side, truth), (side, other)):
        masks = {"moving_mask": Image(mask.float()[None, None], view)}
        assert error_mm(found(run("rigid", phantom(field_of_view(2)), moving, masks=masks)), expected) < 0.1


@pytest.mark.parametrize("which", ["fixed", "moving", "both"])
def test_colour_is_registered_by_what_it_shows(which: str) -> None:
    """Two stains of one section: each tissue has a colour, and the ground is bright."""
    truth = turn(25.0, 2, (9.0, -6.0))
    fixed, moving = pair(2, truth)
    stains = (torch.tensor([0.75, 0.5, 0.3]), torch.tensor([0.2, 0.45, 0.6]))

    def stained(image: Image, stain: torch.Tensor) -> Image:
        return Image(250 * torch.exp(-2 * stain[:, None, None] * image.data), image.grid, dtype="uint8")

    if which in ("fixed", "both"):
        fixed = stained(fixed, stains[0])
    if which in ("moving", "both"):
        moving = stained(moving, stains[1])
    result = run("rigid", fixed, moving)
    assert error_mm(found(result), truth) < 0.1
    assert len(result.notes) == (2 if which == "both" else 1)
    assert result.warped.channels == moving.channels
    assert result.ok


def test_thick_slices_and_voxels_that_are_no_cubes() -> None:
    """Slices of 9 mm in one image, sagittal voxels in the other: within a tenth of the thickness."""
    truth = turn(20.0, 3, (12.0, 6.0, -9.0), seed=3)
    fixed = phantom(Grid.from_spacing((70, 58, 20), (2.5, 3.0, 9.0)))
    moved = Grid.from_spacing((34, 66, 62), (5.0, 2.6, 2.8))
    matrix = moved.voxel_to_world.clone()
    matrix[:3, 3] += torch.tensor([12.0, 6.0, -9.0], dtype=torch.float64)
    moving = phantom(Grid(moved.shape, matrix), "t2", truth, seed=5)
    for a, b, expected in ((fixed, moving, truth), (moving, fixed, truth.inverse())):
        result = run("rigid", a, b)
        assert error_mm(found(result), expected) < 0.7
        assert result.quality.verdict == "good"


@pytest.mark.parametrize(("name", "ndim"), [("rigid", 3), ("similarity", 2)])
def test_a_mouse_is_a_small_head(name: str, ndim: int) -> None:
    """The same voxels at 0.08 of the size end at the same transform in voxels, to a hundredth of one."""
    truth = turn(35.0, ndim, (12.0, 6.0, -9.0)[:ndim], seed=3)
    big = pair(ndim, truth)

    def small(image: Image, factor: float = 0.08) -> Image:
        matrix = image.grid.voxel_to_world.clone()
        matrix[:-1] *= factor
        return Image(image.data, Grid(image.grid.shape, matrix))

    results = [run(name, *images) for images in (big, [small(i) for i in big])]
    matrices = [found(result).matrix.clone() for result in results]
    matrices[1][:-1, -1] /= 0.08
    assert error_mm(Linear(matrices[0]), truth) < 0.25
    voxel = float(big[0].grid.spacing_mm[0])
    assert error_mm(Linear(matrices[0]), Linear(matrices[1])) < 0.01 * voxel
    assert [s.name for s in results[0].stages] == [s.name for s in results[1].stages]
    assert results[1].quality.verdict == results[0].quality.verdict == "good"


@pytest.fixture
def fewer_steps(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Stochastic descent in a part of its steps, which is plenty in 2-D; each costs as much as several of Newton's."""

    def divide(by: int) -> None:
        monkeypatch.setattr(stages, "minimise", lambda *a, steps, **o: minimise(*a, steps=steps // by, **o))

    return divide


@pytest.mark.parametrize("metric", ["nmi", "ncc", "mse"])
def test_other_metrics_find_it_too(metric: str, fewer_steps: Callable[[int], None]) -> None:
    """Those that compare brightness itself get one contrast; NMI two."""
    fewer_steps(8)
    truth = turn(10.0, 2, (6.0, -4.0))
    fixed, moving = pair(2, truth, ("t1", "t2" if metric == "nmi" else "t1"))
    result = run("rigid", fixed, moving, metric=metric)
    assert error_mm(found(result), truth) < 0.15
    assert result.settings["metric"] == metric
    values = result.stages[-1].metric
    assert math.isfinite(values[-1]) and len(values) == len(result.stages[-1].spacing_mm)


def test_mine_finds_it_too_and_the_same_again(fewer_steps: Callable[[int], None]) -> None:
    fewer_steps(30)
    truth = turn(10.0, 2, (6.0, -4.0))
    results = [run("rigid", *pair(2, truth), metric="mine", seed=2, init="moments") for _ in range(2)]
    assert error_mm(found(results[0]), truth) < 0.3
    assert torch.equal(found(results[0]).matrix, found(results[1]).matrix)


def test_a_metric_that_does_not_suit_the_pair_is_not_called_good(fewer_steps: Callable[[int], None]) -> None:
    """Brightness across contrasts leads far off; the run can see that by the information it lost on the way."""
    fewer_steps(4)
    truth = turn(10.0, 2, (6.0, -4.0))
    result = run("rigid", *pair(2, truth), metric="mse")
    assert error_mm(found(result), truth) > 3
    assert result.quality.verdict != "good"


def test_images_that_have_nothing_in_common_are_not_called_good() -> None:
    grid = field_of_view(3)
    noise = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(11))
    result = run("rigid", phantom(grid), Image(noise, grid))
    assert result.quality.verdict != "good", result.quality
    assert result.quality.reasons


def test_the_trace_says_what_was_measured_where() -> None:
    """A value for every resolution's every step, each no worse than the one before in its climb."""
    truth = turn(10.0, 3, (6.0, -4.0, 3.0))
    fixed, moving = pair(3, truth)
    result = run("rigid+affine", fixed, moving, shading=False)
    assert [s.name for s in result.stages] == ["rigid", "affine"]
    finest = 1.03 * float(fixed.grid.spacing_mm[0])
    for stage in result.stages:
        assert len(stage.spacing_mm) == len(stage.metric)
        assert stage.spacing_mm == sorted(stage.spacing_mm, reverse=True)
        same = [(a, b) for a, b in pairwise(zip(stage.spacing_mm, stage.metric, strict=True)) if a[0] == b[0]]
        assert all(b[1] <= a[1] for a, b in same)
    assert result.stages[-1].spacing_mm[-1] == pytest.approx(finest)
    assert result.stages[-1].metric[-1] < -0.3
    assert result.seconds > 0


def test_quality_has_its_figures() -> None:
    truth = turn(30.0, 2, (6.0, -4.0))
    fixed, moving = pair(2, truth)
    # Without the upper half of the moving field of view.
    n = moving.grid.shape[1] // 2
    half = Image(
        moving.data[..., :n].contiguous(), Grid((moving.grid.shape[0], n), moving.grid.voxel_to_world)
    )
    whole, cut = run("rigid", fixed, moving).quality, run("rigid", fixed, half).quality
    assert whole.overlap > 0.97
    assert 0.35 < cut.overlap < 0.65
    assert whole.information > 1.0 > 0.6 > whole.information_before > 0
    assert whole.precision_mm is not None and whole.precision_mm < 0.05
    assert cut.precision_mm is not None and cut.precision_mm < 0.2


@pytest.mark.parametrize("metric", ["mi", "mse"])
def test_a_result_wholly_past_the_moving_image_has_no_overlap(
    metric: str, fewer_steps: Callable[[int], None]
) -> None:
    fewer_steps(20)
    far = Linear.translation(torch.tensor([900.0, 0.0], dtype=torch.float64))
    result = linear_method("rigid", samples=FEW, metric=metric)(*pair(2, turn(5.0, 2)), far)
    assert result.quality.overlap == 0
    assert any("0 % of the fixed object lies inside" in reason for reason in result.quality.reasons)
    assert result.quality.verdict == "failed"


def test_no_precision_is_claimed_beyond_what_a_climb_can_tell() -> None:
    """Two halves that end on the very same spot say that steps were too short to take, not that the error is none."""
    truth = turn(30.0, 2, (6.0, -4.0))
    quality = run("rigid", *pair(2, truth)).quality
    assert quality.precision_mm is not None and quality.precision_mm > 0
