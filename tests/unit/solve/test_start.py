"""Where to start. Views are made here as a method makes them, without the floor above."""

import pytest
import torch
from phantoms import RADIUS_MM, error_mm, field_of_view, moved_view, phantom, turn
from strategies import rotation

from inforeg.image import Image, downsample, find_foreground, normalise
from inforeg.image.intensity import measure
from inforeg.solve.search import rotation_angle_deg
from inforeg.solve.start import (
    Candidate,
    PoseSearch,
    Start,
    View,
    centre_to_centre,
    from_centres,
    from_header,
    from_mass,
    moment_rotations,
)
from inforeg.space import Grid
from inforeg.transforms import Linear

SHIFT = (15.0, -10.0, 12.0)


def view(image: Image) -> View:
    """Coarse voxels of about a ninth of the radius in 3-D, a thirtieth in 2-D."""
    coarse = normalise(downsample(image, [2] * image.grid.ndim))
    return View(coarse, normalise(image), find_foreground(coarse))


def cut(image: Image, start: int, stop: int) -> Image:
    """A slab, where it was."""
    matrix = image.grid.voxel_to_world.clone()
    matrix[:-1, -1] = image.grid.to_world(torch.tensor([0.0] * (image.grid.ndim - 1) + [start]).double())
    data = image.data[..., start:stop].contiguous()
    return Image(data, Grid(tuple(data.shape[2:]), matrix))


def search(fixed: Image, moving: Image, wide: bool = False, seed: int = 0, motion: str = "rigid") -> Start:
    """As the method does: from where the smaller object is."""
    f, m = view(fixed), view(moving)
    swapped = f.object.volume_mm > m.object.volume_mm
    pair = (m, f) if swapped else (f, m)
    found = PoseSearch(*pair, torch.Generator().manual_seed(seed), motion).run(wide)
    return found.inverse() if swapped else found


def scene(angle_deg: float, ndim: int = 3, seed: int = 0) -> tuple[Image, Image, Linear]:
    grid = field_of_view(ndim, 5.0 if ndim == 3 else 2.0)
    truth = turn(angle_deg, ndim, SHIFT[:ndim], seed)
    moving = phantom(moved_view(grid, truth, 5.2 if ndim == 3 else 2.1), "t2", truth, seed=4)
    return phantom(grid), moving, truth


def test_points_are_laid_on_points_whatever_the_turn() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(3, generator=generator, dtype=torch.float64) * 30 for _ in range(2))
    matrices = centre_to_centre(a, b, torch.stack([rotation([0.3, 1.0, -2.0]), rotation([0.0, 0.0, 0.0])]))
    for matrix in matrices:
        assert torch.allclose(Linear(matrix)(a[None])[0], b)
    assert torch.allclose(centre_to_centre(a, b)[0, :3, :3], torch.eye(3, dtype=torch.float64))


