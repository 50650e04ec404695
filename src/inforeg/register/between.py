"""A transform part of the way from one to another."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.transforms import group


def between(
    first: Float[Tensor, "e e"], second: Float[Tensor, "e e"], share: float, centre_mm: Float[Tensor, " d"]
) -> Float[Tensor, "e e"]:
    """The matrix a `share` (0 to 1) of the way: it turns, stretches and shifts the surroundings of a point steadily.

    A mean of the two matrices would shrink what they turn. Projective matrices and mirrors, which have no steady
    motion of this kind, get the mean all the same.
    """
    d = len(centre_mm)
    mean = (1 - share) * first + share * second
    if bool((torch.stack((first, second))[:, d, :d].abs() > 1e-12).any()):
        return mean
    here, there = (m[:d, :d] @ centre_mm + m[:d, d] for m in (first, second))
    u, stretches, vt = torch.linalg.svd(second[:d, :d] @ torch.linalg.inv(first[:d, :d]))
    turn = u @ vt
    if float(torch.linalg.det(turn)) < 0:
        return mean
    stretch = vt.T @ torch.diag(stretches**share) @ vt
    linear = _turned(turn, share) @ stretch @ first[:d, :d]
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = linear
    matrix[:d, d] = here + share * (there - here) - linear @ centre_mm
    return matrix


def _turned(turn: Tensor, share: float) -> Tensor:
    """A rotation by a share of the angle about the same axis."""
    d = len(turn)
    if d == 2:
        angles = torch.atan2(turn[1, 0], turn[0, 0])[None]
    else:
        skew = torch.stack((turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1])) / 2
        sine = skew.norm()
        angle = torch.atan2(sine, (turn.trace() - 1) / 2)
        axis = skew / sine.clamp(min=1e-300)
        if float(sine) < 1e-6 and float(angle) > 1:
            # Of half a turn the axis is the direction that stays.
            axis = torch.linalg.eigh(turn + turn.T)[1][:, -1]
        angles = angle * axis
    zero = torch.zeros(d, dtype=torch.float64)
    return group("rigid", d).exp(torch.cat((zero, share * angles)), zero, 1.0).matrix[:d, :d]
