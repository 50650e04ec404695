"""Penalties: how unlikely a deformation is, as a number that is smaller the likelier it is.

Differentiable functions of fields `(b, d, *shape)` in mm, displacements or velocities, on a grid whose spacing they
use; they return the mean over the batch.
"""

from collections.abc import Callable

from torch import Tensor

from inforeg.penalties.bending import bending
from inforeg.penalties.diffusion import diffusion
from inforeg.penalties.inverse_consistency import inverse_consistency
from inforeg.penalties.velocity_prior import velocity_prior
from inforeg.space import Grid

Penalty = Callable[[Tensor, Grid], Tensor]

PENALTIES: dict[str, Penalty] = {
    "diffusion": diffusion,
    "bending": bending,
}
"""Every penalty of one field by its name; a line here puts a new one under the law tests."""

__all__ = ["PENALTIES", "Penalty", "bending", "diffusion", "inverse_consistency", "velocity_prior"]
