import pytest
import torch

from inforeg.errors import UsageError
from inforeg.image import Image, Labels
from inforeg.image.coarse import object_of
from inforeg.image.sample import doubled, halved
from inforeg.nets.canonical import Canonical, labels_on, seen_on
from inforeg.space import Grid


def ball(grid, centre_mm, radius_mm):
    away = (grid.points_mm() - torch.tensor(centre_mm, dtype=torch.float64)).norm(dim=1)
    return (away < radius_mm).float().reshape(1, 1, *grid.shape)


def turned_grid():
    """Axes in another order, flipped, and finer than the canonical grid."""
    matrix = torch.tensor(
        [[0.0, 0.0, 1.0, -30.0], [-1.5, 0.0, 0.0, 55.0], [0.0, 1.2, 0.0, -40.0], [0.0, 0.0, 0.0, 1.0]],
        dtype=torch.float64,
    )
    return Grid((70, 80, 90), matrix)


def test_the_grid_lies_about_a_point_along_the_worlds_axes():
    canonical = Canonical(shape=(16, 24, 32), spacing_mm=2.0)
    grid = canonical.around(torch.tensor([10.0, -5.0, 3.0]))
    assert grid.shape == (16, 24, 32)
    torch.testing.assert_close(grid.centre_mm, torch.tensor([10.0, -5.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(grid.voxel_to_world[:3, :3], 2 * torch.eye(3, dtype=torch.float64))
    coarse = canonical.around(torch.tensor([10.0, -5.0, 3.0]), coarser=2)
    assert coarse.shape == (8, 12, 16) and coarse.same_as(Grid(coarse.shape, coarse.voxel_to_world))
    torch.testing.assert_close(coarse.corners_mm(), grid.corners_mm())


def test_an_object_is_found_and_seen_wherever_its_header_puts_it():
    grid = turned_grid()
    image = Image(100 + 500 * ball(grid, (5.0, 0.0, 8.0), 20.0), grid)
    found = object_of(image)
    centre, radius = found.centre_mm, found.radius_mm
    assert float((centre - torch.tensor([5.0, 0.0, 8.0])).norm()) < 1.5 and radius == pytest.approx(
        20, abs=1.5
    )
    canonical = Canonical(shape=(32, 32, 32), spacing_mm=3.0)
    about = canonical.around(torch.tensor([5.0, 0.0, 8.0]))
    seen = seen_on(image, canonical, about)
    expected = ball(about, (5.0, 0.0, 8.0), 20.0)
    assert seen.grid is about and float(seen.data.min()) >= -0.1 and float(seen.data.max()) <= 1.1
    # The air beyond the image is darker than the air in it: only around the ball both are the same.
    near = ball(about, (5.0, 0.0, 8.0), 26.0) > 0
    level = seen.data[near][expected[near] == 0].median()
    assert (
        float(((seen.data - level)[near] > 0.5 * (1 - level)).float().sub(expected[near]).abs().mean()) < 0.06
    )


def test_labels_are_finer_than_the_grid_and_cover_the_same():
    grid = turned_grid()
    labels = Labels(7 * ball(grid, (5.0, 0.0, 8.0), 15.0).long(), grid)
    canonical = Canonical(shape=(16, 16, 16), spacing_mm=3.0)
    fine, finer = labels_on(labels, canonical, canonical.around(torch.tensor([5.0, 0.0, 8.0])))
    assert finer == 3 and fine.shape == (1, 48, 48, 48) and set(fine.unique().tolist()) == {0, 7}
    volume = float((fine == 7).sum()) * (3.0 / finer) ** 3
    assert volume == pytest.approx(4 / 3 * torch.pi * 15**3, rel=0.05)
    # Symmetric about the middle, so not shifted by half a voxel.
    assert float(((fine == 7) ^ (fine.flip(1, 2, 3) == 7)).float().mean()) < 0.02


def test_what_is_too_large_is_known_to_be():
    canonical = Canonical(shape=(48, 64, 48), spacing_mm=3.0)
    assert canonical.holds(75.0) and not canonical.holds(120.0)


@pytest.mark.parametrize("shape", [(8, 12), (8, 12, 6)])
def test_half_and_twice_are_linear_between_voxel_centres(shape):
    grid = Grid.from_spacing(shape, 1.0)
    ramp = (grid.points_mm() @ torch.arange(1.0, 1 + len(shape)).double()).float().reshape(1, 1, *shape)
    half = Grid.from_spacing([n // 2 for n in shape], 2.0)
    expected = (
        (half.points_mm() @ torch.arange(1.0, 1 + len(shape)).double()).float().reshape(1, 1, *half.shape)
    )
    torch.testing.assert_close(halved(ramp), expected)
    inner = (..., *[slice(1, -1)] * len(shape))
    torch.testing.assert_close(doubled(expected)[inner], ramp[inner])
    with pytest.raises(UsageError, match="even number"):
        halved(torch.zeros(1, 1, 7, *shape[1:]))
