"""Nodes that carry velocities, and how they are spread onto the voxels of an image and gathered from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.sample import sample
from inforeg.space import Grid
from inforeg.transforms import Velocity


@dataclass(frozen=True, eq=False)
class Lattice:
    """Nodes evenly over a grid's field of view and a little beyond, along the grid's own axes.

    Vectors on it are `(d, *grid.shape)` in mm along those axes, in the frame of `local`: the same nodes in a world
    whose axes are the grid's. `to_world` turns them. So nothing in a solver knows how an image lies.
    """

    grid: Grid
    axes: Tensor
    """Unit vectors along the grid's axes in the world, as columns."""

    @classmethod
    def over(cls, grid: Grid, spacing_mm: float) -> "Lattice":
        """Nodes `spacing_mm` apart, about the middle of the field of view, past its outer faces."""
        d = grid.ndim
        axes = grid.voxel_to_world[:d, :d] / grid.spacing_mm
        # Where nodes just fit, rounding is not to decide whether there is one more.
        shape = tuple(ceil(float(extent) / spacing_mm - 1e-6) + 1 for extent in grid.extent_mm)
        middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
        matrix = torch.eye(d + 1, dtype=torch.float64)
        matrix[:d, :d] = axes * spacing_mm
        matrix[:d, d] = grid.centre_mm - matrix[:d, :d] @ middle
        return cls(Grid(shape, matrix), axes)

    def halved(self) -> "Lattice":
        """Nodes half as far apart, as far out."""
        d = self.grid.ndim
        matrix = self.grid.voxel_to_world.clone()
        matrix[:d, :d] /= 2
        # A quarter of the old distance further out on every side: what lies at the outer faces keeps its edge's vector.
        matrix[:d, d] -= matrix[:d, :d].sum(1) / 2
        return Lattice(Grid(tuple(2 * n for n in self.grid.shape), matrix), self.axes)

    def widened(self, nodes: int) -> "Lattice":
        """So many nodes more on every side."""
        d = self.grid.ndim
        matrix = self.grid.voxel_to_world.clone()
        matrix[:d, d] -= nodes * matrix[:d, :d].sum(1)
        return Lattice(Grid(tuple(n + 2 * nodes for n in self.grid.shape), matrix), self.axes)

    @property
    def spacing_mm(self) -> float:
        """Distance between neighbouring nodes."""
        return float(self.grid.spacing_mm[0])

    @cached_property
    def local(self) -> Grid:
        """The nodes in a world along their axes, the first one at its origin."""
        d = self.grid.ndim
        return Grid(self.grid.shape, torch.diag(torch.tensor([self.spacing_mm] * d + [1.0])))

    def to_world(self, vectors: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
        """Vectors along the axes as vectors of the world (RAS+)."""
        turned: Tensor = torch.tensordot(self.axes.to(vectors), vectors, dims=1)
        return turned

    def read(self, velocity: Velocity) -> Float[Tensor, "d ..."]:
        """A velocity field at the nodes, along the axes; beyond its own grid the edge's vector."""
        d = self.grid.ndim
        values, _ = sample(Image(velocity.vectors[None], velocity.grid), self.grid.points_mm()[None].float())
        vectors = values[0].reshape(d, *self.grid.shape)
        turned: Tensor = torch.tensordot(self.axes.T.to(vectors), vectors, dims=1)
        return turned

    def onto(self, grid: Grid, box: Sequence[slice]) -> "Spread":
        """How nodes and the voxels in a box of a grid with the same axes belong together."""
        d = grid.ndim
        to_nodes = self.grid.world_to_voxel @ grid.voxel_to_world
        matrices = []
        for axis, part in enumerate(box):
            voxels = torch.arange(part.start, part.stop, dtype=torch.float64)
            place = voxels * to_nodes[axis, axis] + to_nodes[axis, d]
            matrices.append(_hats(place, self.grid.shape[axis]))
        return Spread(matrices)

    def moved_to(self, other: "Lattice", vectors: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
        """Vectors of this lattice at the nodes of another one over the same field of view."""
        # Nodes of the other that lie beyond take the edge's vector.
        d = self.grid.ndim
        to_nodes = self.grid.world_to_voxel @ other.grid.voxel_to_world
        matrices = []
        for axis, n in enumerate(other.grid.shape):
            last = self.grid.shape[axis] - 1
            place = torch.arange(n, dtype=torch.float64) * to_nodes[axis, axis] + to_nodes[axis, d]
            matrices.append(_hats(place.clamp(0, last), last + 1))
        return along_axes(vectors, [m.to(vectors) for m in matrices])


@dataclass(frozen=True, eq=False)
class Spread:
    """The weights of linear interpolation between nodes, one matrix `(voxels, nodes)` for each axis."""

    matrices: list[Tensor]

    def to(self, device: torch.device) -> "Spread":
        """The same on another device."""
        return Spread([matrix.to(device) for matrix in self.matrices])

    def spread(self, vectors: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """From nodes to voxels."""
        return along_axes(vectors, self.matrices)

    def gather(self, values: Float[Tensor, "c ..."]) -> Float[Tensor, "c ..."]:
        """From voxels to nodes: sums with the same weights, the adjoint of `spread`."""
        return along_axes(values, [matrix.T for matrix in self.matrices])


def along_axes(values: Float[Tensor, "c ..."], matrices: Sequence[Tensor]) -> Float[Tensor, "c ..."]:
    """Each axis but the first multiplied by its matrix `(new, old)`."""
    # The last axis first: it lies in order, and where things are gathered it leaves less for the others.
    for axis in range(len(matrices), 0, -1):
        matrix = matrices[axis - 1]
        if axis == len(matrices):
            values = values @ matrix.T
            continue
        shape = values.shape
        flat = values.reshape(-1, shape[axis], values[0].numel() // prod(shape[1 : axis + 1]))
        values = (matrix @ flat).reshape(*shape[:axis], len(matrix), *shape[axis + 1 :])
    return values


def _hats(place: Tensor, nodes: int) -> Tensor:
    """The weights of linear interpolation at places among so many nodes, `(places, nodes)`."""
    return (1 - (place[:, None] - torch.arange(nodes, dtype=torch.float64)).abs()).clamp(min=0).float()
