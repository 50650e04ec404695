"""Small cubes of an image about many places at once, and the levels they are cut from."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.image import Image
from inforeg.image.intensity import normalise, to_scalar
from inforeg.image.pyramid import pyramid
from inforeg.image.sample import sample_where
from inforeg.space import Grid


def patch_levels(image: Image, spacings_mm: Sequence[float]) -> list[Image]:
    """An image in one channel, scaled to 0..1, thinned to each of some spacings, which may come in any order."""
    ordered = sorted(set(spacings_mm))
    found = dict(zip(ordered, pyramid(normalise(to_scalar(image)), ordered), strict=True))
    return [found[spacing].image for spacing in spacings_mm]


def patch_lattice(patch: int, ndim: int, spacing_mm: float) -> Float[Tensor, "p d"]:
    """The places of a patch's voxels about its centre in mm, float64, in the order of a tensor's entries."""
    line = (torch.arange(patch, dtype=torch.float64) - (patch - 1) / 2) * spacing_mm
    return torch.cartesian_prod(*[line] * ndim)


def patch_voxels(
    grid: Grid,
    matrix: Float[Tensor, "e e"],
    centres_mm: Float[Tensor, "n d"],
    lattice_mm: Float[Tensor, "p d"],
    device: torch.device | str = "cpu",
) -> Float[Tensor, "n d p"]:
    """Where on a grid the voxels of patches fall that lie about centres in another world, float32.

    `matrix` takes that world affinely to the grid's, so that patches are turned and stretched along with everything.
    """
    d = grid.ndim
    to_voxel = grid.world_to_voxel @ matrix
    middles = centres_mm.double() @ to_voxel[:d, :d].T + to_voxel[:d, d]
    about = lattice_mm.double() @ to_voxel[:d, :d].T
    # Rounded before they are added: a voxel's index is a small number, and float32 holds a hundred-thousandth of it.
    return middles.float().to(device)[:, :, None] + about.T.float().to(device)


def cut(image: Image, voxel: Float[Tensor, "n d p"]) -> Float[Tensor, "n p"]:
    """An image of one channel at patches' voxels; beyond its rim the edge's value. Differentiable in the voxels."""
    found: Tensor = sample_where(image.data, voxel.transpose(0, 1)[None])[0, 0]
    return found
