import pytest
import torch
from phantoms import field_of_view, phantom

from inforeg.errors import PairError
from inforeg.image import Image
from inforeg.methods.pair import prepare_pair
from inforeg.space import Grid


def mask_of(grid: Grid, radius_mm: float, at: float = 0.0) -> Image:
    """A ball, on a grid."""
    centre = torch.tensor([at] + [0.0] * (grid.ndim - 1), dtype=torch.float64)
    inside = (grid.points_mm() - centre).norm(dim=1) < radius_mm
    return Image(inside.float().reshape(1, 1, *grid.shape), grid)


@pytest.mark.parametrize("factor", [1.0, 0.08])
@pytest.mark.parametrize("ndim", [2, 3])
def test_resolutions_go_from_the_coarser_images_own_to_one_fit_for_a_search(ndim: int, factor: float) -> None:
    """Whatever the unit of length: a head at 2 mm, and the same as a mouse's."""
    grids = [field_of_view(ndim, spacing * factor, 87.0 * factor) for spacing in (2.0, 3.0)]
    fixed, moving = (phantom(g, radius_mm=70.0 * factor) for g in grids)
    pair = prepare_pair(fixed, moving, None, None)
    assert pair.spacings_mm[0] == pytest.approx(3.0 * factor)
    assert all(
        b == pytest.approx(2 * a) for a, b in zip(pair.spacings_mm, pair.spacings_mm[1:], strict=False)
    )
    assert len(pair.fixed) == len(pair.moving) == len(pair.spacings_mm)
    wanted = 64 * factor / (9 if ndim == 3 else 30)
    assert 0.6 < pair.spacings_mm[pair.coarse] / wanted < 1.6
    for levels in (pair.fixed, pair.moving):
        for image, spacing in zip(levels, pair.spacings_mm, strict=True):
            assert float(image.grid.spacing_mm.max()) <= 1.2 * spacing + 1e-9
    for view, source in ((pair.fixed_view, fixed), (pair.moving_view, moving)):
        assert view.coarse.grid.shape <= view.finer.grid.shape <= source.grid.shape
        assert float(view.coarse.data.min()) >= -0.1 and float(view.coarse.data.max()) <= 1.1
        assert view.object.radius_mm == pytest.approx((64 if ndim == 3 else 70) * factor, rel=0.08)
        assert view.window[1] > view.window[0]


def test_colours_are_noted() -> None:
    grid = field_of_view(2)
    grey = phantom(grid)
    colour = Image(grey.data.repeat(1, 3, 1, 1), grid)
    pair = prepare_pair(colour, grey, None, None)
    assert pair.fixed[0].channels == 1
    assert len(pair.notes) == 1
    assert "the fixed image has 3 channels" in pair.notes[0]


def test_a_mask_bounds_the_object_also_on_a_grid_of_its_own() -> None:
    image = phantom(field_of_view(3, 5.0))
    mask = mask_of(Grid.from_spacing((50, 40, 45), (4.0, 5.0, 4.5)), 30.0, at=-20.0)
    pair = prepare_pair(image, image, mask, None)
    assert pair.fixed_view.object.radius_mm < 36 < 55 < pair.moving_view.object.radius_mm
    assert float(pair.fixed_view.object.centre_mm[0]) == pytest.approx(-20, abs=4)


def test_a_small_mask_is_a_mask() -> None:
    """A tumour of 24 mm in a head: smaller than the coarsest voxels, and not empty."""
    image = phantom(field_of_view(3, 2.5), noise=0.0)
    pair = prepare_pair(image, image, mask_of(image.grid, 12.0, at=-20.0), None)
    assert not pair.fixed_view.object.is_empty


@pytest.mark.parametrize("which", [0, 1])
def test_a_mask_beside_the_object_leaves_nothing(which: int) -> None:
    image = phantom(field_of_view(3, 5.0), noise=0.0)
    corner = torch.zeros(1, 1, *image.grid.shape)
    corner[..., :3, :3, :3] = 1
    masks: list[Image | None] = [None, None]
    masks[which] = Image(corner, image.grid)
    with pytest.raises(PairError, match="nothing inside its mask") as caught:
        prepare_pair(image, image, *masks)
    assert ("fixed", "moving")[which] in str(caught.value)


def test_an_image_without_an_object_is_refused() -> None:
    image = phantom(field_of_view(2))
    with pytest.raises(PairError, match="something to register in the moving image"):
        prepare_pair(image, Image(torch.ones_like(image.data), image.grid), None, None)
