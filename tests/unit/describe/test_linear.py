import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from strategies import numbers

from inforeg.describe.linear import linear_facts, linear_line
from inforeg.errors import ReadError

ORIGIN = np.zeros(3)


def matrix(linear: np.ndarray, shift: tuple[float, ...] | None = None) -> np.ndarray:
    d = len(linear)
    result = np.eye(d + 1)
    result[:d, :d] = linear
    if shift is not None:
        result[:d, d] = shift
    return result


@given(vector=st.lists(numbers(-1.8, 1.8), min_size=3, max_size=3), scale=numbers(0.2, 4.0))
def test_turns_are_found_under_any_scale(vector: list[float], scale: float) -> None:
    rotation = Rotation.from_rotvec(vector)
    facts = linear_facts(matrix(scale * rotation.as_matrix()), ORIGIN)
    angle = float(np.degrees(rotation.magnitude()))
    assert facts["turn_deg"] == pytest.approx(angle, abs=1e-9)
    assert facts["stretches"] == pytest.approx([scale] * 3)
    assert facts["shear_deg"] == pytest.approx(0, abs=1e-5)
    if angle > 1e-3:
        assert np.radians(facts["turn_deg"]) * np.array(facts["turn_axis_ras"]) == pytest.approx(
            rotation.as_rotvec(), abs=1e-6
        )


@pytest.mark.parametrize("angle_deg", [179.9, 179.9999, 180.0])
def test_half_turns_keep_their_axis(angle_deg: float) -> None:
    axis = np.array([0.36, -0.48, 0.8])
    facts = linear_facts(matrix(Rotation.from_rotvec(np.radians(angle_deg) * axis).as_matrix()), ORIGIN)
    assert facts["turn_deg"] == pytest.approx(angle_deg, abs=1e-6)
    assert abs(np.dot(facts["turn_axis_ras"], axis)) == pytest.approx(1, abs=1e-9)
    if angle_deg < 180:
        assert np.dot(facts["turn_axis_ras"], axis) > 0


def test_a_turn_in_the_plane_has_a_sign_and_no_axis() -> None:
    quarter = matrix(np.array([[0.0, -1.0], [1.0, 0.0]]), (1.0, 2.0))
    facts = linear_facts(quarter, np.zeros(2))
    assert (facts["turn_deg"], facts["turn_axis_ras"]) == (pytest.approx(90.0), None)
    assert (
        linear_line(facts)
        == "linear: turns by 90.000 degrees, shifts by (1, 2), 2.236 mm; determinant 1.0000"
    )


@pytest.mark.parametrize(
    ("mirror", "named"),
    [((-1, 1, 1), "left-right"), ((1, -1, 1), "back-front"), ((1, 1, -1), "feet-head")],
)
def test_mirrors_are_named_and_are_no_turn(mirror: tuple[int, ...], named: str) -> None:
    facts = linear_facts(matrix(np.diag(mirror).astype(float)), ORIGIN)
    assert facts["reflection"]
    assert (facts["turn_deg"], facts["mirrored_axis"]) == (pytest.approx(0, abs=1e-6), named)
    turned = linear_facts(matrix(Rotation.from_rotvec([0.1, 0.2, 0.1]).as_matrix() @ np.diag(mirror)), ORIGIN)
    assert turned["mirrored_axis"] == named
    assert f"mirrors {named}" in linear_line(turned)
    assert turned["turn_deg"] == pytest.approx(np.degrees(np.linalg.norm([0.1, 0.2, 0.1])))


def test_stretch_shear_and_shift_at_a_centre() -> None:
    linear = np.array([[1.0, 0.1, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]])
    centre = np.array([10.0, 20.0, 30.0])
    facts = linear_facts(matrix(linear, (1.0, 2.0, 3.0)), centre)
    assert facts["shear_deg"] == pytest.approx(np.degrees(np.arctan(0.1)))
    assert facts["shift_mm"] == pytest.approx([3.0, 2.0, 33.0])
    assert facts["determinant"] == pytest.approx(2.0)
    assert max(facts["stretches"]) == pytest.approx(2.0)
    line = linear_line(facts)
    assert "stretches by 0.9512 to 2.0000 (mean scale 1.2599)" in line
    assert "takes the axes 5.71 degrees off right angles" in line
    assert linear_line(linear_facts(matrix(1.5 * np.eye(3)), ORIGIN)).startswith("linear: scales by 1.5000, ")
    assert linear_line(linear_facts(np.eye(4), ORIGIN)).startswith("linear: shifts by (0, 0, 0), 0.000 mm;")


def test_a_singular_matrix_says_so() -> None:
    facts = linear_facts(matrix(np.diag([1.0, 1.0, 0.0])), ORIGIN)
    assert facts["shear_deg"] is None
    assert "it flattens space" in linear_line(facts)


def test_a_projective_matrix_is_described_at_its_centre() -> None:
    projective = np.eye(4)
    projective[3] = [0.01, 0, 0, 1]
    facts = linear_facts(projective, np.array([10.0, 0, 0]))
    assert facts["projective"]
    assert facts["shift_mm"] == pytest.approx([10 / 1.1 - 10, 0, 0])
    assert facts["determinant"] == pytest.approx(1.1**-4)
    assert linear_line(facts).startswith("projective: ")
    # Where that centre is taken to infinity, it is told at the origin.
    assert linear_facts(projective, np.array([-100.0, 0, 0]))["shift_mm"] == [0, 0, 0]


@pytest.mark.parametrize("entry", [1e200, 1e308])
def test_numbers_beyond_numbers_are_refused_in_a_line(entry: float) -> None:
    huge = np.eye(4)
    huge[:3] *= entry
    huge[3, 0] = 1e-3
    with pytest.raises(ReadError, match="matrix of moderate numbers"):
        linear_facts(huge, np.array([1.0, 2.0, 3.0]))
