import math

import pytest
import torch

from inforeg.bench.drmime.changes import HEAD, PICTURE, Amounts, generator_for, random_transform, relit
from inforeg.image import Image
from inforeg.space import Grid

CENTRE = torch.tensor([7.0, -3.0, 11.0], dtype=torch.float64)
EXTENT = torch.tensor([100.0, 60.0, 80.0], dtype=torch.float64)


def drawn(kind: str, ndim: int, amounts: Amounts, number: int = 0):
    return random_transform(kind, CENTRE[:ndim], EXTENT[:ndim], amounts, generator_for("a test", number))


@pytest.mark.parametrize(("ndim", "amounts"), [(2, PICTURE), (3, HEAD)])
def test_rigid_ones_turn_and_shift_within_their_sizes(ndim, amounts):
    angles, shifts = [], []
    for number in range(100):
        transform = drawn("rigid", ndim, amounts, number)
        linear = transform.matrix[:ndim, :ndim]
        assert torch.allclose(linear @ linear.T, torch.eye(ndim, dtype=torch.float64), atol=1e-12)
        angles.append(math.radians(transform.rotation_angle_deg()))
        shifts.append(transform(CENTRE[None, :ndim])[0] - CENTRE[:ndim])
    most = amounts.turn_rad * math.sqrt(1 if ndim == 2 else 3)
    assert 0.7 * most < max(angles) <= most
    reach = torch.stack(shifts).abs().amax(dim=0)
    limit = amounts.shift * (EXTENT[:ndim] if amounts.relative else torch.ones(ndim))
    assert bool((reach <= limit).all()) and bool((reach > 0.85 * limit).all())


def test_affine_ones_scale_each_axis_and_keep_orientation():
    determinants = [float(torch.linalg.det(drawn("affine", 3, HEAD, n).matrix[:3, :3])) for n in range(60)]
    assert 0.95**3 <= min(determinants) < 0.92
    assert 1.05**3 >= max(determinants) > 1.08
    assert all(drawn("affine", 3, HEAD, n).is_affine for n in range(5))


def test_projective_ones_divide_by_no_more_than_they_may():
    rim = CENTRE[:2] + EXTENT[:2] / 2 * torch.tensor([1.0, 0.0])
    seen = []
    for number in range(100):
        transform = drawn("projective", 2, PICTURE, number)
        assert not transform.is_affine
        matrix = transform.matrix / (transform.matrix[2] @ torch.cat((CENTRE[:2], torch.ones(1))))
        seen.append(float((matrix[2] @ torch.cat((rim, torch.ones(1)))) - 1))
        # The centre goes where the affine part takes it.
        shift = transform(CENTRE[None, :2])[0] - CENTRE[:2]
        assert bool((shift.abs() <= 0.1 * EXTENT[:2] + 1e-9).all())
    assert 0.045 < max(map(abs, seen)) <= 0.05 + 1e-12


def test_the_same_words_give_the_same_numbers_and_others_do_not():
    def first(*what: object) -> list[float]:
        return torch.rand(3, generator=generator_for(*what)).tolist()

    assert first("fundus", 1, 0) == first("fundus", 1, 0)
    assert first("fundus", 1, 0) != first("fundus", 1, 1)
    assert first("fundus", 1, 0) != first("fundus", 11, 0)


def test_another_light_changes_values_and_not_places():
    grid = Grid.from_spacing((60, 50))
    x = torch.linspace(20, 230, 60)[:, None].expand(60, 50)
    picture = Image(torch.stack((x, x.flip(0), 0.5 * x))[None], grid)
    found = relit(picture, generator_for("light"))
    again = relit(picture, generator_for("light"))
    assert torch.equal(found.data, again.data)
    assert torch.equal(found.data, found.data.round())
    assert float(found.data.min()) >= 0 and float(found.data.max()) <= 255
    assert float((found.data - picture.data).abs().mean()) > 5
    for channel in range(3):
        pair = torch.stack((found.data[0, channel].reshape(-1), picture.data[0, channel].reshape(-1)))
        assert float(torch.corrcoef(pair)[0, 1]) > 0.97
