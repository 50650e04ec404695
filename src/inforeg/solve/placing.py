"""Where sampled positions fall among an image's voxels, and how they move there."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.space import Grid
from inforeg.transforms import Linear


def place(
    grid: Grid, transform: Linear, frame: Float[Tensor, "e e"], points: Float[Tensor, "n d"]
) -> tuple[Tensor, Tensor]:
    """The voxels of a grid that points of a frame fall on, `(n, d)`, and how these move with the points.

    `frame` takes the points to the world, `transform` on to the grid's world. The second result is `(d, d)` for an
    affine transform and `(n, d, d)` for a projective one.
    """
    d = points.shape[1]
    matrix = (grid.world_to_voxel @ transform.matrix @ frame).to(points.device, torch.float32)
    voxel = points @ matrix[:d, :d].T + matrix[:d, d]
    jacobian = matrix[:d, :d]
    if not transform.is_affine:
        homogeneous = (points @ matrix[d, :d] + matrix[d, d])[:, None]
        voxel = voxel / homogeneous
        jacobian = (jacobian - voxel[:, :, None] * matrix[d, :d]) / homogeneous[:, :, None]
    return voxel, jacobian


def along(slopes: Float[Tensor, "n d"], jacobian: Tensor) -> Float[Tensor, "n d"]:
    """Slopes by voxels as slopes by points, with the jacobian of `place`."""
    return slopes @ jacobian if jacobian.ndim == 2 else torch.einsum("nj,njk->nk", slopes, jacobian)


def lift(slopes: Float[Tensor, "n d"], points: Float[Tensor, "n d"]) -> Float[Tensor, "n k"]:
    """All products of slope and homogeneous position, `(n, (d+1)(d+1))`: every group's slopes are sums of these."""
    ones = torch.ones_like(points[:, :1])
    homogeneous = torch.cat((points, ones), dim=1)
    last = -(slopes * points).sum(dim=1, keepdim=True)
    rows = torch.cat((slopes, last), dim=1)
    return (rows[:, :, None] * homogeneous[:, None, :]).reshape(points.shape[0], -1)
