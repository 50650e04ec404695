import pytest
import torch
from torch import Tensor

from inforeg.image import Image
from inforeg.solve.edges import canny, grey
from inforeg.solve.positions import Choice, Positions
from inforeg.solve.sampler import dilate
from inforeg.space import Grid


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def level(shape: tuple[int, ...] = (60, 40), channels: int = 3) -> Image:
    """Noise with a bright box in it, from 0 to 1."""
    values = 0.05 * torch.rand(1, channels, *shape, generator=seeded())
    values[(slice(None), slice(None), *(slice(n // 3, 2 * n // 3) for n in shape))] += 0.9
    return Image(values, Grid.from_spacing(shape, 2.0))


def mask(image: Image, part: float = 0.5) -> Image:
    """The first part of the first axis."""
    inside = torch.zeros(1, 1, *image.grid.shape)
    inside[:, :, : round(part * image.grid.shape[0])] = 1
    return Image(inside, image.grid)


def at(image: Image, voxels: Tensor) -> Tensor:
    return image.data[0][(slice(None), *voxels.long().T)].T


@pytest.mark.parametrize("kind", ["canny", "random", "top-rows"])
@pytest.mark.parametrize("shape", [(60, 40), (24, 20, 16)])
def test_intensities_are_those_of_the_voxels(kind: str, shape: tuple[int, ...]) -> None:
    image = level(shape)
    positions = Positions(image, Choice(kind=kind), None, seeded())  # type: ignore[arg-type]
    voxels, values = positions.draw(seeded(1))
    assert voxels.shape == (positions.count, len(shape)) and values.shape == (positions.count, 3)
    assert torch.equal(values, at(image, voxels))
    assert len(torch.unique(voxels, dim=0)) == positions.count


@pytest.mark.parametrize("shape", [(60, 40), (24, 20, 16)])
def test_edges_are_all_looked_at_five_voxels_wide(shape: tuple[int, ...]) -> None:
    image = level(shape)
    choice = Choice(edge_sigma=1.0)
    voxels, _ = Positions(image, choice, None, seeded()).draw(seeded())
    found = torch.zeros(shape, dtype=torch.bool)
    found[tuple(voxels.long().T)] = True
    assert torch.equal(found, dilate(canny(255 * grey(image.data[0]), sigma=1.0), 2))
    assert 0 < len(voxels) < found.numel()


def test_of_too_many_edges_the_first_from_the_top_are_kept() -> None:
    image = level()
    every = Positions(image, Choice(), None, seeded()).draw(seeded())[0]
    few = Positions(image, Choice(most_edges=50), None, seeded()).draw(seeded())[0]
    assert torch.equal(few, every[:50])
    assert float(few[:, 1].max()) <= float(every[50:, 1].min())


def test_a_level_without_edges_is_looked_at_everywhere() -> None:
    flat = Image(torch.full((1, 1, 9, 8), 0.5), Grid.from_spacing((9, 8)))
    assert Positions(flat, Choice(), None, seeded()).count == 72


def test_a_random_share_is_drawn_anew_or_once_for_good() -> None:
    image = level()
    positions = Positions(image, Choice(kind="random"), None, seeded())
    assert positions.count == 240
    generator = seeded(1)
    first, second = (positions.draw(generator)[0] for _ in range(2))
    assert not torch.equal(first, second)
    assert torch.equal(first, positions.draw(seeded(1))[0])
    # From everywhere, not from the top.
    assert float(first[:, 1].min()) < 3 and float(first[:, 1].max()) > 36
    once = Positions(image, Choice(kind="random", redraw=False), None, seeded())
    kept = once.draw(generator)[0]
    assert torch.equal(kept, once.draw(generator)[0]) and once.count == len(kept) == 240
    other = Positions(image, Choice(kind="random", redraw=False), None, seeded(5))
    assert not torch.equal(kept, other.draw(generator)[0])


def test_of_a_tiny_level_a_hundred_are_drawn_or_all() -> None:
    few = Choice(kind="random", share=0.1)
    assert Positions(level((20, 20)), few, None, seeded()).count == 100
    assert Positions(level((8, 8)), few, None, seeded()).count == 64


def test_the_slip_of_the_notebooks_sees_the_top_rows_alone() -> None:
    """As pictures are stored, rows are the second axis."""
    image = level((60, 40))
    voxels = Positions(image, Choice(kind="top-rows", share=0.1), None, seeded()).draw(seeded())[0]
    assert len(voxels) == 240
    assert voxels[:, 1].unique().tolist() == [0, 1, 2, 3]
    assert len(voxels[:, 0].unique()) == 60


@pytest.mark.parametrize("kind", ["canny", "random", "top-rows"])
def test_a_mask_holds_all_positions(kind: str) -> None:
    image, choice = level(), Choice(kind=kind, share=0.3)  # type: ignore[arg-type]
    free = Positions(image, choice, None, seeded()).draw(seeded())[0]
    held = Positions(image, choice, mask(image), seeded()).draw(seeded())[0]
    assert float(free[:, 0].max()) > 30 > float(held[:, 0].max())
    assert 2 <= len(held) < len(free)


def test_a_mask_without_edges_is_looked_at_everywhere() -> None:
    image = level()
    held = Positions(image, Choice(), mask(image, 0.1), seeded()).draw(seeded())[0]
    assert len(held) == 6 * 40
