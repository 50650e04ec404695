"""Vectors between the voxels of a grid, by one way and by another."""

import pytest
import torch

from inforeg.image.interpolate import inside_grid, on_lines, vectors_at
from inforeg.image.sample import sample_displaced

SHAPES = [(7, 9), (6, 5, 8), (6, 1, 8)]


@pytest.mark.parametrize("shape", SHAPES)
def test_on_lines_it_is_as_at_points_and_zero_outside(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    lines = [torch.linspace(-1.2, n + 0.7, 11 + a, dtype=torch.float64) for a, n in enumerate(shape)]
    # The outermost faces themselves, and the last voxel centre.
    lines[0][:3] = torch.tensor([-0.5, shape[0] - 0.5, shape[0] - 1])
    lattice = torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1).reshape(-1, len(shape))
    expected = vectors_at(vectors, lattice) * inside_grid(lattice, shape)[:, None]
    found = on_lines(vectors, lines)
    assert found.shape == (2, *(len(line) for line in lines))
    torch.testing.assert_close(found.reshape(2, -1).T, expected, rtol=0, atol=1e-12)
    assert float(expected.abs().min()) == 0 < float(expected.abs().max())
    single = on_lines(vectors.float(), lines)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), found, rtol=0, atol=1e-5)


def test_on_lines_it_can_be_differentiated() -> None:
    vectors = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lines = [
        torch.linspace(-0.7, 2.2, 5, dtype=torch.float64),
        torch.linspace(0.1, 3.4, 6, dtype=torch.float64),
    ]
    assert torch.autograd.gradcheck(lambda v: on_lines(v, lines), (vectors.requires_grad_(),))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("shape", [*SHAPES, (20, 17, 19)])
def test_displaced_voxel_centres_are_read_with_edges_that_hold(shape: tuple[int, ...], batch: int) -> None:
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(batch, 2, *shape, generator=generator, dtype=torch.float64)
    shift = 3 * torch.randn(batch, len(shape), *shape, generator=generator, dtype=torch.float64)
    centres = torch.stack(torch.meshgrid(*[torch.arange(n).double() for n in shape], indexing="ij"))
    found = sample_displaced(data, shift)
    for one, values, by in zip(found, data, shift, strict=True):
        expected = vectors_at(values, (centres + by).reshape(len(shape), -1).T)
        torch.testing.assert_close(one.reshape(2, -1).T, expected, rtol=0, atol=1e-12)
    single = sample_displaced(data.float(), shift.float())
    torch.testing.assert_close(single.double(), found, rtol=0, atol=2e-5)


def test_without_a_shift_nothing_changes() -> None:
    data = torch.randn(1, 3, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(sample_displaced(data, torch.zeros(1, 3, 5, 6, 7)), data, rtol=0, atol=1e-5)
