import pytest
import torch
from phantoms import field_of_view, phantom

from inforeg.image import Image
from inforeg.image.pyramid import pyramid, spacings
from inforeg.space import Grid


def image(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Image:
    data = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    return Image(data, Grid.from_spacing(shape, spacing_mm))


def shapes(source: Image, steps: list[float]) -> list[tuple[int, ...]]:
    return [level.image.grid.shape for level in pyramid(source, steps)]


def test_spacings_double_until_they_are_coarse_enough() -> None:
    assert spacings(1.0, 8.0) == [1.0, 2.0, 4.0, 8.0]
    assert spacings(1.0, 10.0) == [1.0, 2.0, 4.0, 8.0]
    assert spacings(1.0, 11.0) == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert spacings(3.0, 2.0) == [3.0]


def test_levels_thin_evenly() -> None:
    assert shapes(image((40, 32, 24), (1.0, 1.0, 1.0)), [1.0, 2.0, 4.0]) == [
        (40, 32, 24),
        (20, 16, 12),
        (10, 8, 6),
    ]


def test_thick_slices_wait_until_the_others_have_come_up_to_them() -> None:
    levels = pyramid(image((40, 40, 12), (1.0, 1.0, 5.0)), [1.0, 2.0, 4.0, 8.0, 16.0])
    assert [level.image.grid.shape[2] for level in levels] == [12, 12, 12, 12, 4]
    assert [level.image.grid.shape[0] for level in levels] == [40, 20, 10, 5, 3]


def test_an_image_that_is_coarse_already_is_left_as_it_is() -> None:
    source = image((10, 10), (3.0, 3.0))
    assert all(level.image is source for level in pyramid(source, [0.5, 1.0, 2.0]))


@pytest.mark.parametrize("ndim", [2, 3])
def test_every_level_shows_the_same_thing_at_the_same_place(ndim: int) -> None:
    """The centre of intensity stays where it is, on a field of view that no factor divides."""
    source = phantom(field_of_view(ndim, half_mm=91.0), noise=0.0)
    centres = []
    for level in pyramid(source, [3.5, 7.0, 14.0]):
        weights = level.image.data.reshape(-1, 1).double()
        centres.append((weights * level.image.grid.points_mm()).sum(0) / weights.sum())
        assert torch.allclose(level.image.grid.centre_mm, source.grid.centre_mm, atol=1e-9)
    assert len({len(c) for c in centres}) == 1
    assert max(float((c - centres[0]).norm()) for c in centres) < 0.05
