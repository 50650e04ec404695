"""Which way a chain is walked, and what is said of it."""

from pathlib import Path

import pytest
import torch

from inforeg.errors import PairError, ReadError, UsageError
from inforeg.image import Image
from inforeg.io import write_image, write_transform
from inforeg.methods import linear_method
from inforeg.register import register
from inforeg.register.chains import Link, Space, for_points, other_end, read_link, start_of_points, to_image
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear

HERE = torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64)


def scaling(factor: float, shift: float) -> Linear:
    """Does not commute with another of its kind."""
    matrix = torch.diag(torch.tensor([factor, 1, 1, 1], dtype=torch.float64))
    matrix[0, 3] = shift
    return Linear(matrix)


A, B = scaling(2.0, 1.0), scaling(0.5, -3.0)
GRIDS = {name: Grid.from_spacing((20 + n, 20, 20), 5.0) for n, name in enumerate(["template", "t1", "b0"])}
TEMPLATE, T1, B0 = (Space(name, grid) for name, grid in GRIDS.items())
T1_TO_TEMPLATE = Link(Path("t1_to_template"), A, TEMPLATE, T1)
B0_TO_T1 = Link(Path("b0_to_t1"), B, T1, B0)
CHAIN = [T1_TO_TEMPLATE, B0_TO_T1]
THERE = B(A(HERE))


@pytest.mark.parametrize("order", [CHAIN, CHAIN[::-1]])
def test_folders_find_order_and_direction_from_what_lies_at_the_ends(order: list[Link]) -> None:
    forwards = to_image(order, TEMPLATE, B0, ndim=3)
    torch.testing.assert_close(forwards.transform(HERE), THERE)
    backwards = to_image(order, B0, TEMPLATE, ndim=3)
    torch.testing.assert_close(backwards.transform(THERE), HERE)
    assert forwards.words == (
        "points travel template -> t1_to_template (fixed to moving: template to t1)"
        " -> b0_to_t1 (fixed to moving: t1 to b0) -> b0"
    )
    assert backwards.words == (
        "points travel b0 -> b0_to_t1 (moving to fixed: b0 to t1)"
        " -> t1_to_template (moving to fixed: t1 to template) -> template"
    )


def test_two_registrations_to_one_template_meet_in_it() -> None:
    other = Link(Path("b0_to_template"), B, TEMPLATE, B0)
    found = to_image([T1_TO_TEMPLATE, other], T1, B0, ndim=3)
    torch.testing.assert_close(found.transform(A(HERE)), B(HERE))


def test_the_file_itself_tells_where_grids_are_alike(tmp_path: Path) -> None:
    ends = []
    for name in "fm":
        write_image(
            Image(torch.full((1, 1, 8, 8, 8), float(ord(name))), Grid.from_spacing((8, 8, 8))),
            tmp_path / f"{name}.nii",
        )
        ends.append(Space(name, Grid.from_spacing((8, 8, 8)), tmp_path / f"{name}.nii"))
    link = Link(Path("out"), A, ends[0], ends[1])
    again = [Space(e.name, e.grid, e.path) for e in ends]
    torch.testing.assert_close(to_image([link], again[0], again[1], ndim=3).transform(HERE), A(HERE))
    torch.testing.assert_close(to_image([link], again[1], again[0], ndim=3).transform(A(HERE)), HERE)
    stranger = Space("labels", Grid.from_spacing((8, 8, 8)))
    with pytest.raises(UsageError, match=r"labels.*say --on fixed or --on moving"):
        to_image([link], stranger, stranger, ndim=3)
    torch.testing.assert_close(
        to_image([link], stranger, stranger, ndim=3, on="fixed").transform(A(HERE)), HERE
    )


def test_files_are_walked_as_listed_unless_the_image_lies_with_the_fixed_one() -> None:
    files = [Link(Path("a.h5"), A), Link(Path("b.h5"), B)]
    torch.testing.assert_close(to_image(files, TEMPLATE, B0, ndim=3).transform(HERE), THERE)
    turned = to_image(files, B0, TEMPLATE, ndim=3, on="fixed")
    torch.testing.assert_close(turned.transform(THERE), HERE)
    assert turned.words == "points travel b0 -> b.h5 turned round -> a.h5 turned round -> template"
    nothing = to_image([], TEMPLATE, B0, ndim=3)
    assert torch.equal(nothing.transform(HERE), HERE)
    assert "no transform" in nothing.words


