"""The film of a registration."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg.image import Image
from inforeg.image.coarse import object_of
from inforeg.methods import Stage
from inforeg.register.between import between
from inforeg.register.course import Course
from inforeg.register.film import GLIDE, MOST_FRAMES, evenly, film_of
from inforeg.report import Film
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear

SPACING_MM = 4.0


def scene(ndim: int, angle_deg: float = 20.0) -> tuple[Image, Image, Linear]:
    """A head, the same head turned, and the turn between them."""
    truth = turn(angle_deg, ndim, (12.0, -9.0, 5.0)[:ndim], seed=3)
    grid = field_of_view(ndim, SPACING_MM)
    return phantom(grid, noise=0.0), phantom(grid, transform=truth, noise=0.0), truth


def along(path: list[Linear], fixed: Image) -> Course:
    stage = Stage("rigid", path[-1], "converged", [2.0] * len(path), [0.0] * len(path), path)
    made = Course.of([stage], path[-1], object_of(fixed))
    assert made is not None
    return made


def way(truth: Linear, shares: list[float], tremble_mm: float = 0.0) -> list[Linear]:
    """Transforms from the identity to the truth, which tremble by the way."""
    d = truth.ndim
    zero, first = torch.zeros(d, dtype=torch.float64), torch.eye(d + 1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    path = []
    for share in shares:
        shake = tremble_mm * torch.randn(d, generator=generator, dtype=torch.float64)
        path.append(Linear(Linear.translation(shake).matrix @ between(first, truth.matrix, share, zero)))
    return path


def film(course: Course, fixed: Image, moving: Image) -> Film:
    made = film_of(course, fixed, moving, "the start")
    assert made is not None
    return made


@pytest.mark.parametrize(("tremble_mm", "ratio"), [(0.0, 1.05), (0.3, 1.5)])
def test_stops_are_evenly_apart_however_the_steps_were(tremble_mm: float, ratio: float) -> None:
    """A descent slows down, and then trembles on one spot for hundreds of steps."""
    fixed, _, truth = scene(2, 40.0)
    made = along(way(truth, [1 - 0.94**n for n in range(200)], tremble_mm), fixed)
    stops = evenly(made, 1.0)
    put = made.put_mm(torch.stack([stop.matrix for stop in stops]))
    gaps = [float((b - a).norm(dim=-1).max()) for a, b in pairwise(put)]
    assert 20 <= len(stops) <= MOST_FRAMES
    assert max(gaps) < ratio * min(gaps)
    torch.testing.assert_close(stops[0].matrix, made.matrices[0], atol=1e-9, rtol=0)
    torch.testing.assert_close(stops[-1].matrix, made.end.matrix, atol=1e-9, rtol=0)
    steps = [stop.step for stop in stops]
    assert steps == sorted(steps) and steps[0] == 0 and steps[-1] == 199


def test_few_and_long_steps_get_stops_between_them() -> None:
    fixed, _, truth = scene(3)
    made = along(way(truth, [0.0, 0.7, 1.0]), fixed)
    steps = [stop.step for stop in evenly(made, 1.0)]
    assert sum(0 < step < 1 for step in steps) > sum(1 < step < 2 for step in steps) > 3


def test_what_moves_less_than_can_be_seen_is_one_stop() -> None:
    fixed, _, _ = scene(2)
    made = along([turn(1e-3 * n, 2) for n in range(5)], fixed)
    assert len(evenly(made, 1.0)) == 1
    assert film_of(made, fixed, fixed, "the start") is None


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_last_frame_is_the_fixed_image_and_the_first_is_not(ndim: int) -> None:
    fixed, moving, truth = scene(ndim)
    made = film(along(way(truth, [n / 30 for n in range(31)]), fixed), fixed, moving)
    assert made.planes == (["picture"] if ndim == 2 else ["axial", "coronal", "sagittal"])
    alike = [
        [np.corrcoef(f.ravel(), m.ravel())[0, 1] for f, m in zip(made.fixed, frame, strict=True)]
        for frame in made.frames
    ]
    assert min(alike[-1]) > 0.97
    assert max(alike[0]) < 0.9
    assert made.steps[0] == 0 and made.steps[-1] == 30
    assert made.labels[0].startswith("Step 0 of 30, rigid: the rim is 3")
    assert made.labels[-1] == "Step 30 of 30, rigid: the end"


def test_a_start_from_elsewhere_is_glided_to() -> None:
    fixed, moving, truth = scene(2)
    made = film(along(way(truth, [0.5 + n / 40 for n in range(21)]), fixed), fixed, moving)
    assert made.labels[:GLIDE] == ["Before: as the headers place it"] + ["On the way to the start"] * (
        GLIDE - 1
    )
    assert list(made.steps[: GLIDE + 1]) == [None] * GLIDE + [0]
    assert list(made.pauses) == [GLIDE]
    assert len(made.frames) <= MOST_FRAMES
    np.testing.assert_allclose(made.frames[0][0], moving.data[0, 0].flip(0, 1).numpy().T, atol=1e-5)


def test_a_start_from_elsewhere_is_a_film_by_itself() -> None:
    fixed, moving, truth = scene(2)
    made = film(along([truth], fixed), fixed, moving)
    assert len(made.frames) == GLIDE + 1
    assert made.labels[-1] == "Step 0 of 0, rigid: the end"


@pytest.mark.parametrize("shares", [[0.0, 0.5, 1.0], [1.0]])
def test_the_film_of_a_deformation_ends_with_it(shares: list[float]) -> None:
    fixed, moving, truth = scene(2)
    start = along(way(truth, shares), fixed)
    course = replace(start, then=("svf",))
    linear = film(start, fixed, moving)
    grid = fixed.grid
    bent = Displacement(torch.stack((torch.full(grid.shape, 8.0), torch.zeros(grid.shape))), grid)
    whole = Composite((truth, bent))
    made = film_of(course, fixed, moving, "the start", whole)
    assert made is not None
    assert len(made.frames) == len(made.labels) == len(made.steps) <= MOST_FRAMES
    assert made.labels[-2].endswith("rigid: the end of the linear stages")
    assert made.labels[-1] == "After svf: the end, deformed"
    assert all(" ends" not in label for label in made.labels)
    assert made.steps[-1] is None and made.pauses[-1] == len(made.frames) - 2
    np.testing.assert_allclose(made.frames[-2][0], linear.frames[-1][0], atol=1e-5)
    # Two voxels further to the patient's right in the moving image: what was there is now here.
    np.testing.assert_allclose(
        made.frames[-1][0][:, 10:-10], np.roll(linear.frames[-1][0], 2, axis=1)[:, 10:-10], atol=0.05
    )


def test_a_deformation_after_no_motion_is_a_film_of_two() -> None:
    fixed, _, _ = scene(2)
    course = replace(along([Linear.identity(2)] * 3, fixed), then=("svf",))
    bent = Displacement(torch.full((2, *fixed.grid.shape), 8.0), fixed.grid)
    made = film_of(course, fixed, fixed, "the start", bent)
    assert made is not None
    assert made.labels == ["Step 2 of 2, rigid: the end of the linear stages", "After svf: the end, deformed"]
    assert np.abs(made.frames[1][0] - made.frames[0][0]).max() > 0.2


def test_pictures_stand_as_in_their_file() -> None:
    """First columns left, first rows on top: what a picture's grid means, however its axes run in the world."""
    grid = Grid((60, 40), torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)))
    data = torch.zeros(1, 1, 60, 40)
    data[..., :20, :15] = 1.0
    image = Image(data, grid)
    shift = Linear.translation(torch.tensor([5.0, 0.0], dtype=torch.float64))
    made = film(along([Linear.identity(2), shift], image), image, image)
    assert made.fixed[0].shape == (40, 60)
    assert made.fixed[0][:15, :20].min() == 1.0
    assert made.fixed[0].sum() == 15 * 20


