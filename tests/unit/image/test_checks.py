import pytest
import torch
from torch import Tensor

from inforeg.errors import PairError
from inforeg.image import Image, Labels
from inforeg.image.checks import check_overlap, check_pair
from inforeg.space import Grid


def image(shape: tuple[int, ...] = (6, 7, 8), name: str = "t1.nii.gz", centre: float = 0.0) -> Image:
    grid = Grid.from_spacing(shape, 2.0)
    matrix = grid.voxel_to_world.clone()
    matrix[0, -1] += centre
    data = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    return Image(data, Grid(shape, matrix), name)


def with_values(*values: float) -> Image:
    data = image().data.clone()
    data.view(-1)[: len(values)] = torch.tensor(values)
    return Image(data, image().grid, "odd.nii.gz")


def mask(values: Tensor, centre: float = 0.0) -> Image:
    return Image(values.float()[None, None], image(tuple(values.shape), centre=centre).grid, "mask.nii.gz")


BOX = torch.zeros(6, 7, 8)
BOX[2:4, 2:4, 2:4] = 1


def test_a_good_pair_passes() -> None:
    check_pair(image(), image((9, 8, 7)), mask(BOX), mask(torch.ones(3, 3, 3)))
    check_pair(image((6, 7)), image((9, 8)))
    check_pair(image(), image(), Labels(BOX.long()[None, None], image().grid))


@pytest.mark.parametrize(
    ("fixed", "moving", "expected"),
    [
        (image((6, 7)), image(), r"6x7 \(2-D\) and the moving image \(t1.nii.gz\) of 6x7x8 \(3-D\)"),
        (image(), with_values(float("nan"), float("inf")), r"odd.nii.gz\) has 2 values of 336 that are NaN"),
        (image(), with_values(float("-inf")), "has 1 values"),
        (Image(torch.full((1, 1, 4, 4), 7.0), Grid.from_spacing((4, 4))), image((4, 4)), r"everywhere \(7\)"),
        (image(), image((6, 1, 8)), "6x1x8 voxels; expected at least 2"),
    ],
)
def test_pairs_that_cannot_be_registered(fixed: Image, moving: Image, expected: str) -> None:
    for first, second in ((fixed, moving), (moving, fixed)):
        if "moving image" in expected and first is not fixed:
            continue
        with pytest.raises(PairError, match=expected) as caught:
            check_pair(first, second)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (mask(torch.zeros(6, 7, 8)), "empty: none of its 336"),
        (mask(torch.ones(6, 7)), "2-D"),
        (mask(BOX, centre=400.0), "400 mm apart"),
        (mask(torch.full((6, 7, 8), 0.4)), "above 0.5"),
    ],
)
def test_masks_that_cannot_be_used(wrong: Image, expected: str) -> None:
    with pytest.raises(PairError, match=f"the fixed mask.*{expected}"):
        check_pair(image(), image(), wrong)
    with pytest.raises(PairError, match=f"the moving mask.*{expected}"):
        check_pair(image(), image(), None, wrong)


def test_a_mask_with_its_object_outside_the_image_is_beside_it() -> None:
    wide = torch.zeros(60, 7, 8)
    wide[:3] = 1
    with pytest.raises(PairError, match="beside"):
        check_pair(image(), image(), mask(wide))
    wide[28:31] = 1
    check_pair(image(), image(), mask(wide))


def test_fields_of_view_that_do_not_meet() -> None:
    near, far = image().grid, image(centre=312.0).grid
    check_overlap(near, image(centre=9.0).grid)
    with pytest.raises(PairError, match=r"312 mm apart, extents 12x14x16 and 12x14x16 mm; .*--init centre"):
        check_overlap(near, far)
    check_overlap(near, far, lambda p: p + torch.tensor([312.0, 0, 0], dtype=torch.float64))
    with pytest.raises(PairError, match="do not overlap"):
        check_overlap(near, near, lambda p: p + 50)


def test_a_small_image_inside_a_large_one_overlaps() -> None:
    small = Grid.from_spacing((3, 3, 3), 0.1)
    check_overlap(image().grid, small)
    check_overlap(small, image().grid)
