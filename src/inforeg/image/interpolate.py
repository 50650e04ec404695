"""Values between the voxels of a grid, at given points, with their exact derivatives."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def inside_grid(voxel: Float[Tensor, "*n d"], shape: tuple[int, ...]) -> Bool[Tensor, "*n"]:
    """Whether points, as voxel indices, lie within the outer faces of a grid of that shape."""
    ends = torch.tensor(shape, dtype=voxel.dtype, device=voxel.device) - 0.5
    # A touch beyond the face is still inside: indices carry rounding, and ITK decides alike.
    slack = 1e-5
    return ((voxel >= -0.5 - slack) & (voxel < ends + slack)).all(dim=-1)


def value_and_gradient(
    volume: Float[Tensor, "*shape"], voxel: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n d"]]:
    """Linear interpolation of one channel and its exact derivative (per voxel), in one pass.

    Points outside take the edge's value, and a derivative of zero along the axes they left by. Written out because
    the solvers need the spatial derivative itself, and autograd through `grid_sample` takes three times as long.
    """
    place = _Place.of(tuple(volume.shape), voxel)
    return place.value_and_gradient(volume.reshape(-1))


def vectors_at(vectors: Float[Tensor, "c ..."], voxel: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
    """Linear interpolation of `c` channels at voxel indices, in the precision of the indices.

    A field held in float32 is thus read with float64 positions, without a copy of the field. Points outside take the
    edge's value.
    """
    place = _Place.of(tuple(vectors.shape[1:]), voxel)
    return torch.stack([place.value(channel.reshape(-1)) for channel in vectors], dim=-1)


def vectors_and_gradients(
    vectors: Float[Tensor, "c ..."], voxel: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c d"]]:
    """`vectors_at`, and the exact derivative of each channel per voxel."""
    place = _Place.of(tuple(vectors.shape[1:]), voxel)
    found = [place.value_and_gradient(channel.reshape(-1)) for channel in vectors]
    return torch.stack([value for value, _ in found], dim=-1), torch.stack([g for _, g in found], dim=1)


def on_lines(vectors: Float[Tensor, "c ..."], lines: Sequence[Float[Tensor, " _"]]) -> Float[Tensor, "c ..."]:
    """Linear interpolation of `c` channels at all the points of a lattice that runs along the axes.

    `lines` has, for each axis, the voxel indices at which the lattice lies; the result is `(c, *lengths of lines)`. One
    axis after the other is interpolated, which takes a fraction of the time of eight neighbours for every point. Points
    outside the outer faces get 0, unlike those of `vectors_at`.
    """
    # First the axis that is cut into slabs; of the others the last, whose neighbours are picked one by one, while few.
    for axis in (1, *range(len(lines), 1, -1)):
        n, x = vectors.shape[axis], lines[axis - 1]
        inside = inside_grid(x[:, None], (n,)).to(vectors)
        bounded = x.clamp(0, n - 1)
        low = bounded.floor().clamp(max=max(n - 2, 0))
        share = (bounded - low).to(vectors)
        index = low.to(vectors.device, torch.int64)
        ends = (vectors.ndim - 1 - axis) * [1]
        after = vectors.index_select(axis, (index + 1).clamp(max=n - 1))
        before = vectors.index_select(axis, index).mul_((inside * (1 - share)).reshape(-1, *ends))
        vectors = before.addcmul_(after, (inside * share).reshape(-1, *ends))
    return vectors


@dataclass(frozen=True)
class _Place:
    """Where points lie among the voxels of a grid: the corners of their cells, and how far into them."""

    corners: dict[tuple[int, ...], Tensor]
    fractions: list[Tensor]
    alive: list[Tensor]

    @classmethod
    def of(cls, shape: tuple[int, ...], voxel: Tensor) -> "_Place":
        base: Tensor | None = None
        steps: list[int] = []
        fractions: list[Tensor] = []
        alive: list[Tensor] = []
        # int32 gathers faster; it cannot count the voxels of the largest grids.
        kind = torch.int32 if prod(shape) < 1 << 31 else torch.int64
        for axis, n in enumerate(shape):
            x = voxel[:, axis]
            bounded = x.clamp(0, n - 1)
            low = bounded.floor().clamp(max=max(n - 2, 0))
            fractions.append(bounded - low)
            alive.append((x == bounded).to(voxel.dtype))
            index = low.to(kind)
            base = index if base is None else base * n + index
            steps.append(prod(shape[axis + 1 :]) if n > 1 else 0)
        assert base is not None
        corners: dict[tuple[int, ...], Tensor] = {(): base}
        for step in steps:
            corners = {(*key, bit): index + bit * step for key, index in corners.items() for bit in (0, 1)}
        return cls(corners, fractions, alive)

    def value(self, flat: Tensor) -> Tensor:
        table = self._gathered(flat)
        for w in reversed(self.fractions):
            table = {k: torch.lerp(table[(*k, 0)], table[(*k, 1)], w) for k in {key[:-1] for key in table}}
        return table[()]

    def value_and_gradient(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        # Fold one axis at a time; differences along folded axes ride along as separate tables.
        tables = [self._gathered(flat)]
        for w, alive in zip(reversed(self.fractions), reversed(self.alive), strict=True):
            folded = []
            for table in tables:
                keys = {key[:-1] for key in table}
                folded.append({k: torch.lerp(table[(*k, 0)], table[(*k, 1)], w) for k in keys})
            top = tables[0]
            slope = {k: (top[(*k, 1)] - top[(*k, 0)]) * alive for k in {key[:-1] for key in top}}
            tables = [folded[0], slope, *folded[1:]]
        return tables[0][()], torch.stack([table[()] for table in tables[1:]], dim=-1)

    def _gathered(self, flat: Tensor) -> dict[tuple[int, ...], Tensor]:
        dtype = self.fractions[0].dtype
        return {key: torch.index_select(flat, 0, index).to(dtype) for key, index in self.corners.items()}
