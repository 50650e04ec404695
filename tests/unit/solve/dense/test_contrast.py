"""Local contrast: what a coil, a window or a unit cannot change."""

import torch
from phantoms import field_of_view, phantom

from inforeg.image import Image, find_foreground
from inforeg.image.intensity import measure
from inforeg.image.pyramid import pyramid
from inforeg.solve.dense.contrast import LocalContrast
from inforeg.solve.dense.tables import BINS
from inforeg.space import Grid

SIGMA_MM = 10.0


def head(ndim: int = 2) -> Image:
    return phantom(field_of_view(ndim, 2.0 if ndim == 2 else 4.0), noise=0.0)


def places(image: Image) -> torch.Tensor:
    return LocalContrast(image, find_foreground(image), SIGMA_MM).places(image)


def with_data(image: Image, data: torch.Tensor) -> Image:
    return Image(data, image.grid)


def test_places_are_bins() -> None:
    found = places(head())
    assert found.shape == head().grid.shape
    assert float(found.min()) >= 0 and float(found.max()) <= BINS - 1
    # It makes use of most of them.
    inside = find_foreground(head()).mask
    assert float(found[inside].quantile(0.99) - found[inside].quantile(0.01)) > BINS / 2


def test_units_of_intensity_change_nothing() -> None:
    image = head()
    scaled = with_data(image, 730.0 * image.data - 1000.0)
    assert torch.allclose(places(scaled), places(image), atol=0.01)


def test_slow_light_is_taken_out() -> None:
    """Less than a quarter of what it adds is left: at the rim there is no mean from beyond."""
    image = head()
    found = find_foreground(image)
    inside = found.mask
    across = torch.linspace(-1, 1, image.grid.shape[0])[:, None]
    spread = float(image.data[0, 0][inside].std())
    light = 0.6 * spread * across * inside
    lit = with_data(image, image.data + light)
    before, after = (LocalContrast(seen, found, SIGMA_MM).places(seen) for seen in (image, lit))
    moved = (after - before)[inside].abs()
    added = (light / spread * (BINS - 1) / 5.5)[inside].abs()
    assert float(added.mean()) > 1
    assert float(moved.mean()) < 0.25 * float(added.mean())


def test_another_level_of_the_image_has_the_same_places() -> None:
    image = head(3)
    coarse = pyramid(image, [4.0, 8.0])[-1].image
    contrast = LocalContrast(coarse, find_foreground(coarse), SIGMA_MM)
    smooth = Image(torch.nn.functional.avg_pool3d(image.data, 3, 1, 1), image.grid)
    fine, box = contrast.places(smooth), (slice(4, 30), slice(0, 44), slice(7, 8))
    assert fine.shape == image.grid.shape
    assert torch.equal(contrast.places(smooth, box), fine[box])
    from_coarse = contrast.places(coarse)
    centres = coarse.grid.to_voxel(image.grid.points_mm()).round().long()
    kept = centres.clamp(min=0).minimum(torch.tensor(coarse.grid.shape) - 1)
    other = from_coarse[tuple(kept.T)].reshape(fine.shape)
    together = torch.corrcoef(torch.stack((fine.flatten(), other.flatten())))[0, 1]
    assert float(together) > 0.9


def test_images_without_contrast_are_taken_as_they_are() -> None:
    grid = Grid.from_spacing((20, 24), 2.0)
    mask = torch.zeros(grid.shape, dtype=torch.bool)
    mask[5:15, 6:18] = True
    for value in (0.0, 3.0, -1e6):
        image = Image(torch.full((1, 1, *grid.shape), value), grid)
        found = LocalContrast(image, measure(mask, image, value), SIGMA_MM).places(image)
        assert bool(found.isfinite().all())
        # Rounding is all there is to see.
        assert float((found - 3 / 5.5 * (BINS - 1)).abs().max()) < 3


def test_an_object_that_fills_its_image() -> None:
    data = torch.rand(1, 1, 30, 26, generator=torch.Generator().manual_seed(0)) + 4
    image = Image(data, Grid.from_spacing((30, 26), 1.0))
    everything = measure(torch.ones(30, 26, dtype=torch.bool), image, 0.0)
    found = LocalContrast(image, everything, 5.0).places(image)
    assert bool(found.isfinite().all())
    assert abs(float(found.mean()) - 3 / 5.5 * (BINS - 1)) < 1
