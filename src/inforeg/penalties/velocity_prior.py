"""The prior on velocity fields of VoxelMorph-diff."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.penalties.diffusion import diffusion
from inforeg.penalties.field import Field, checked
from inforeg.space import Grid


def velocity_prior(mean: Field, log_variance: Field, grid: Grid, strength: float = 10.0) -> Float[Tensor, ""]:
    """How far a Gaussian of velocities, independent in every voxel, is from a smooth one, in nats per voxel.

    `mean` is in mm and `log_variance` is the logarithm of the variance in mm², both `(b, d, *shape)`; a velocity is
    `mean + exp(log_variance / 2)` times standard noise. The prior has the precision `strength * L`, where L is the
    lattice's Laplacian with edges of one over their squared length:

    `d / 2 * mean(strength * D * exp(log_variance) - log_variance) + strength / 4 * diffusion(mean) / d`

    D is the diagonal of L: the sum, over the neighbours a voxel has, of one over the squared distance, so 6 per mm²
    inside a grid of 1 mm and less at its faces. Where nothing else counts, the variance becomes 1 / (strength D).

    This is the term of Dalca et al. (MedIA 2019) as their code has it, by whose strengths, 10 and more, it is known;
    it is the same number on a grid of 1 mm. We differ in that voxels have a size: on other grids it is theirs, of
    fields in voxels, but for a constant. Neither is quite a Kullback-Leibler divergence: constants are left out, and
    of the mean it has 1 / (2 d) of what the divergence has.

    Raises `UsageError` for fields that do not fit the grid or each other, or a strength that is not above zero.
    """
    mean = checked(mean, grid, "velocity_prior")
    log_variance = checked(log_variance, grid, "velocity_prior")
    if mean.shape != log_variance.shape:
        raise UsageError(
            f"expected as many fields of log-variances as of means, got {log_variance.shape[0]} and {mean.shape[0]}"
        )
    if not strength > 0:
        raise UsageError(f"expected a strength above zero, got {strength}")
    d = grid.ndim
    of_noise = strength * _degrees(grid).to(log_variance) * log_variance.exp() - log_variance
    return d / 2 * of_noise.mean() + strength / (4 * d) * diffusion(mean, grid)


def _degrees(grid: Grid) -> Float[Tensor, "*shape"]:
    """For each voxel, the sum over its neighbours of one over the squared distance in mm²."""
    total = torch.zeros(grid.shape, dtype=torch.float64)
    for axis, (n, spacing) in enumerate(zip(grid.shape, grid.spacing_mm.tolist(), strict=True)):
        neighbours = torch.full((n,), 2.0, dtype=torch.float64)
        neighbours[0] -= 1
        neighbours[-1] -= 1
        shape = [1] * grid.ndim
        shape[axis] = n
        total += neighbours.reshape(shape) / spacing**2
    return total
