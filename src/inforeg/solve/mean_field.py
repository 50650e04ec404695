"""A smooth field from how likely some displacements are at every node of a lattice."""

from collections.abc import Sequence
from math import log

import torch
from jaxtyping import Float
from torch import Tensor

# How strongly neighbours hold each other in turn, per square of the distance between displacements.
COUPLINGS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def mean_field(
    told: Float[Tensor, "k ..."],
    displacements: Float[Tensor, "k d"],
    couplings: Sequence[float] = COUPLINGS,
    rounds: int = 3,
) -> Float[Tensor, "d ..."]:
    """The expected displacement at every node `(d, *nodes)`, given the log-probabilities `(k, *nodes)` of `k` of them.

    Neighbouring nodes are expected to move alike, by a square of what they differ by. Then what all neighbours tell a
    node comes down to their mean displacement, and one round is: a belief at every node by what the images tell and how
    far each displacement is from that mean, and the mean of the neighbours' expectations (mean field). With couplings
    that grow from round to round it is coupled convex optimisation (Heinrich et al., MICCAI 2014; Steinbruecker et al.,
    ICCV 2009) with expectations in the place of the best displacement, which leaves the grid of displacements. Nodes
    have a say by how much is told of them, in nats: those with equal log-probabilities have none, and follow.
    """
    flat = displacements.to(told)
    step = (flat - flat.roll(1, 0)).norm(dim=1).min()
    beliefs = torch.softmax(told, 0)
    say = log(len(flat)) + (beliefs * torch.log_softmax(told, 0)).sum(0, keepdim=True) + 1e-3
    field = torch.tensordot(flat.T, beliefs, dims=1)
    for coupling in couplings:
        for _ in range(rounds):
            around = _neighbours(field * say) / _neighbours(say)
            # Squares of displacements, of means, and their products; the middle one is the same for all displacements.
            products = torch.tensordot(flat, around, dims=1)
            squares = flat.square().sum(1).reshape(-1, *[1] * (told.ndim - 1))
            apart = (squares - 2 * products) / step**2
            field = torch.tensordot(flat.T, torch.softmax(told - coupling * apart, 0), dims=1)
    return _neighbours(field * say) / _neighbours(say)


def _neighbours(field: Float[Tensor, "d ..."]) -> Float[Tensor, "d ..."]:
    """The mean over 3 nodes a side, twice; the edge's beyond the edge."""
    for _ in range(2):
        for axis in range(1, field.ndim):
            n = field.shape[axis]
            ends = field.narrow(axis, 0, 1), field.narrow(axis, n - 1, 1)
            wide = torch.cat((ends[0], field, ends[1]), axis)
            field = (wide.narrow(axis, 0, n) + wide.narrow(axis, 1, n) + wide.narrow(axis, 2, n)) / 3
    return field
