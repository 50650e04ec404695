"""What a network of displacements says of a pair: a field, from patches at nodes all over the object."""

import torch
from torch import Tensor

from inforeg.image import Foreground, Image, resample
from inforeg.image.patches import cut, patch_lattice, patch_levels, patch_voxels
from inforeg.nets.displacement_net import DisplacementNet
from inforeg.solve.mean_field import mean_field
from inforeg.space import Grid
from inforeg.transforms import Composite, Linear, Velocity

# Nodes for each patch's side, looks one after the other, and patches that are looked at together.
_NODES, _LOOKS, _AT_ONCE = 6, 2, 128


@torch.no_grad()
def displaced(
    net: DisplacementNet, spacing_mm: float, fixed: Image, moving: Image, linear: Linear, there: Foreground
) -> Velocity:
    """The velocity field in the fixed image's world that brings what the network saw apart together.

    Both images are seen at voxels of `spacing_mm`, along the world's axes, the moving one as it lies by then. At nodes
    in the object the network tells how likely each displacement is, `mean_field` makes a smooth field of that, and a
    second look sees what is left.
    """
    nodes, inside = _nodes(net, spacing_mm, fixed, there)
    velocity = Velocity(torch.zeros(nodes.ndim, *nodes.shape), nodes)
    seen, still = (patch_levels(image, [spacing_mm])[0] for image in (fixed, moving))
    displacements = net.settings.displacements() * spacing_mm
    for _ in range(_LOOKS):
        brought = resample(still, seen.grid, Composite((linear, velocity)))
        told = _told(net, spacing_mm, seen, brought, nodes.points_mm()[inside])
        everywhere = told.new_zeros(len(displacements), inside.numel())
        everywhere[:, inside] = told.T
        field = mean_field(everywhere.reshape(-1, *nodes.shape), displacements)
        velocity = Velocity(velocity.vectors + field.cpu(), nodes)
    return velocity


def _nodes(net: DisplacementNet, spacing_mm: float, fixed: Image, there: Foreground) -> tuple[Grid, Tensor]:
    """Nodes along the world's axes over the object, and which of them lie in it."""
    apart = net.settings.patch * spacing_mm / _NODES
    d, reach = fixed.grid.ndim, there.radius_mm + apart
    count = int(2 * reach / apart) + 2
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] *= apart
    matrix[:d, d] = there.centre_mm - 0.5 * (count - 1) * apart
    grid = Grid((count,) * d, matrix)
    near = (grid.points_mm() - there.centre_mm).norm(dim=1) < reach
    return grid, near


def _told(net: DisplacementNet, spacing_mm: float, fixed: Image, moving: Image, middles: Tensor) -> Tensor:
    """The log-probabilities of all displacements at places `(n, k)`."""
    d, size = fixed.grid.ndim, net.settings.patch
    lattice, eye = patch_lattice(size, d, spacing_mm), torch.eye(d + 1, dtype=torch.float64)
    found = []
    for some in torch.split(middles, _AT_ONCE):
        voxel = patch_voxels(fixed.grid, eye, some, lattice, fixed.data.device)
        one, other = (cut(image, voxel).reshape(-1, *[size] * d) for image in (fixed, moving))
        found.append(net.log_probabilities(one, other))
    return torch.cat(found)
