"""Nodes over a field of view: what is spread from them is linear, what is gathered is the adjoint of that."""

import pytest
import torch
from torch import Tensor

from inforeg.solve.dense.lattice import Lattice, Spread
from inforeg.space import Grid
from inforeg.transforms import Displacement, Velocity
from inforeg.transforms.velocity import exponential

APART_MM = 5.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def ramp(points_mm: Tensor) -> Tensor:
    """Two functions that are linear in the world, `(n, 2)`."""
    d = points_mm.shape[1]
    return points_mm @ noise(d, 2, seed=3) + noise(2, seed=4)


def ramp_on(grid: Grid) -> Tensor:
    """The same at the voxels of a grid, `(2, *shape)`."""
    return ramp(grid.points_mm()).T.reshape(2, *grid.shape)


def boxed(grid: Grid) -> tuple[slice, ...]:
    """All but the first voxels along the first axis."""
    return (slice(3, grid.shape[0]), *[slice(0, n) for n in grid.shape[1:]])


def near(one: Tensor, other: Tensor, share: float = 1e-6) -> bool:
    return bool((one - other).abs().max() <= share * other.abs().max())


def test_nodes_are_evenly_apart_and_cover_the_field_of_view(grid: Grid) -> None:
    lattice = Lattice.over(grid, APART_MM)
    assert lattice.grid.spacing_mm.tolist() == pytest.approx([APART_MM] * grid.ndim, rel=1e-12)
    assert lattice.spacing_mm == pytest.approx(APART_MM, rel=1e-12)
    assert torch.allclose(lattice.grid.centre_mm, grid.centre_mm, atol=1e-9)
    faces = torch.cartesian_prod(*[torch.tensor([-0.5, n - 0.5]) for n in grid.shape]).double()
    nodes = lattice.grid.to_voxel(grid.to_world(faces))
    last = torch.tensor(lattice.grid.shape, dtype=torch.float64) - 1
    assert bool((nodes >= -1e-9).all()) and bool((nodes <= last + 1e-9).all())
    # No more than one node beyond.
    assert bool((nodes.amin(0) < 1).all()) and bool((nodes.amax(0) > last - 1).all())


def test_what_is_linear_is_spread_exactly(grid: Grid) -> None:
    lattice, box = Lattice.over(grid, APART_MM), boxed(grid)
    found = lattice.onto(grid, box).spread(ramp_on(lattice.grid).float())
    assert near(found.double(), ramp_on(grid)[(slice(None), *box)])


def test_gathering_is_the_adjoint_of_spreading(grid: Grid) -> None:
    lattice, box = Lattice.over(grid, APART_MM), boxed(grid)
    spread = Spread([matrix.double() for matrix in lattice.onto(grid, box).matrices])
    nodes = noise(3, *lattice.grid.shape, seed=1)
    voxels = noise(3, *(part.stop - part.start for part in box), seed=2)
    one, other = (spread.spread(nodes) * voxels).sum(), (nodes * spread.gather(voxels)).sum()
    assert float(one) == pytest.approx(float(other), rel=1e-10)


def test_every_voxel_gives_away_all_of_its_weight(grid: Grid) -> None:
    lattice, box = Lattice.over(grid, APART_MM), boxed(grid)
    spread = lattice.onto(grid, box)
    ones = torch.ones(1, *(part.stop - part.start for part in box))
    assert float(spread.gather(ones).sum()) == pytest.approx(ones.numel(), rel=1e-5)


def test_halved_nodes_lie_half_as_far_apart_and_as_far_out(grid: Grid) -> None:
    lattice = Lattice.over(grid, APART_MM)
    finer = lattice.halved()
    assert finer.spacing_mm == pytest.approx(APART_MM / 2, rel=1e-12)
    for found in (finer.grid, lattice.grid):
        assert torch.allclose(found.centre_mm, grid.centre_mm, atol=1e-9)
    assert torch.allclose(finer.grid.extent_mm, lattice.grid.extent_mm, atol=1e-9)
    assert torch.equal(finer.axes, lattice.axes)


@pytest.mark.parametrize("apart_mm", [None, 3.7, 8.0])
def test_what_is_linear_between_the_outermost_nodes_is_moved_exactly(
    grid: Grid, apart_mm: float | None
) -> None:
    lattice = Lattice.over(grid, APART_MM)
    other = lattice.halved() if apart_mm is None else Lattice.over(grid, apart_mm)
    found = lattice.moved_to(other, ramp_on(lattice.grid))
    # Beyond the outermost nodes the edge's vector holds.
    last = torch.tensor(lattice.grid.shape, dtype=torch.float64) - 1
    held = lattice.grid.to_voxel(other.grid.points_mm()).clamp(min=0).minimum(last)
    wanted = ramp(lattice.grid.to_world(held)).T.reshape(2, *other.grid.shape)
    assert near(found, wanted)


def test_halving_keeps_the_function_at_the_new_nodes_and_within_its_bounds() -> None:
    """Out to the edge's vectors, which a field holds to its outer faces; between new nodes kinks are cut off."""
    lattice = Lattice.over(Grid.from_spacing((30, 24), 1.0), 4.0)
    finer, vectors = lattice.halved(), noise(2, *lattice.grid.shape)
    moved = lattice.moved_to(finer, vectors)
    points = finer.grid.points_mm()
    before, after = (Displacement(v, on.grid)(points) for v, on in ((vectors, lattice), (moved, finer)))
    assert torch.allclose(before, after, atol=1e-6)
    assert float(moved.abs().max()) <= float(vectors.abs().max())


def test_vectors_along_the_axes_become_those_of_the_world(grid: Grid) -> None:
    lattice, d = Lattice.over(grid, APART_MM), grid.ndim
    for axis in range(d):
        along = torch.zeros(d, *lattice.grid.shape, dtype=torch.float64)
        along[axis] = 2.0
        step = grid.voxel_to_world[:d, axis]
        wanted = 2.0 * step / step.norm()
        assert torch.allclose(
            lattice.to_world(along), wanted.reshape(-1, *[1] * d).expand_as(along), atol=1e-12
        )


def test_an_exponential_along_the_axes_is_that_of_the_world_turned(grid: Grid) -> None:
    lattice = Lattice.over(grid, APART_MM)
    vectors = 2.0 * noise(grid.ndim, *lattice.grid.shape)
    local = lattice.to_world(exponential(vectors[None], lattice.local)[0])
    world = Velocity(lattice.to_world(vectors), lattice.grid).displacement.vectors
    assert torch.allclose(local, world, atol=1e-9)
