import pytest
import torch

from inforeg.describe.transform import transform_facts, transform_lines
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Velocity, fit_thin_plate

GRID = Grid.from_spacing((9, 8, 7), 2.0)


def shift(*mm: float) -> Linear:
    return Linear.translation(torch.tensor(mm, dtype=torch.float64))


def field(mm: float = 3.0) -> Displacement:
    vectors = torch.zeros(3, *GRID.shape)
    vectors[0] = 1.0
    vectors[0, 4, 4, 4] = mm
    return Displacement(vectors, GRID)


def test_parts_stand_in_the_order_in_which_points_travel() -> None:
    double = Linear(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    facts = transform_facts(Composite((double, field(), shift(5, 0, 0))), "a.h5", "itk")
    assert [part["kind"] for part in facts["parts"]] == ["linear", "displacement", "linear"]
    assert facts["shifts_at"] == "the centre of the first grid"
    # The last part sees the centre where the others have taken it: 5 mm and then 1 mm on.
    assert facts["parts"][0]["shift_mm"] == [5, 0, 0]
    assert facts["parts"][2]["centre_mm"] == pytest.approx([6, 0, 0])
    assert facts["parts"][2]["shift_mm"] == pytest.approx([6, 0, 0])
    lines = transform_lines(facts)
    assert "3 parts, in the order in which points travel" in lines[0]
    assert lines[1].startswith("1. linear: shifts by (5, 0, 0), 5.000 mm")
    assert lines[2].startswith(
        "2. displacement field on 9 x 8 x 7 voxels of 2 x 2 x 2 mm: lengths up to 3 mm"
    )
    assert lines[-1] == "shifts are those of the centre of the first grid"


def test_one_matrix_at_the_origin_or_where_it_is_wanted() -> None:
    turn = Linear(
        torch.tensor([[0, -1, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=torch.float64)
    )
    assert transform_facts(turn, "a", "itk")["parts"][0]["shift_mm"] == pytest.approx([1, 0, 0])
    at = transform_facts(turn, "a", "itk", torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64))
    assert at["parts"][0]["shift_mm"] == pytest.approx([-9, 10, 0])
    assert at["shifts_at"] == "the centre of the fixed image"


def test_a_field_with_folds() -> None:
    facts = transform_facts(field(9.0), "a", "itk")["parts"][0]
    assert facts["largest_length_mm"] == 9.0
    assert facts["median_length_mm"] == 1.0
    # The bump of 8 mm falls by 4 mm a voxel of 2 mm on the far side: half a central difference of 4 per 2 mm.
    assert facts["folds"] == 1
    assert facts["smallest_determinant"] == pytest.approx(1 - 8 / 4)
    assert "1 voxels fold (0.198 %)" in transform_lines(transform_facts(field(9.0), "a", "itk"))[1]
    assert "no folds (smallest determinant 0.5)" in transform_lines(transform_facts(field(), "a", "itk"))[1]


def test_a_spline() -> None:
    coefficients = torch.zeros(2, 7, 8, dtype=torch.float64)
    coefficients[1] = 2.5
    spline = BSpline(coefficients, Grid.from_spacing((7, 8), (10.0, 20.0)))
    facts = transform_facts(spline, "a.txt", "elastix")
    part = facts["parts"][0]
    assert part["shape"] == [7, 8]
    assert part["spacing_mm"] == pytest.approx([10, 20])
    assert part["largest_length_mm"] == pytest.approx(2.5)
    assert part["median_length_mm"] == pytest.approx(2.5)
    assert "cubic B-spline of 7 x 8 control points, 10 x 20 mm apart" in transform_lines(facts)[1]


def test_a_velocity_field_is_described_as_what_a_file_holds() -> None:
    velocity = Velocity(field(4.0).vectors, GRID)
    facts = transform_facts(Composite((shift(5, 0, 0), velocity)), "a.h5", "itk")
    written = transform_facts(Composite((shift(5, 0, 0), velocity.displacement)), "a.h5", "itk")
    assert facts == written
    assert facts["shifts_at"] == "the centre of the first grid"


def test_what_no_file_holds_is_named() -> None:
    corners = GRID.corners_mm()
    bent = fit_thin_plate(corners, corners + torch.arange(24).reshape(8, 3) % 5)
    assert transform_lines(transform_facts(bent, "memory", "none"))[1] == "1. thinplate"
