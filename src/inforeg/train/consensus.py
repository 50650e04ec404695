"""What several windows onto one image say together of where a patch lies, for each of them to learn from."""

from math import log

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Consensus(nn.Module):
    """Windows whose shifts against each other are known tell one displacement, each seen from its own place.

    `shifts` are numbers of rows of `ways` `(s, d)`, in steps of a grid of `labels` displacements along each axis. Where
    a window is shifted by `w`, displacement `c` of the unshifted one is `c - w` of it. If that is not on the grid, the
    window has no way to say so, and counts as one that knows nothing. That an image's own shifts are known needs no
    label: it is to displacements what agreement between views is to classes in self-training.
    """

    def __init__(self, labels: int, ways: Int[Tensor, "s d"]) -> None:
        super().__init__()
        d = ways.shape[1]
        places = torch.cartesian_prod(*[torch.arange(labels)] * d).reshape(-1, d)
        here = places[None] - ways[:, None]
        number = (here * labels ** torch.arange(d - 1, -1, -1)).sum(2)
        self.table: Tensor
        self.seen: Tensor
        self.register_buffer("seen", places[None] + ways[:, None], persistent=False)
        # For each shift and each displacement, its number as the window sees it, or -1.
        table = torch.where(((here >= 0) & (here < labels)).all(2), number, -1)
        self.register_buffer("table", table, persistent=False)

    def pooled(self, told: Float[Tensor, "n k c"], shifts: Int[Tensor, "n k"]) -> Float[Tensor, "n c"]:
        """How likely each displacement of the unshifted window is by log-probabilities of `k` windows together."""
        where = self.table[shifts]
        seen = told.gather(2, where.clamp(min=0))
        return torch.softmax(torch.where(where < 0, -log(told.shape[2]), seen).sum(1), 1)

    def spread(self, pooled: Float[Tensor, "n c"], shifts: Int[Tensor, "n k"]) -> Float[Tensor, "n k c"]:
        """The same as each window sees it; what it cannot see is left out, so that it adds up to at most 1."""
        where = self.table[shifts]
        seen = pooled[:, None].expand(where.shape) * (where >= 0)
        return torch.zeros_like(seen).scatter_add(2, where.clamp(min=0), seen)

    def agreed(self, named: Int[Tensor, "n k"], shifts: Int[Tensor, "n k"]) -> float:
        """The share of pairs of windows onto one patch that name the same displacement, their shifts undone."""
        undone = self.seen[shifts, named]
        first, second = torch.triu_indices(named.shape[1], named.shape[1], 1)
        return float((undone[:, first] == undone[:, second]).all(2).double().mean())

    def forward(self, told: Float[Tensor, "two n k c"], shifts: Int[Tensor, "n k"]) -> Float[Tensor, ""]:
        """The cross-entropy of what windows tell, by each classifier, with what all of them tell together."""
        with torch.no_grad():
            aim = self.spread(self.pooled(torch.log_softmax(told.mean(0), -1), shifts), shifts)
        return -(aim * told).sum(-1).mean()
