"""Newton steps on one level: they climb, stop when still, and say when they cannot go on."""

import pytest
import torch
from phantoms import field_of_view, phantom
from torch import Tensor

from inforeg.image import Image, find_foreground
from inforeg.solve.dense.contrast import LocalContrast
from inforeg.solve.dense.deform import Course, Scales, deform
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.level import Evidence, Look
from inforeg.solve.dense.tables import JointTables, Places
from inforeg.transforms import Linear, Velocity

SPACING_MM, APART_MM, SMOOTH_MM = 2.0, 6.0, 10.0
SCALES = Scales(SMOOTH_MM, 5.0, 18.0)
GRID = field_of_view(2, SPACING_MM)

SCALES = Scales(SMOOTH_MM, SMOOTH_MM / 2, 18.0)


def pair(moved_mm: float, contrast: str = "t2") -> tuple[Look, Velocity]:
    """A T1 and another image that is bulged by so much, and the truth."""
    size = 9
    nodes = Lattice.over(GRID, 174.0 / (size - 1)).grid
    away = nodes.points_mm().norm(dim=1).reshape(nodes.shape)
    vectors = torch.stack((moved_mm * torch.exp(-((away / 40) ** 2)), torch.zeros(nodes.shape)))
    truth = Velocity(vectors, nodes)
    images = phantom(GRID), phantom(GRID, contrast, truth, seed=5)  # type: ignore[arg-type]
    found = [find_foreground(image) for image in images]
    contrasts = [
        LocalContrast(image, there, SMOOTH_MM).places(image)
        for image, there in zip(images, found, strict=True)
    ]
    box = tuple(slice(0, n) for n in GRID.shape)
    tables = JointTables(contrasts[0], torch.ones(GRID.shape), Places(GRID, box, 30.0))
    seen = Image(contrasts[1][None, None], GRID)
    lattice = Lattice.over(GRID, APART_MM)
    return Look(GRID, box, seen, tables, Linear.identity(2), lattice, found[0].mask.float()), truth


class Told(Look):
    """The same look, told what there is to see: a force and a weight at every node."""

    force, weight = 0.0, 0.0

    @classmethod
    def of(cls, look: Look, force: float, weight: float) -> "Told":
        found = cls(
            look.grid, look.box, look.moving, look.likeness, Linear.identity(2), look.lattice, look.inner
        )
        found.force, found.weight = force, weight
        return found

    def evidence(self, nodes: Tensor, independence: float | None, apart_mm: float) -> Evidence:
        weights = torch.zeros(3, *self.lattice.grid.shape)
        weights[:2] = self.weight
        return Evidence(torch.full_like(nodes, self.force), weights, 1.0, 0.0)


def begun(look: Look) -> Course:
    return Course(look.lattice, torch.zeros(2, *look.lattice.grid.shape))


def taken(look: Look, steps: int, course: Course | None = None) -> Course:
    return deform(course or begun(look), look, SCALES, SPACING_MM, steps)


def test_information_grows_and_the_truth_comes_nearer() -> None:
    look, truth = pair(8.0)
    found = taken(look, 10)
    assert len(found.nats) == len(found.spacing_mm) <= 10
    assert set(found.spacing_mm) == {SPACING_MM}
    rises = torch.tensor(found.nats).diff()
    assert found.nats[-1] > 1.05 * found.nats[0]
    assert float(rises.min()) > -0.02 * found.nats[0]
    velocity = Velocity(found.lattice.to_world(found.vectors), found.lattice.grid)
    points = GRID.points_mm()[find_foreground(phantom(GRID)).mask.flatten()]
    before, after = (
        float((way(points) - truth(points)).norm(dim=1).mean()) for way in (Linear.identity(2), velocity)
    )
    assert after < 0.5 * before


def test_it_stops_where_nothing_moves() -> None:
    """One contrast that lies right is left there but for what its noise pulls, before the steps are used up."""
    look, _ = pair(0.0, "t1")
    found = taken(look, 60)
    assert found.left_mm < 0.01 * SPACING_MM
    assert len(found.nats) < 45
    inside = look.spread.spread(found.vectors)[:, look.inner > 0]
    assert float(inside.norm(dim=0).mean()) < 0.25 * SPACING_MM


def test_it_says_that_it_was_still_moving() -> None:
    look, _ = pair(6.0)
    assert taken(look, 1).left_mm > 0.2 * SPACING_MM


def test_a_course_goes_on_where_it_was() -> None:
    """On nodes of another distance too; what was found before is kept in the trace."""
    look, _ = pair(4.0)
    first = taken(look, 3)
    second = taken(look, 2, first)
    assert second.nats[:3] == first.nats and len(second.nats) == 5
    assert second.nats[3] > first.nats[0]
    fine = Lattice.over(GRID, 4.0)
    other = Look(look.grid, look.box, look.moving, look.likeness, Linear.identity(2), fine, look.inner)
    third = deform(first, other, SCALES, SPACING_MM, 1)
    assert third.vectors.shape == (2, *fine.grid.shape)
    assert third.nats[-1] == pytest.approx(second.nats[3], rel=0.02)


def test_no_step_moves_anything_by_more_than_half_the_way_to_the_next_node() -> None:
    found = taken(Told.of(pair(0.0)[0], 1e3, 1e-3), 1)
    lengths = found.vectors.norm(dim=0)
    assert float(lengths.max()) == pytest.approx(0.5 * APART_MM, rel=1e-4)


@pytest.mark.parametrize(("force", "weight"), [("nan", "1"), ("inf", "1"), ("1", "nan")])
def test_a_step_that_is_no_number_is_refused(force: str, weight: str) -> None:
    mad = Told.of(pair(0.0)[0], float(force), float(weight))
    with pytest.raises(FloatingPointError, match="not finite"):
        taken(mad, 2)


def test_images_that_tell_nothing_move_nothing() -> None:
    found = taken(Told.of(pair(0.0)[0], 0.0, 0.0), 5)
    assert found.left_mm == 0 and len(found.nats) == 1
    assert float(found.vectors.abs().max()) == 0
