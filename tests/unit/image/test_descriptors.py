from itertools import combinations, product

import numpy as np
import pytest
import torch

from inforeg.errors import UsageError
from inforeg.image import Image
from inforeg.image.descriptors import mind, mind_ssc
from inforeg.space import Grid

KINDS = {"mind": mind, "mind_ssc": mind_ssc}
every_kind = pytest.mark.parametrize("kind", KINDS)
tiny = pytest.mark.parametrize("shape", [(7, 6), (5, 6, 4)], ids=["2-D", "3-D"])


def image(shape, channels=1, seed=0, **options):
    data = torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(seed), **options)
    return Image(data, Grid.from_spacing(shape))


def neighbours(d, distance):
    for axis in range(d):
        for sign in (-1, 1):
            yield tuple(sign * distance if a == axis else 0 for a in range(d))


def reference(values, kind, distance, radius):
    """The papers' formulae, voxel by voxel and difference by difference."""
    d = values.ndim
    around = list(neighbours(d, distance))
    if kind == "mind":
        pairs = [((0,) * d, r) for r in around]
    else:
        diagonal = np.sqrt(2) * distance
        pairs = [
            (a, b)
            for a, b in combinations(around, 2)
            if np.isclose(np.linalg.norm(np.subtract(a, b)), diagonal)
        ]

    def at(*offsets):
        return values[tuple(min(max(sum(o), 0), n - 1) for *o, n in zip(*offsets, values.shape, strict=True))]

    patch = list(product(range(-radius, radius + 1), repeat=d))
    distances = np.zeros((len(pairs), *values.shape))
    for voxel in np.ndindex(*values.shape):
        for channel, (a, b) in enumerate(pairs):
            squares = [(at(voxel, p, a) - at(voxel, p, b)) ** 2 for p in patch]
            distances[(channel, *voxel)] = np.mean(squares)
    variance = distances.mean(0)
    variance = np.clip(variance, 1e-3 * variance.mean(), 1e3 * variance.mean())
    described = np.exp(-distances / variance)
    return described / described.max(0)


@every_kind
@tiny
@pytest.mark.parametrize(("distance", "radius"), [(1, 1), (2, 1), (3, 0)])
def test_it_is_the_papers_formula(kind, shape, distance, radius):
    picture = image(shape)
    picture.data[0, 0, :2] *= 100  # so that the variance is held at its lower bound somewhere
    found = KINDS[kind](picture, distance_voxels=distance, patch_radius_voxels=radius)
    expected = reference(picture.data[0, 0].double().numpy(), kind, distance, radius)
    np.testing.assert_allclose(found.data[0].numpy(), expected, rtol=0, atol=2e-5)


@every_kind
@tiny
def test_channels_grid_and_range(kind, shape):
    picture = image(shape, channels=2)
    found = KINDS[kind](picture)
    count = {("mind", 2): 4, ("mind", 3): 6, ("mind_ssc", 2): 4, ("mind_ssc", 3): 12}[kind, len(shape)]
    assert found.data.shape == (1, 2 * count, *shape)
    assert found.grid is picture.grid
    assert float(found.data.min()) >= 0
    assert bool((found.data[:, :count].amax(dim=1) == 1).all())
    alone = KINDS[kind](Image(picture.data[:, 1:], picture.grid))
    torch.testing.assert_close(found.data[:, count:], alone.data)


@every_kind
@tiny
def test_contrast_does_not_matter(kind, shape):
    picture = image(shape)
    inverted = Image(700 - 30 * picture.data, picture.grid)
    torch.testing.assert_close(KINDS[kind](inverted).data, KINDS[kind](picture).data, rtol=0, atol=1e-4)


@every_kind
def test_it_tells_the_place_across_contrasts_where_intensities_do_not(kind):
    # Ridges that are bright in one image, dark in the other.
    texture = image((40, 40), seed=3).data
    texture = torch.nn.functional.avg_pool2d(texture, 5, stride=1, padding=2)
    ridges = (texture / texture.std()).abs()
    grid = Grid.from_spacing((40, 40))
    fixed, moving = KINDS[kind](Image(ridges, grid)).data, KINDS[kind](Image((-2 * ridges).exp(), grid)).data
    costs = [float((fixed - moving.roll(s, 2))[:, :, 4:-4].square().mean()) for s in range(-2, 3)]
    assert costs[0] > costs[1] > costs[2] < costs[3] < costs[4]


@every_kind
def test_a_constant_image_has_nothing_to_tell(kind):
    found = KINDS[kind](Image(torch.full((1, 1, 6, 6, 6), 37.0), Grid.from_spacing((6, 6, 6))))
    assert bool((found.data == 1).all())


@every_kind
@pytest.mark.parametrize("settings", [{"distance_voxels": 0}, {"patch_radius_voxels": -1}])
def test_distances_that_are_none_are_refused(kind, settings):
    with pytest.raises(UsageError, match="expected a distance"):
        KINDS[kind](image((6, 6)), **settings)
