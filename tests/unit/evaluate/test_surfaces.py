import math

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist
from strategies import GridNumbers, grids

from inforeg.errors import UsageError
from inforeg.evaluate import surface_distances
from inforeg.image import Labels
from inforeg.space import Grid


def labels(values: np.ndarray | torch.Tensor, grid: Grid) -> Labels:
    return Labels(torch.as_tensor(values)[None, None], grid)


def ball(grid: Grid, radius_mm: float, centre_mm: tuple[float, ...]) -> torch.Tensor:
    away = (grid.points_mm() - torch.tensor(centre_mm, dtype=torch.float64)).norm(dim=1)
    return (away <= radius_mm).reshape(grid.shape)


def by_hand(fixed: np.ndarray, warped: np.ndarray, grid: Grid) -> tuple[float, float]:
    """Erosion for the surfaces, and every distance between them."""
    faces = [region & ~binary_erosion(region) for region in (fixed, warped)]
    a, b = (grid.to_world(torch.as_tensor(np.argwhere(face)).double()).numpy() for face in faces)
    distances = cdist(a, b)
    there, back = distances.min(axis=1), distances.min(axis=0)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return hd95, float(np.concatenate((there, back)).mean())


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_distances_are_those_of_all_pairs_on_any_grid(ndim: int, data: st.DataObject) -> None:
    """Oblique, sheared, flipped; labels that touch each other and the edges."""
    drawn: GridNumbers = data.draw(grids(ndim, sizes=(2, 9)))
    grid = drawn.grid()
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    fixed, warped = random.integers(-1, 3, (2, *grid.shape))
    found = surface_distances(labels(fixed, grid), labels(warped, grid))
    assert set(found) == set(np.unique([fixed, warped]).tolist()) - {0}
    for label, distance in found.items():
        a, b = fixed == label, warped == label
        if not (a.any() and b.any()):
            assert distance.missing is not None
            continue
        hd95, assd = by_hand(a, b, grid)
        assert distance.hd95_mm == pytest.approx(hd95, rel=1e-9, abs=1e-9)
        assert distance.assd_mm == pytest.approx(assd, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.5, 3.0)])
def test_as_itk_measures_between_its_contours(spacing: tuple[float, ...]) -> None:
    grid = Grid.from_spacing((40, 30, 20), spacing)
    r = 4 * min(spacing[0], 1.0)
    maps = [ball(grid, 2 * r, (0, 0, 0)), ball(grid, 1.6 * r, (r, r / 2, -1))]
    ours = surface_distances(*(labels(7 * m, grid) for m in maps))[7]
    images = []
    for region in maps:
        image = sitk.GetImageFromArray(region.numpy().astype(np.uint8).T)
        image.SetSpacing(spacing)
        images.append(image)
    contours = [sitk.LabelContour(image, fullyConnected=False) for image in images]
    directed = []
    for one, other in (contours, contours[::-1]):
        away = sitk.SignedMaurerDistanceMap(other, squaredDistance=False, useImageSpacing=True)
        on = sitk.GetArrayViewFromImage(one) > 0
        directed.append(np.abs(sitk.GetArrayViewFromImage(away))[on])
    assert min(map(len, directed)) > 50
    assert ours.hd95_mm == pytest.approx(max(np.percentile(d, 95) for d in directed), abs=1e-5)
    assert ours.assd_mm == pytest.approx(np.concatenate(directed).mean(), abs=1e-5)


@pytest.mark.parametrize("spacing", [(0.5, 0.5, 0.5), (0.5, 0.5, 1.0)])
def test_spheres_one_inside_the_other(spacing: tuple[float, ...]) -> None:
    """Either surface is as far from the other as the radii differ; centres lie up to a voxel inside of it."""
    grid = Grid.from_spacing([round(28 / s) for s in spacing], spacing)
    a, b = ball(grid, 12.0, (0, 0, 0)), ball(grid, 8.0, (0, 0, 0))
    found = surface_distances(labels(a.long(), grid), labels(b.long(), grid))[1]
    assert found.assd_mm == pytest.approx(4.0, abs=max(spacing))
    assert found.hd95_mm == pytest.approx(4.0, abs=max(spacing))
    assert found.hd95_mm > found.assd_mm


