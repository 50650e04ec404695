"""The way a registration took, in figures."""

import math

import pytest
import torch
from phantoms import RADIUS_MM, field_of_view, phantom, pose, turn

from inforeg.image import Foreground, Image
from inforeg.image.coarse import object_of
from inforeg.methods import Stage
from inforeg.register.course import Course
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear


def ball(ndim: int) -> Foreground:
    centre = torch.tensor([5.0, -8.0, 3.0], dtype=torch.float64)[:ndim]
    nothing = torch.zeros(0)
    return Foreground(nothing, 0.0, centre, nothing, RADIUS_MM, 1.0)


def stage(
    path: list[Linear], name: str = "rigid", spacing_mm: float = 2.0, end: Linear | None = None
) -> Stage:
    count = len(path)
    return Stage(name, end or path[-1], "converged", [spacing_mm] * count, [0.0] * count, path)


def course(path: list[Linear], end: Linear | None = None) -> Course:
    made = Course.of([stage(path)], end or path[-1], ball(path[0].ndim))
    assert made is not None
    return made


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_left_is_what_the_rim_has_to_go(ndim: int) -> None:
    shift = torch.zeros(ndim, dtype=torch.float64)
    shift[0] = 4.0
    made = course([Linear.translation(shift), Linear.identity(ndim)])
    assert made.left_mm(made.matrices).tolist() == pytest.approx([4.0, 0.0])
    rim = made.rim_mm
    assert float((rim - ball(ndim).centre_mm).norm(dim=1).max()) == pytest.approx(RADIUS_MM)
    # A turn moves the rim farthest where it is farthest from the axis.
    about = ball(ndim).centre_mm
    turned = turn(10.0, ndim).matrix[:ndim, :ndim]
    made = course([Linear.about(turned, about, torch.zeros_like(about)), Linear.identity(ndim)])
    chord = 2 * RADIUS_MM * math.sin(math.radians(5))
    assert 0.85 * chord < float(made.left_mm(made.matrices)[0]) <= chord + 1e-9


def test_points_go_where_transforms_take_them() -> None:
    path = [pose("projective", 3, 0.2, seed=seed) for seed in range(3)]
    made = course(path)
    for put, transform in zip(made.put_mm(made.matrices), path, strict=True):
        torch.testing.assert_close(put, transform(made.rim_mm), atol=1e-9, rtol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_motion_is_what_was_done_at_the_object(ndim: int) -> None:
    about = ball(ndim).centre_mm
    shift = torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64)[:ndim]
    linear = 1.1 * turn(25.0, ndim, seed=2).matrix[:ndim, :ndim]
    made = course([Linear.identity(ndim), Linear.about(linear, about, shift)])
    rotation, scale, moved = made.motion()
    assert rotation.tolist() == pytest.approx([0.0, 25.0])
    assert scale.tolist() == pytest.approx([1.0, 1.1])
    assert moved.tolist() == pytest.approx([0.0, 5.0])


def test_in_a_picture_turns_have_a_sign() -> None:
    made = course([turn(-7.0, 2), turn(7.0, 2)])
    assert made.motion()[0].tolist() == pytest.approx([-7.0, 7.0])


def test_of_a_projective_transform_motion_is_the_derivatives() -> None:
    transform = pose("projective", 3, 0.3, seed=4)
    made = course([transform])
    derivative = transform.jacobian(ball(3).centre_mm[None])[0]
    _, scale, moved = made.motion()
    assert float(scale[0]) == pytest.approx(float(torch.linalg.det(derivative)) ** (1 / 3))
    centre = ball(3).centre_mm[None]
    assert float(moved[0]) == pytest.approx(float((transform(centre) - centre).norm()))


def test_steps_are_called_by_stage_and_level_where_there_are_several() -> None:
    steps = [turn(float(n), 2) for n in range(2)]
    stages = [stage(steps, "rigid", 4.0), stage(steps, "affine", 2.0)]
    made = Course.of(stages, steps[-1], ball(2))
    assert made is not None
    assert made.words == ["rigid at 4 mm"] * 2 + ["affine at 2 mm"] * 2
    assert course(steps).words == ["rigid"] * 2


def test_without_paths_there_is_no_course() -> None:
    known = stage([turn(3.0, 2)])
    bare = Stage("rigid", turn(3.0, 2), "converged", [1.0], [0.5])
    assert Course.of([known, bare], turn(3.0, 2), ball(2)) is None
    assert Course.of([], turn(3.0, 2), ball(2)) is None


def test_the_course_of_what_goes_on_to_deform_is_that_of_the_linear_stages() -> None:
    steps = [turn(float(n), 2) for n in range(3)]
    grid = field_of_view(2, 20.0)
    bent = Displacement(torch.ones(2, *grid.shape), grid)
    whole = Composite((steps[-1], bent))
    svf = Stage("svf", whole, "converged", [2.0] * 4, [0.0] * 4)
    made = Course.of([stage(steps), svf], whole, ball(2))
    assert made is not None
    assert (len(made.matrices), made.then) == (3, ("svf",))
    assert torch.equal(made.end.matrix, steps[-1].matrix)
    assert made.left_mm(made.matrices)[-1] == 0
    assert course(steps).then == ()
    # A deformable stage alone has no course, and neither has one after a linear stage without its path.
    assert Course.of([svf], bent, ball(2)) is None
    bare = Stage("rigid", steps[-1], "converged", [1.0], [0.5])
    assert Course.of([bare, svf], whole, ball(2)) is None
    # Whatever comes after the deformation, the course ends before it.
    late = Course.of([stage(steps), svf, stage(steps, "affine")], whole, ball(2))
    assert late is not None and (len(late.matrices), late.then) == (3, ("svf", "affine"))


def test_a_step_that_takes_the_object_to_infinity_has_no_figures() -> None:
    astray = torch.eye(3, dtype=torch.float64)
    astray[2, 0] = -1 / (float(ball(2).centre_mm[0]) + RADIUS_MM)
    path = [Linear(astray), turn(3.0, 2)]
    assert Course.of([stage(path)], path[-1], ball(2)) is None


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_object_is_found_and_where_there_is_none_the_field_of_view_is_taken(ndim: int) -> None:
    grid = field_of_view(ndim)
    found = object_of(phantom(grid))
    assert float(found.centre_mm.norm()) < 0.2 * RADIUS_MM
    assert 0.6 * RADIUS_MM < found.radius_mm < 1.2 * RADIUS_MM
    empty = object_of(Image(torch.zeros(1, 1, *grid.shape), grid))
    assert empty.radius_mm == pytest.approx(float(grid.extent_mm.min()) / 2)


def test_a_thin_object_is_found_too() -> None:
    data = torch.zeros(1, 1, 120, 100, 2)
    data[:, :, 30:90, 20:80] = torch.rand(60, 60, 2, generator=torch.Generator().manual_seed(0)) + 1
    assert object_of(Image(data, Grid.from_spacing((120, 100, 2), (1.0, 1.0, 5.0)))).radius_mm > 20
