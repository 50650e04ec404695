"""One resolution of a pair, seen through a deformation: forces and weights at the nodes of a lattice."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import pi, sqrt
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.filters import smooth
from inforeg.image.sample import sample_where
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.told import Pulled, Told
from inforeg.space import Grid
from inforeg.transforms import Linear


@runtime_checkable
class Likeness(Protocol):
    """What fixed and warped intensities tell of each other."""

    def __call__(self, warped: Tensor, inside: Tensor) -> Told | Pulled:
        """Of warped intensities `(*box)`, or `(c, *box)` where several are compared, and where the moving image is seen
        (0 or 1)."""
        ...

    def chance(self, samples: float) -> float:
        """What so many samples of unrelated images would seem to tell, in nats."""
        ...


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a level tells of a displacement: the slope of its log-likelihood at the nodes, and its curvature there.

    `force` is `(d, *nodes)` in nats/mm along the axes; `weights` the matrices `Quadratic` takes, in nats/mm^2, both as
    counted voxel by voxel. Times `independence` they are what independent voxels would give. `nats` is the information
    per voxel.
    """

    force: Tensor
    weights: Tensor
    independence: float
    nats: float


class Look:
    """Both images on one level, the moving one through a linear transform, in a box about the object of the fixed one.

    `likeness` says what fixed and warped intensities tell of each other, in the first `channels` of the moving image.
    One channel more is its mask, inside above 0.5. `inner` are the voxels of the object itself, in the box.
    """

    def __init__(
        self,
        grid: Grid,
        box: tuple[slice, ...],
        moving: Image,
        likeness: Likeness,
        linear: Linear,
        lattice: Lattice,
        inner: Float[Tensor, "*box"],
        channels: int = 1,
    ) -> None:
        d = grid.ndim
        device = moving.data.device
        self.grid, self.box, self.moving, self.likeness = grid, box, moving, likeness
        self.inner, self.lattice, self.channels = inner, lattice, channels
        self.spread = lattice.onto(grid, box).to(device)
        to_moving = moving.grid.world_to_voxel @ linear.matrix
        # Moving voxel indices are a sum of one vector for each axis of the box, and the displacement turned.
        base = to_moving @ grid.voxel_to_world
        turn = to_moving[:d, :d] @ lattice.axes
        self._turn = turn
        self._base: list[Tensor] = []
        for row in range(d):
            total = torch.full((1,) * d, float(base[row, d]), dtype=torch.float64)
            for axis, part in enumerate(box):
                line = torch.arange(part.start, part.stop, dtype=torch.float64) * base[row, axis]
                total = total + line.reshape(-1, *[1] * (d - 1 - axis))
            self._base.append(total.float().to(device))

    def warped(self, nodes: Float[Tensor, "d ..."] | None) -> tuple[Tensor, Tensor]:
        """The moving image in the box, `(c, *box)`, under displacements at the nodes (mm); and where it is seen."""
        d = self.grid.ndim
        if nodes is None:
            voxel = torch.stack(self._base)
        else:
            shift = self.spread.spread(nodes)
            rows = []
            for row in range(d):
                total = self._base[row]
                for axis in range(d):
                    if abs(float(self._turn[row, axis])) > 1e-9:
                        total = torch.add(total, shift[axis], alpha=float(self._turn[row, axis]))
                rows.append(total)
            voxel = torch.stack(rows)
        values = sample_where(self.moving.data, voxel[None])[0]
        inside = torch.ones_like(voxel[0])
        for axis, n in enumerate(self.moving.grid.shape):
            inside *= (voxel[axis] >= -0.5) & (voxel[axis] <= n - 0.5)
        return values, inside

    def told(self, nodes: Float[Tensor, "d ..."] | None) -> tuple[Tensor, Told | Pulled]:
        """The warped intensities in the box, and what they tell where the moving image is seen and in its mask."""
        values, inside = self.warped(nodes)
        if len(values) > self.channels:
            inside = inside * (values[-1] > 0.5)
        values = values[0] if self.channels == 1 else values[: self.channels]
        return values, self.likeness(values, inside)

    def over_object(self, values: Float[Tensor, "..."]) -> float:
        """The mean of values at the nodes over the object."""
        return float((values * self._share).sum() / self._share.sum().clamp(min=1e-9))

    @cached_property
    def _share(self) -> Tensor:
        """How much of the object is about each node."""
        return self.spread.gather(self.inner[None])[0]

    def evidence(
        self, nodes: Float[Tensor, "d ..."], independence: float | None, apart_mm: float
    ) -> Evidence:
        """What the level tells of displacements at the nodes (mm); without `independence` it is measured."""
        values, told = self.told(nodes)
        if isinstance(told, Pulled):
            force, firm = self.spread.gather(told.force), self.spread.gather(told.stiffness)
            # Each axis is told by itself.
            mixed = firm.new_zeros(len(firm) * (len(firm) - 1) // 2, *firm.shape[1:])
            return Evidence(force, torch.cat((firm, mixed)), told.independence, told.nats)
        parts = self._parts(values, told)
        force, weights = _summed(
            (slopes * slope, torch.stack(_products(slopes)) * curvature) for slopes, slope, curvature in parts
        )
        force, weights = self.spread.gather(force), self.spread.gather(weights)
        if independence is None:
            independence = self._independence(parts, apart_mm)
        return Evidence(force, weights, independence, told.nats)

    def _parts(self, values: Tensor, told: Told) -> Iterable[tuple[Tensor, Tensor, Tensor]]:
        """For each channel its slopes in space, `(d, *box)`, and the slope and curvature of what is told of it."""
        if self.channels == 1:
            return [(self._slopes(values), told.slope, told.curvature)]
        return _Anew(self._slopes, values, told)

    def _slopes(self, values: Float[Tensor, "*box"]) -> Float[Tensor, "d ..."]:
        """Central differences per mm; one-sided at the rim, none along an axis of one voxel."""
        found = []
        for axis in range(values.ndim):
            if values.shape[axis] < 2:
                found.append(torch.zeros_like(values))
                continue
            slope = torch.empty_like(values)
            n = values.shape[axis]
            step = 1 / float(self.grid.spacing_mm[axis])
            torch.sub(
                values.narrow(axis, 2, n - 2), values.narrow(axis, 0, n - 2), out=slope.narrow(axis, 1, n - 2)
            )
            slope.narrow(axis, 1, n - 2).mul_(0.5 * step)
            for end, inner in ((0, 1), (n - 1, n - 2)):
                slope.select(axis, end).copy_(
                    (values.select(axis, max(end, inner)) - values.select(axis, min(end, inner))) * step
                )
            found.append(slope)
        return torch.stack(found)

    def _independence(self, parts: Iterable[tuple[Tensor, Tensor, Tensor]], apart_mm: float) -> float:
        """How many independent voxels one voxel is worth.

        Voxels that err together, by texture or shading that only one image has, pull together, and their weights, added
        as if they were independent, promise too much. A force from each voxel's slope of the likelihood and the image's
        slope some way off means nothing: it has the errors' own patterns without their cause. By how much its square,
        over a neighbourhood, exceeds what its weights promise says how much they promise too much.
        """
        # As far apart as forces are averaged over by what is likely of a field.
        sigma = 0.5 * apart_mm
        local = self.lattice.local
        nodes = sigma / self.lattice.spacing_mm
        share = (1 / (2 * sqrt(pi) * max(nodes, 0.5))) ** self.inner.ndim
        squares = promised = 0.0
        for axis in range(self.inner.ndim):
            shift = round(apart_mm / float(self.grid.spacing_mm[axis]))
            if not 0 < shift < self.inner.shape[axis] // 2:
                continue
            for way in (shift, -shift):
                seen = self.inner * torch.roll(self.inner, way, axis)
                both = _summed(_astray(parts, seen, way, axis))
                force, weights = (
                    smooth(Image(self.spread.gather(values)[None], local), width).data
                    for values, width in zip(both, (sigma, sigma / sqrt(2)), strict=True)
                )
                squares += float(force.square().sum())
                promised += share * float(weights.sum())
        if squares <= 0 or promised <= 0:
            return 1.0
        return min(1.0, promised / squares)


@dataclass(frozen=True, eq=False)
class _Anew:
    """Parts of many channels, worked out whenever they are asked for: all of their slopes would be too much to keep."""

    slopes: Callable[[Tensor], Tensor]
    values: Tensor
    told: Told

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for value, slope, curvature in zip(self.values, self.told.slope, self.told.curvature, strict=True):
            yield self.slopes(value), slope, curvature


def _summed(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """The sums of the first ones and of the second ones; they are added up in place."""
    rest = iter(pairs)
    first, second = next(rest)
    for one, other in rest:
        first += one
        second += other
    return first, second


def _astray(
    parts: Iterable[tuple[Tensor, Tensor, Tensor]], seen: Tensor, shift: int, axis: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Forces and weights of voxels, with the slopes in space of other voxels, so far off along an axis."""
    for slopes, slope, curvature in parts:
        moved = torch.roll(slopes, shift, axis + 1)
        yield moved * (slope * seen), moved.square_() * (curvature * seen)


def _products(slopes: Tensor) -> list[Tensor]:
    """The products of components: squares first, then those above the diagonal, row by row."""
    d = len(slopes)
    found = [slopes[axis].square() for axis in range(d)]
    found += [slopes[i] * slopes[j] for i in range(d) for j in range(i + 1, d)]
    return found