def test_boxes_by_hand() -> None:
    """A row of 40 voxels of 2 mm, and the same with four more at its end: one direction sees nothing."""
    grid = Grid.from_spacing((60, 5), (2.0, 3.0))
    short, long = torch.zeros(2, *grid.shape, dtype=torch.int64)
    short[10:50, 2], long[10:54, 2] = 5, 5
    found = surface_distances(labels(long, grid), labels(short, grid))[5]
    from_long = np.array([0.0] * 40 + [2.0, 4.0, 6.0, 8.0])
    assert found.hd95_mm == pytest.approx(np.percentile(from_long, 95))
    assert found.assd_mm == pytest.approx(20 / 84)
    # The percentile of both directions together would hide it.
    assert np.percentile(np.append(from_long, [0.0] * 40), 95) < found.hd95_mm
    assert surface_distances(labels(short, grid), labels(long, grid))[5] == found
    # A shift is felt whole at both ends only: each end voxel, 2 x 3 mm away along, lies in the other.
    moved = surface_distances(labels(short, grid), labels(short.roll(1, 1), grid))[5]
    assert (moved.hd95_mm, moved.assd_mm) == (3.0, 3.0)
    # By turns: the grid's axes and their spacing go together.
    turned = Grid.from_spacing((5, 60), (3.0, 2.0))
    again = surface_distances(labels(short.T, turned), labels(long.T, turned))[5]
    assert again.hd95_mm == pytest.approx(found.hd95_mm)


def test_the_inside_is_no_surface_and_the_edge_is() -> None:
    """A full grid against its middle: distances are taken from the faces of the grid."""
    grid = Grid.from_spacing((9, 9), 1.0)
    whole, middle = torch.ones(grid.shape, dtype=torch.int64), torch.zeros(grid.shape, dtype=torch.int64)
    middle[4, 4] = 1
    found = surface_distances(labels(whole, grid), labels(middle, grid))[1]
    rim = [max(abs(i - 4), abs(j - 4)) == 4 for i in range(9) for j in range(9)]
    distances = [math.hypot(i - 4, j - 4) for i in range(9) for j in range(9)]
    expected = [d for d, on in zip(distances, rim, strict=True) if on]
    assert found.hd95_mm == pytest.approx(np.percentile(expected, 95))
    assert found.assd_mm == pytest.approx((sum(expected) + 4) / (len(expected) + 1))


def test_a_slice_is_measured_in_its_plane() -> None:
    """An axis of one voxel is no edge: else the inside of every region would be surface."""
    flat, thin = Grid.from_spacing((30, 20), (1.0, 2.0)), Grid.from_spacing((30, 20, 1), (1.0, 2.0, 5.0))
    a, b = ball(flat, 9.0, (0, 0)).long(), ball(flat, 6.0, (2, 1)).long()
    assert surface_distances(labels(a, flat), labels(b, flat)) == surface_distances(
        labels(a[..., None], thin), labels(b[..., None], thin)
    )
    point = Grid.from_spacing((1, 1, 1), 1.0)
    one = labels(torch.ones(1, 1, 1, dtype=torch.int64), point)
    assert surface_distances(one, one)[1].hd95_mm == 0.0


def test_labels_that_one_map_lacks_are_told() -> None:
    grid = Grid.from_spacing((8, 3), 1.0)
    fixed, warped = torch.zeros(2, *grid.shape, dtype=torch.int64)
    fixed[1], warped[1], fixed[3], warped[5] = 2**40, 2**40, -3, 4
    a, b = labels(fixed, grid), labels(warped, grid)
    found = surface_distances(a, b)
    assert list(found) == [-3, 4, 2**40]
    assert (found[2**40].hd95_mm, found[2**40].assd_mm, found[2**40].missing) == (0.0, 0.0, None)
    assert (found[-3].missing, found[4].missing) == ("not in the warped map", "not in the fixed map")
    assert math.isnan(found[-3].hd95_mm) and math.isnan(found[4].assd_mm)
    asked = surface_distances(a, b, labels=[9, 4])
    assert list(asked) == [9, 4]
    assert asked[9].missing == "in neither map"
    assert 0 in surface_distances(a, b, background=None)
    assert surface_distances(labels(fixed * 0, grid), labels(fixed * 0, grid)) == {}


def test_what_cannot_be_compared_is_refused() -> None:
    grid = Grid.from_spacing((4, 4), 1.0)
    one = labels(torch.ones(4, 4, dtype=torch.int64), grid)
    with pytest.raises(UsageError, match="one grid"):
        surface_distances(one, labels(torch.ones(4, 4), Grid.from_spacing((4, 4), 2.0)))
    two = Labels(torch.ones(2, 1, 4, 4), grid)
    with pytest.raises(UsageError, match="expected one label map on each side, got a batch of 2"):
        surface_distances(two, two)