def test_header_centres_and_mass() -> None:
    fixed, moving, _ = scene(0.0)
    assert torch.equal(from_header(fixed.grid).matrix, torch.eye(4, dtype=torch.float64))
    centres = from_centres(fixed.grid, moving.grid)
    assert torch.allclose(centres(fixed.grid.centre_mm[None])[0], moving.grid.centre_mm)
    f, m = find_foreground(fixed), find_foreground(moving)
    mass = from_mass(f, m)
    assert torch.allclose(mass(f.centre_mm[None])[0], m.centre_mm)
    assert torch.allclose(mass.matrix[:3, 3], torch.tensor(SHIFT, dtype=torch.float64), atol=1.0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_one_of_the_moment_rotations_is_the_turn(ndim: int) -> None:
    """The same voxels on a turned grid: the axes are turned by that exactly, and have no sign."""
    grid = field_of_view(ndim, 6.0 if ndim == 3 else 3.0)
    truth = turn(77.0, ndim, SHIFT[:ndim])
    image = phantom(grid)
    turned = Image(image.data, Grid(grid.shape, truth.matrix @ grid.voxel_to_world))
    mask = find_foreground(image).mask
    found = moment_rotations(measure(mask, image), measure(mask, turned))
    assert len(found) == (2 if ndim == 2 else 4)
    assert torch.allclose(torch.linalg.det(found), torch.ones(len(found), dtype=torch.float64))
    off = rotation_angle_deg(found, truth.matrix[:ndim, :ndim].expand_as(found))
    assert float(off.min()) < 1e-3
    assert sorted(off.round().tolist())[-1] == 180


@pytest.mark.parametrize(("angle", "seed"), [(50.0, 0), (95.0, 1), (140.0, 2), (180.0, 3)])
def test_a_whole_head_is_found_whatever_the_turn(angle: float, seed: int) -> None:
    """Across contrasts and within two tenths of a coarse voxel, the winner well ahead."""
    fixed, moving, truth = scene(angle, seed=seed)
    found = search(fixed, moving)
    assert error_mm(found.best.transform, truth) < 2.0
    assert found.margin > 0.25
    assert not found.wide
    assert found.poses_scored > 3000
    assert all(c.information < found.best.information for c in found.others)


@pytest.mark.parametrize(
    ("which", "angle", "seed", "where"), [("fixed", 60.0, 4, (10, 22)), ("moving", 180.0, 6, (19, 29))]
)
def test_a_slab_is_found_in_a_whole_head_whatever_the_turn(
    which: str, angle: float, seed: int, where: tuple[int, int]
) -> None:
    """A third of the field of view or less, also far off the centre; either image may be the cut one."""
    fixed, moving, truth = scene(angle, seed=seed)
    fixed, moving = (cut(fixed, *where), moving) if which == "fixed" else (fixed, cut(moving, *where))
    found = search(fixed, moving)
    assert error_mm(found.best.transform, truth) < 2.5
    assert found.margin > 0.2


@pytest.mark.parametrize("angle", [35.0, 110.0, 180.0])
def test_a_picture_is_found_whatever_the_turn(angle: float) -> None:
    fixed, moving, truth = scene(angle, 2)
    found = search(fixed, moving)
    assert error_mm(found.best.transform, truth) < 1.0
    assert found.margin > 0.25


@pytest.mark.parametrize("scale", [0.7, 1.4])
def test_sizes_are_compared_where_they_may_differ(scale: float) -> None:
    grid = field_of_view(2, 2.0)
    truth = Linear(turn(100.0, 2, SHIFT[:2]).matrix @ torch.diag(torch.tensor([scale, scale, 1.0])).double())
    moving = phantom(moved_view(field_of_view(2, 2.0, half_mm=87.0 * scale), truth, 2.1), "t2", truth, seed=4)
    found = search(phantom(grid), moving, motion="similarity")
    assert error_mm(found.best.transform, truth) < 1.0
    size = float(torch.linalg.det(found.best.transform.matrix[:2, :2]).sqrt())
    assert size == pytest.approx(scale, rel=0.02)
    # A rigid search neither tries nor returns another size.
    rigid = PoseSearch(view(phantom(grid)), view(moving), torch.Generator().manual_seed(0)).moments()
    assert float(torch.linalg.det(rigid.best.transform.matrix[:2, :2])) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("ndim", [2, 3])
def test_only_shifts_are_tried_where_nothing_else_may_be(ndim: int) -> None:
    fixed, moving, truth = scene(0.0, ndim)
    found = search(fixed, moving, motion="translation")
    for candidate in (found.best, *found.others):
        assert torch.equal(candidate.transform.matrix[:-1, :-1], torch.eye(ndim, dtype=torch.float64))
    assert error_mm(found.best.transform, truth) < 2.0


def test_moments_alone_find_a_whole_head() -> None:
    fixed, moving, truth = scene(95.0, seed=1)
    f, m = view(fixed), view(moving)
    found = PoseSearch(f, m, torch.Generator().manual_seed(0)).moments()
    assert found.best.origin == "moments"
    assert error_mm(found.best.transform, truth) < 2.0


def test_two_poses_that_are_alike_leave_no_margin() -> None:
    """A disc with bars at right angles: half turns explain it just as well."""
    grid = field_of_view(2, 2.0)
    x, y = grid.points_mm().T.float()
    inside = (x**2 / 60**2 + y**2 / 45**2 < 1).float()
    symmetric = inside * (0.6 + 0.3 * torch.cos(x.abs() / 6) + 0.1 * torch.cos(y / 9))
    noise = 0.02 * torch.randn(2, *grid.shape, generator=torch.Generator().manual_seed(0))
    images = [Image(symmetric.reshape(grid.shape)[None, None] + n, grid) for n in noise]
    found = search(*images)
    assert found.margin < 0.08
    assert found.wide
    away = rotation_angle_deg(found.best.transform.matrix[:2, :2], found.others[0].transform.matrix[:2, :2])
    assert float(away) == pytest.approx(180.0, abs=3.0)


def test_the_same_seed_finds_the_same_to_the_bit() -> None:
    fixed, moving, _ = scene(95.0, 2)
    a, b, other = search(fixed, moving), search(fixed, moving), search(fixed, moving, seed=1)
    assert torch.equal(a.best.transform.matrix, b.best.transform.matrix)
    assert a.best.information == b.best.information
    assert [c.information for c in a.others] == [c.information for c in b.others]
    assert not torch.equal(a.best.transform.matrix, other.best.transform.matrix)


def test_a_start_knows_its_lead_and_its_inverse() -> None:
    moved = turn(30.0, 3, SHIFT)
    first, second = Candidate(moved, 0.8, "search"), Candidate(Linear.identity(3), 0.2, "header")
    start = Start(first, [second], 10, True)
    assert start.margin == pytest.approx(0.75)
    assert Start(first).margin == 1.0
    assert Start(first, [Candidate(moved, -0.1, "search")]).margin == 1.0
    back = start.inverse()
    assert torch.allclose(back.best.transform.matrix, moved.inverse().matrix)
    assert (back.margin, back.poses_scored, back.wide, back.best.origin) == (start.margin, 10, True, "search")
    given = Start.given(moved, "given")
    assert (given.others, given.poses_scored, given.best.origin) == ([], 0, "given")
    assert error_mm(given.best.transform, moved) == 0 < RADIUS_MM


def test_close_rivals_are_contenders_and_one_of_them_may_take_the_lead() -> None:
    poses = [
        Candidate(turn(a, 3), information, "search") for a, information in ((0, 1.0), (90, 0.9), (180, 0.2))
    ]
    start = Start(poses[0], poses[1:], 10)
    assert start.contenders(within=0.2) == poses[:2]
    assert start.contenders(within=0.2, most=1) == poses[:1]
    assert start.contenders(within=0.9) == poses
    led = start.led_by(poses[1])
    assert led.best is poses[1]
    assert led.others == [poses[0], poses[2]]
    assert led.poses_scored == 10
