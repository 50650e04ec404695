"""Transforms part of the way."""

import pytest
import torch
from phantoms import RADIUS_MM, landmarks, pose, turn

from inforeg.register.between import between
from inforeg.transforms import Linear

CENTRE = torch.tensor([7.0, -4.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine", "projective"])
def test_it_begins_at_the_first_and_ends_at_the_second(name: str, ndim: int) -> None:
    first, second = pose(name, ndim, 0.3, seed=1).matrix, pose(name, ndim, 0.3, seed=2).matrix
    for share, expected in ((0.0, first), (1.0, second)):
        torch.testing.assert_close(between(first, second, share, CENTRE[:ndim]), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("angle_deg", [0.0, 1e-7, 1.0, 90.0, 179.9, 180.0])
@pytest.mark.parametrize("ndim", [2, 3])
def test_a_turn_goes_on_steadily_and_shrinks_nothing(ndim: int, angle_deg: float) -> None:
    whole = turn(angle_deg, ndim, (30.0, -20.0, 10.0)[:ndim], seed=4)
    start = torch.eye(ndim + 1, dtype=torch.float64)
    for share in (0.25, 0.5, 0.75):
        part = Linear(between(start, whole.matrix, share, CENTRE[:ndim]))
        linear = part.matrix[:ndim, :ndim]
        torch.testing.assert_close(linear @ linear.T, torch.eye(ndim, dtype=torch.float64), atol=1e-9, rtol=0)
        assert part.rotation_angle_deg() == pytest.approx(share * angle_deg, abs=1e-5)
        # The point it is about goes straight.
        centre = CENTRE[None, :ndim]
        torch.testing.assert_close(part(centre), centre + share * (whole(centre) - centre), atol=1e-9, rtol=0)


def test_halves_of_the_way_are_of_one_length() -> None:
    first, second = pose("affine", 3, 0.05, seed=1), pose("affine", 3, 0.05, seed=5)
    middle = Linear(between(first.matrix, second.matrix, 0.5, CENTRE))
    points = landmarks(3)
    one, other = ((a(points) - b(points)).norm(dim=1) for a, b in ((first, middle), (middle, second)))
    torch.testing.assert_close(one, other, atol=0.01 * RADIUS_MM, rtol=0)


def test_to_a_mirror_the_way_is_the_mean() -> None:
    first, second = (
        torch.eye(3, dtype=torch.float64),
        torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)),
    )
    assert torch.equal(between(first, second, 0.5, CENTRE[:2]), 0.5 * (first + second))
