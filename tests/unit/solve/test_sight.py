"""What a network is shown of an image: intensities, local contrast, and how both change with the position."""

import pytest
import torch
from phantoms import field_of_view, phantom, pose

from inforeg.image import Image
from inforeg.image.pyramid import pyramid
from inforeg.image.sample import sample
from inforeg.solve.sight import WIDER, Sight, sights
from inforeg.space import Grid
from inforeg.transforms import Linear, group

RADIUS_MM = 60.0


def textured(ndim: int) -> Image:
    """Two channels of a head: 3 mm voxels in 2-D, 6 mm in 3-D."""
    grid = field_of_view(ndim, 3.0 if ndim == 2 else 6.0)
    return Image(
        torch.cat([phantom(grid, name, seed=k).data for k, name in enumerate(("t1", "t2"))], 1), grid
    )


def shown(image: Image) -> list[Sight]:
    finest = float(image.grid.spacing_mm.max())
    return sights([level.image for level in pyramid(image, [finest * 2**k for k in range(4)])])


def frame_of(ndim: int) -> torch.Tensor:
    return group("rigid", ndim).frame(torch.tensor([3.0, -2.0, 4.0][:ndim], dtype=torch.float64), RADIUS_MM)


def positions(ndim: int, count: int = 300) -> torch.Tensor:
    return (torch.rand((count, ndim), generator=torch.Generator().manual_seed(1)) * 2 - 1) * 0.8


def test_the_last_levels_only_serve_as_surroundings() -> None:
    levels = shown(textured(2))
    assert len(levels) == 4 - WIDER
    assert [sight.channels for sight in levels] == [4, 4]
    for sight in levels:
        wider = sight.surround.grid.spacing_mm / sight.image.grid.spacing_mm
        assert float(wider.min()) > 3


@pytest.mark.parametrize("name", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_values_are_the_images_own_scaled_and_less_their_surroundings(ndim: int, name: str) -> None:
    sight, frame, there = shown(textured(ndim))[0], frame_of(ndim), pose(name, ndim, 0.1)
    values, _, inside, voxel = sight.at(there, frame, positions(ndim))
    world = there(Linear(frame)(positions(ndim).double()))
    assert float((sight.image.grid.to_world(voxel.double()) - world).abs().max()) < 1e-3
    own, _ = sample(sight.image, world[None].float())
    around, _ = sample(sight.surround, world[None].float())
    assert bool(inside.all())
    # What is far beyond the scale is clipped.
    usual = values.abs() < values.abs().max()
    assert float(usual.float().mean()) > 0.8
    plain = torch.cat((own[0].T, own[0].T - around[0].T), dim=1)
    for k in range(sight.channels):
        x, y = plain[usual[:, k], k], values[usual[:, k], k]
        gain, offset = torch.linalg.lstsq(torch.stack((x, torch.ones_like(x)), 1), y).solution.tolist()
        assert float((gain * x + offset - y).abs().max()) < 2e-3
        assert gain > 0.5
        assert k < 2 or abs(offset) < 1e-3
    # Of order one: what a network can be trained on.
    assert float(values.std(0).min()) > 0.15 and float(values.abs().max()) < 10


@pytest.mark.parametrize("name", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_slopes_are_finite_differences(ndim: int, name: str) -> None:
    """By a step of a thousandth of the radius, where both ends are in one cell: within a hundredth of the largest."""
    sight, frame, there = shown(textured(ndim))[0], frame_of(ndim), pose(name, ndim, 0.1)
    points, step = positions(ndim), 1e-3
    values, slopes, _, _ = sight.at(there, frame, points)
    most = 0.999 * float(values.abs().max())
    assert slopes.shape == (len(points), sight.channels, ndim)
    for axis in range(ndim):
        side = step * torch.eye(ndim)[axis]
        ends = [sight.at(there, frame, points + sign * side) for sign in (1, -1)]
        # Between two cells a linear interpolation has no one slope, nor has what is clipped at one end.
        cells = [
            torch.cat(
                (voxel, sight.surround.grid.to_voxel(sight.image.grid.to_world(voxel.double()))), 1
            ).floor()
            for *_, voxel in ends
        ]
        same = (cells[0] == cells[1]).all(1)[:, None] & (ends[0][0].abs() < most) & (ends[1][0].abs() < most)
        assert float(same.float().mean()) > 0.5
        expected = (ends[0][0] - ends[1][0]) / (2 * step)
        error = (slopes[..., axis] - expected)[same].abs().max()
        assert float(error) < 0.01 * float(expected[same].abs().max())


def test_what_is_clipped_has_no_slope() -> None:
    image = textured(2)
    spiked = image.data.clone()
    spiked[0, 0, 27:31, 27:31] = 300.0
    values, slopes, _, _ = shown(Image(spiked, image.grid))[0].at(
        Linear.identity(2), torch.eye(3, dtype=torch.float64), 12 * positions(2)
    )
    clipped = values == values.max()
    assert 10 < int(clipped.sum()) < clipped.numel() / 2
    assert float(slopes[clipped].abs().max()) == 0
    assert float(slopes[~clipped].abs().max()) > 0.1


def test_local_contrast_does_not_change_with_the_light() -> None:
    """A constant added everywhere, and twice the gain, leave it as it was; intensities are scaled with both."""
    image, points = textured(2), positions(2)
    plain, lit = (
        shown(Image(gain * image.data + added, image.grid))[0].at(Linear.identity(2), frame_of(2), points)[0]
        for gain, added in ((1.0, 0.0), (2.0, 3.0))
    )
    assert torch.allclose(plain, lit, atol=1e-4)
    # A slope over the whole picture is in intensities, and hardly in local contrast.
    ramp = torch.linspace(0, 2, image.grid.shape[0])[:, None]
    tilted = shown(Image(image.data + ramp, image.grid))[0].at(Linear.identity(2), frame_of(2), points)[0]
    inner = points.abs().max(dim=1).values < 0.7
    correlated = [
        float(torch.corrcoef(torch.stack((plain[inner, k], tilted[inner, k])))[0, 1]) for k in (0, 2)
    ]
    assert correlated[0] < 0.8 and correlated[1] > 0.98


def test_a_constant_has_no_contrast_and_no_slope() -> None:
    flat = Image(torch.full((1, 1, 40, 40), 7.0), Grid.from_spacing((40, 40), 3.0))
    values, slopes, _, _ = shown(flat)[0].at(Linear.identity(2), frame_of(2), positions(2))
    assert bool(torch.isfinite(values).all())
    assert float(values[:, 1].abs().max()) == 0
    assert float(slopes.abs().max()) == 0


def test_what_lies_beyond_the_outer_faces_is_outside() -> None:
    sight = shown(textured(2))[0]
    eye, centre = torch.eye(3, dtype=torch.float64), sight.image.grid.centre_mm
    half = 0.5 * float(sight.image.grid.extent_mm[0])
    points = (
        torch.tensor([[0.0, 0.0], [half - 0.1, 0.0], [half + 0.1, 0.0], [0.0, -half - 5.0]]) + centre.float()
    )
    *_, inside, _ = sight.at(Linear.identity(2), eye, points)
    assert inside.tolist() == [True, True, False, False]
    up = Linear.translation(torch.tensor([0.0, 10.0], dtype=torch.float64))
    *_, inside, _ = sight.at(up, eye, points)
    assert inside.tolist() == [True, True, False, True]
