"""Whether the fixed object comes to lie on the moving one."""

import torch

from inforeg.methods.pair import Pair
from inforeg.transforms import Linear


def landing(pair: Pair, transform: Linear) -> float:
    """How much of the fixed object lies on the moving object, as a share of what could, by their sizes (0 to 1).

    The background has an intensity like everything else: where the fixed object is half on it, as a mask inside a
    skull-stripped brain can come to be, images may tell more of each other than where they belong.
    """
    fixed, moving = pair.fixed_view, pair.moving_view
    grid, d = moving.coarse.grid, transform.ndim
    voxels = fixed.object.mask.reshape(fixed.coarse.grid.shape).nonzero().double().cpu()
    places = grid.to_voxel(transform(fixed.coarse.grid.to_world(voxels))).round().long()
    seen = ((places >= 0) & (places < torch.tensor(grid.shape))).all(dim=1)
    mask = moving.object.mask.reshape(grid.shape).cpu()
    on = float(mask[tuple(places[seen].T)].double().sum()) / max(1, len(voxels))
    stretch = float(torch.linalg.det(transform.matrix[:d, :d]).abs())
    could = min(1.0, moving.object.volume_mm / max(stretch * fixed.object.volume_mm, 1e-9))
    return min(1.0, on / max(could, 1e-9))
