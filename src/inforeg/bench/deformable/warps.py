"""Random smooth diffeomorphisms that are known exactly, both ways."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image, resample, sample, smooth
from inforeg.space import Grid
from inforeg.transforms import Displacement, Transform

# White noise smoothed by a Gaussian of this size is the velocity.
SIGMA_MM = 12.0
# The amplitude is this quantile of the displacements' lengths in the brain.
QUANTILE = 0.95

_NOISE_MM = 4.0
_VELOCITY_MM = 1.5
_FLOW_MM = 3.0
# The flow is followed on a lattice that reaches this far beyond the field of view, in a velocity that reaches further.
_MARGIN_MM = 8.0
_STEPS = 12
_BRAIN_POINTS = 5_000
# Beyond this distance from what is not air, a warped image is air: further than any warp here goes.
_REACH_MM = 30.0


@dataclass(frozen=True, eq=False)
class Warp:
    """A smooth diffeomorphism by its displacements (mm, `(d, *shape)`) and its inverse's, on a lattice of 3 mm.

    It is a flow in a stationary velocity, followed point by point by Runge-Kutta steps of fourth order, and so has
    nothing in common with how the methods that are measured integrate. Both directions are flows of their own: one
    after the other they miss by some thousandths of a millimetre.
    """

    lattice: Grid
    there: Tensor
    back: Tensor

    def on(self, grid: Grid) -> Displacement:
        """Fixed to moving points, exact to the lattice's cubic splines at the voxel centres of a grid."""
        return spread(self.there, self.lattice, grid)

    def inverse_on(self, grid: Grid) -> Displacement:
        """Moving to fixed points, of the same exactness."""
        return spread(self.back, self.lattice, grid)


def random_warp(
    frame: Grid, brain_mm: Float[Tensor, "n d"], amplitude_mm: float, generator: torch.Generator
) -> Warp:
    """A random warp of a field of view, from fixed to moving points (RAS+ mm).

    The velocity is white noise smoothed by a Gaussian of 12 mm, with no affine part taken out or added, scaled so
    that the 95th percentile of the displacements' lengths at the points `brain_mm` is `amplitude_mm`.
    """
    nodes = regular(frame, _NOISE_MM, margin_mm=4 * _MARGIN_MM)
    noise = smooth(Image(torch.randn((1, nodes.ndim, *nodes.shape), generator=generator), nodes), SIGMA_MM)
    fine = regular(frame, _VELOCITY_MM, margin_mm=3 * _MARGIN_MM)
    velocity = spread(noise.data[0] / noise.data.std(), nodes, fine).vectors
    some = brain_mm[:: max(1, len(brain_mm) // _BRAIN_POINTS)]
    scale = amplitude_mm / 2.8
    # How far a flow goes is nearly, not quite, in proportion to its velocity.
    for _ in range(6):
        moved = flow(Image((scale * velocity)[None], fine), some) - some
        reached = float(moved.norm(dim=1).quantile(QUANTILE))
        scale *= amplitude_mm / reached
        if abs(reached / amplitude_mm - 1) < 1e-4:
            break
    lattice = regular(frame, _FLOW_MM, margin_mm=_MARGIN_MM)
    points = lattice.points_mm()
    both = [flow(Image((s * velocity)[None], fine), points) - points for s in (scale, -scale)]
    there, back = (moved.T.reshape(lattice.ndim, *lattice.shape) for moved in both)
    return Warp(lattice, there, back)


def flow(velocity: Image, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Where points are after a unit of time in a velocity (mm, one channel an axis, linear between its voxels)."""

    def at(points: Tensor) -> Tensor:
        return sample(velocity, points[None])[0][0].T.to(points)

    x, h = points_mm.to(torch.float64), 1 / _STEPS
    for _ in range(_STEPS):
        a = at(x)
        b = at(x + h / 2 * a)
        c = at(x + h / 2 * b)
        d = at(x + h * c)
        x = x + h / 6 * (a + 2 * b + 2 * c + d)
    return x


def spread(vectors: Tensor, lattice: Grid, grid: Grid) -> Displacement:
    """Vectors on a lattice as a field on a grid with the same axes, which it covers, by cubic splines, float32."""
    from scipy.interpolate import CubicSpline

    way = lattice.world_to_voxel @ grid.voxel_to_world
    d = grid.ndim
    assert torch.allclose(way[:d, :d], torch.diag(way.diagonal()[:d]), atol=1e-6)
    found = vectors.float()
    for axis in range(d):
        nodes = np.arange(lattice.shape[axis])
        places = way[axis, axis].item() * np.arange(grid.shape[axis]) + way[axis, d].item()
        # What a spline through the nodes does is linear in the values there: one matrix an axis.
        matrix = torch.from_numpy(CubicSpline(nodes, np.eye(len(nodes)))(places)).float()
        found = torch.movedim(torch.tensordot(matrix, found, dims=([1], [axis + 1])), 0, axis + 1)
    return Displacement(found.contiguous(), grid)


def warped(image: Image, grid: Grid, inverse_on: Callable[[Grid], Transform]) -> Image:
    """A skull-stripped image on another grid by cubic splines; only about what is not air, which is 0, is computed.

    `inverse_on` says for a part of the grid where in the image its points lie.
    """
    seen = image.grid.to_world((image.data[0, 0] != 0).nonzero().double())
    ends = grid.to_voxel(torch.stack((seen.amin(dim=0), seen.amax(dim=0))))
    margin = _REACH_MM / grid.spacing_mm
    low = (ends.amin(dim=0) - margin).floor().long().clamp(min=0)
    high = torch.minimum((ends.amax(dim=0) + margin).ceil().long() + 1, torch.tensor(grid.shape))
    matrix = grid.voxel_to_world.clone()
    matrix[:-1, -1] = grid.to_world(low.double())
    box = Grid(tuple((high - low).tolist()), matrix)
    data = torch.zeros((1, image.channels, *grid.shape))
    view = data
    for axis, first in enumerate(low.tolist()):
        view = view.narrow(axis + 2, first, box.shape[axis])
    view.copy_(resample(image, box, inverse_on(box), mode="bspline").data)
    return Image(data, grid, image.name, image.dtype)


def regular(frame: Grid, spacing_mm: float, margin_mm: float = 0.0) -> Grid:
    """A grid of that spacing over a field of view and a margin all round, with the same axes and middle."""
    shape = tuple(ceil((float(e) + 2 * margin_mm) / spacing_mm - 1e-6) for e in frame.extent_mm)
    d = frame.ndim
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = frame.voxel_to_world[:d, :d] / frame.spacing_mm * spacing_mm
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
    matrix[:d, d] = frame.centre_mm - matrix[:d, :d] @ middle
    return Grid(shape, matrix)
