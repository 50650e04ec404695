import pytest
import torch
from torch import Tensor

from inforeg.errors import PairError
from inforeg.image import Image, Labels
from inforeg.image.checks import check_overlap, check_pair, looks_like_labels
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


def texture(shape: tuple[int, ...], smooth: int = 3) -> Tensor:
    """Smooth noise of zero mean and unit deviation, as tissue has."""
    noise = torch.randn(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.functional.avg_pool3d if len(shape) == 3 else torch.nn.functional.avg_pool2d
    noise = pool(noise, 2 * smooth + 1, 1, smooth)
    return (noise - noise.mean()) / noise.std()


def whole(values: Tensor, dtype: str = "int16") -> Image:
    return Image(values.round(), Grid.from_spacing(tuple(values.shape[2:])), dtype=dtype)


def parcels(shape: tuple[int, ...], count: int, ids: list[int] | None = None) -> Tensor:
    """Every voxel belongs to the nearest of some seeds; about a third is background."""
    generator = torch.Generator().manual_seed(1)
    seeds = torch.rand(count, len(shape), generator=generator) * torch.tensor(shape)
    points = torch.cartesian_prod(*(torch.arange(float(n)) for n in shape))
    apart, nearest = torch.cdist(points, seeds).min(dim=1)
    labels = torch.tensor(ids or list(range(1, count + 1)), dtype=torch.float32)[nearest]
    return torch.where(apart < apart.quantile(0.7), labels, 0.0).reshape(1, 1, *shape)


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (parcels((40, 44, 36), 100), "uint8"),
        (parcels((40, 44, 36), 20)[:, :, ::2, ::2, ::2], "int16"),
        (parcels((40, 44, 36), 5, [614454277, 7, 2**26, 2, 997]), "uint32"),
        (parcels((90, 80), 30), "uint8"),
        (parcels((40, 44, 36), 1), "uint8"),
        (parcels((40, 44, 36), 3) - 2, "int8"),
    ],
)
def test_label_maps_are_seen(values: Tensor, dtype: str) -> None:
    assert looks_like_labels(whole(values, dtype))


SMOOTH = texture((40, 44, 36))


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (SMOOTH * 30 + 100, "uint8"),  # a T1 of 8 bits
        (SMOOTH * 300, "int16"),
        (SMOOTH * 4 + 20, "int16"),  # few counts
        (torch.where(SMOOTH > 0, SMOOTH * 60 + 40, -1000), "int16"),  # CT: air is one value
        ((SMOOTH * 100 + 100).clamp(0, 255), "uint8"),  # a window, full at both ends
        (texture((90, 80), 1) * 40 + 120, "uint8"),
        (torch.zeros(1, 1, 20, 20, 20), "uint8"),  # the same everywhere
        (parcels((40, 44, 36), 20), "float32"),  # the file does not hold whole numbers
    ],
)
def test_intensities_are_not_taken_for_labels(values: Tensor, dtype: str) -> None:
    assert not looks_like_labels(whole(values, dtype))


def test_colour_and_scaled_values_are_no_labels() -> None:
    grid = Grid.from_spacing((8, 9))
    assert not looks_like_labels(Image(torch.ones(1, 3, 8, 9), grid, dtype="uint8"))
    assert not looks_like_labels(Image(parcels((8, 9), 3) * 0.5 + 0.25, grid, dtype="uint8"))