@pytest.mark.parametrize("axes", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
def test_right_is_left_front_and_head_are_up_however_the_file_lies(axes: tuple[int, int, int]) -> None:
    shape, spacing = (30, 36, 24), 4.0
    matrix = torch.diag(torch.tensor([*(spacing * a for a in axes), 1.0], dtype=torch.float64))
    corner = torch.tensor([-spacing * a * (n - 1) / 2 for a, n in zip(axes, shape, strict=True)])
    matrix[:3, 3] = corner
    grid = Grid(shape, matrix)
    # A box to the patient's right, front and top of a larger one.
    world = grid.points_mm()
    inside = (world.abs() < torch.tensor([40.0, 50.0, 32.0])).all(dim=1).float()
    mark = ((world - torch.tensor([24.0, 30.0, 18.0])).abs() < 13.0).all(dim=1).float()
    image = Image((inside + mark * 5).reshape(1, 1, *shape), grid)
    shift = Linear.translation(torch.tensor([9.0, 0.0, 0.0], dtype=torch.float64))
    made = film(along([Linear.identity(3), shift], image), image, image)
    axial, coronal, sagittal = made.fixed
    assert (axial.shape, coronal.shape, sagittal.shape) == ((36, 30), (24, 30), (24, 36))
    for picture in made.fixed:
        rows, columns = np.nonzero(picture > 5)
        assert len(rows) > 0
        # Right is on the screen's left, so is the front in the sagittal plane; the other direction is up.
        assert columns.max() < 0.5 * picture.shape[1]
        assert rows.max() < 0.5 * picture.shape[0]


def test_a_large_picture_is_thinned() -> None:
    grid = Grid.from_spacing((700, 300), 1.0)
    data = torch.rand(1, 1, 700, 300, generator=torch.Generator().manual_seed(0))
    image = Image(data, grid)
    shift = Linear.translation(torch.tensor([30.0, 0.0], dtype=torch.float64))
    made = film(along([Linear.identity(2), shift], image), image, image)
    assert made.fixed[0].shape == (100, 234)
    assert made.spacing_mm[0] == pytest.approx((3.0, 3.0))


def test_what_lies_outside_is_the_darkest_there_is() -> None:
    """Air in CT is at -1000: nothing found there must not shine."""
    fixed, moving, truth = scene(2)
    scan = Image(moving.data * 1000 - 1000, moving.grid)
    made = film(along([Linear.identity(2), Linear(turn(45.0, 2).matrix @ truth.matrix)], fixed), fixed, scan)
    corner = made.frames[-1][0][0, 0]
    assert corner == scan.data.min() == pytest.approx(made.frames[-1][0].min(), abs=1e-3)
