"""What the deformable method looks at: masks, empty images, and slices."""

from functools import cache

import pytest
import torch
from phantoms import field_of_view, landmarks, phantom
from unit.methods.deformations import brief, moved_mm, pair

from inforeg.errors import PairError
from inforeg.image import Image
from inforeg.space import Grid
from inforeg.transforms import Velocity


def local(size_mm: float = 12.0) -> Velocity:
    """A bulge at the head's left, and none at its right."""
    nodes = Grid.from_spacing((40, 40), 6.0)
    points = nodes.points_mm()
    away = (points - torch.tensor([-32.0, 0.0])).norm(dim=1)
    bump = torch.exp(-((away / 22) ** 2)).reshape(nodes.shape)
    return Velocity(size_mm * torch.stack((torch.zeros_like(bump), bump)), nodes)


def half(image: Image, first: float) -> Image:
    """A mask of what lies at `first` mm and beyond, along the first axis."""
    inside = image.grid.points_mm()[:, 0] > first
    return Image(inside.reshape(1, 1, *image.grid.shape).float(), image.grid)


@cache
def bulged() -> tuple[Image, Image]:
    return pair(2, local(), "t1")


def test_masks_are_honoured() -> None:
    """What lies under none does not pull: the bulge is found without a mask, and is not with one over it."""
    fixed, moving = bulged()
    points = landmarks(2)
    there = points[(points[:, 0] + 38).abs() < 12]
    truth = moved_mm(local(), there).mean()
    plain = moved_mm(brief()(fixed, moving).transform, there).mean()
    assert float(truth) > 4 and float(plain) > 0.5 * float(truth)
    for name, image in (("fixed_mask", fixed), ("moving_mask", moving)):
        masked = brief()(fixed, moving, **{name: half(image, 8.0)})  # type: ignore[arg-type]
        assert float(moved_mm(masked.transform, there).mean()) < 0.35 * float(plain), name
        here = points[points[:, 0] > 20]
        assert float(moved_mm(masked.transform, here).mean()) < 1.5, name


def test_a_mask_of_everything_changes_nothing() -> None:
    fixed, moving = bulged()
    everything = Image(torch.ones_like(fixed.data), fixed.grid)
    plain, masked = (brief()(fixed, moving, fixed_mask=mask, moving_mask=mask) for mask in (None, everything))
    points = landmarks(2)
    assert float((plain.transform(points) - masked.transform(points)).norm(dim=1).max()) < 1e-3


def test_a_mask_of_nothing_is_refused() -> None:
    fixed, moving = bulged()
    with pytest.raises(PairError, match="mask"):
        brief()(fixed, moving, fixed_mask=Image(torch.zeros_like(fixed.data), fixed.grid))


def test_empty_images_are_refused() -> None:
    fixed, moving = bulged()
    with pytest.raises(PairError, match="found nothing"):
        brief()(Image(torch.zeros_like(fixed.data), fixed.grid), moving)


def test_a_single_slice_of_a_volume_moves_within_itself() -> None:
    grid = field_of_view(2, 4.0)
    matrix = torch.diag(torch.tensor([4.0, 4.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:2, 3] = grid.voxel_to_world[:2, 2]
    flat = Grid((*grid.shape, 1), matrix)
    images = phantom(grid), phantom(grid, "t1", local(), seed=5)  # type: ignore[arg-type]
    result = brief()(*(Image(image.data[..., None], flat) for image in images))
    points = landmarks(2)
    points = points[(points[:, 0] + 32).abs() < 12]
    deep = torch.cat((points, torch.zeros(len(points), 1, dtype=points.dtype)), dim=1)
    moved = result.transform(deep) - deep
    assert float(moved[:, 2].abs().max()) < 0.05
    assert float(moved[:, 1].mean()) > 0.4 * float(moved_mm(local(), points).mean())