def test_points_go_both_ways_through_the_same_list() -> None:
    there = for_points(CHAIN, "fixed", ndim=3)
    back = for_points(CHAIN, "moving", ndim=3)
    torch.testing.assert_close(there.transform(HERE), THERE)
    torch.testing.assert_close(back.transform(THERE), HERE)
    assert there.words.startswith("points travel template -> t1_to_template")
    assert back.words.startswith("points travel b0 -> b0_to_t1")
    assert float(back.error_mm(THERE, HERE).max()) < 1e-9
    assert start_of_points(CHAIN, B0) == "moving"
    assert start_of_points(CHAIN, TEMPLATE) == "fixed"
    with pytest.raises(UsageError, match="--on"):
        start_of_points(CHAIN, T1)


def test_points_beyond_a_field_are_counted() -> None:
    field = Displacement(torch.ones(3, 20, 20, 20), GRIDS["template"])
    links = [Link(Path("a.h5"), A), Link(Path("field.nii.gz"), field)]
    points = torch.tensor([[0.0, 0, 0], [40, 0, 0], [0, 200, 0]], dtype=torch.float64)
    # The first doubles x and adds one: the second point ends at 81 mm, beyond the field's 50.
    assert for_points(links, "fixed", ndim=3).beyond_fields(points) == 2
    moved = for_points(links, "fixed", ndim=3).transform(points)
    assert for_points(links, "moving", ndim=3).beyond_fields(moved) == 2


def test_a_chain_that_leads_past_the_image_is_refused_and_the_other_way_named() -> None:
    far = Space(
        "far", Grid((20, 20, 20), torch.tensor([[5.0, 0, 0, 400], [0, 5, 0, 0], [0, 0, 5, 0], [0, 0, 0, 1]]))
    )
    away = Link(Path("away.h5"), Linear.translation(torch.tensor([-447.5, 0.0, 0.0])))
    with pytest.raises(PairError, match=r"turned round they take \d+ %"):
        to_image([away], TEMPLATE, far, ndim=3)
    assert to_image([away], TEMPLATE, far, ndim=3, on="fixed").transform(HERE)[0, 0] > 400
    nowhere = Link(Path("nowhere.h5"), Linear.translation(torch.tensor([0.0, 9000.0, 0.0])))
    with pytest.raises(PairError, match="nor the other way round"):
        to_image([nowhere], TEMPLATE, far, ndim=3)
    flat = Link(Path("flat.h5"), scaling(0.0, 9000.0))
    with pytest.raises(PairError, match="nor the other way round"):
        to_image([flat], TEMPLATE, far, ndim=3)


def test_dimensions_have_to_fit() -> None:
    with pytest.raises(UsageError, match=r"expected a 3-D.*flat\.h5 is 2-D"):
        to_image([Link(Path("flat.h5"), Linear.identity(2))], TEMPLATE, B0, ndim=3)


def test_a_registration_s_folder_knows_its_ends(scene, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    method = linear_method("rigid", samples=4000, init="centre")
    result = register(scene.folder / "t1.nii.gz", scene.folder / "t2.nii.gz", method=method)
    folder = result.save(tmp_path / "out")
    link = read_link(folder)
    assert link.of_registration
    fixed = Space("t1", scene.fixed.grid, scene.folder / "t1.nii.gz")
    moving = Space("labels", scene.moving.grid)
    torch.testing.assert_close(
        to_image([link], fixed, moving, ndim=3).transform(HERE), result.transform(HERE)
    )
    torch.testing.assert_close(to_image([link], moving, fixed, ndim=3).transform(HERE), result.inverse(HERE))
    end = other_end(link, moving, None)
    assert end.name == "t1.nii.gz"
    assert end.grid is not None
    assert end.grid.same_as(scene.fixed.grid)
    with pytest.raises(UsageError, match="--on"):
        other_end(link, TEMPLATE, None)


def test_what_is_no_transform_and_no_registration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"no result\.json"):
        read_link(tmp_path)
    (tmp_path / "result.json").write_text("[]")
    with pytest.raises(ReadError, match=r"result\.json of a registration"):
        read_link(tmp_path)
    (tmp_path / "result.json").write_text('{"inputs": {}}')
    with pytest.raises(ReadError, match=r"no transform|expected a transform"):
        read_link(tmp_path)
    write_transform(A, tmp_path / "transform.h5")
    with pytest.raises(ReadError, match="the fixed image"):
        read_link(tmp_path)
