"""How far two classifiers' beliefs are apart: what adaptation to a new modality goes by."""

from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor, nn

from inforeg.errors import UsageError


class AbsoluteDiscrepancy(nn.Module):
    """The mean absolute difference of probabilities (Saito et al., CVPR 2018)."""

    def forward(self, one: Float[Tensor, "n k"], other: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Of two beliefs about the same `n` things."""
        return (one - other).abs().mean()


class SlicedWasserstein(nn.Module):
    """The sliced Wasserstein discrepancy (Lee et al., CVPR 2019): both sets of beliefs along random directions, sorted,
    and the mean square of what is left between them.

    It is one of sets: which belief is about what is lost in sorting, and that classes are places is not seen. The
    directions are drawn anew at every call, from `generator`.
    """

    def __init__(self, projections: int = 128, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.projections = projections
        self.generator = generator or torch.Generator().manual_seed(0)

    def forward(self, one: Float[Tensor, "n k"], other: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Of two sets of beliefs."""
        ways = torch.randn((one.shape[1], self.projections), generator=self.generator).to(one)
        ways = ways / ways.norm(dim=0)
        apart: Tensor = (one @ ways).sort(0).values - (other @ ways).sort(0).values
        return apart.square().mean()


class ProjectedEarthMover(nn.Module):
    """The projected earth mover's discrepancy of p-EMD (Heinrich and Hansen): the mean over directions of the earth
    mover's distance of both beliefs, each a histogram of displacements projected onto the direction.

    `places` `(k, d)` are the displacements; the value is in their unit. In one dimension the distance is the area
    between the distribution functions (Werman et al. 1985). Nothing is put into bins: displacements are sorted along
    each direction once, and with what lies between them that makes one matrix product for all. In 2-D directions are
    evenly spread over `span_deg` from the first axis on: 90 is as published, and favours some displacements by up to
    twice over others as long; with 180 all count alike. In 3-D they are spread over half of the sphere.
    """

    def __init__(self, places: Float[Tensor, "k d"], directions: int = 16, span_deg: float = 180.0) -> None:
        super().__init__()
        if directions < 1:
            raise UsageError(f"expected at least one direction, got {directions}")
        k = len(places)
        parts = []
        for way in directions_over(places.shape[1], directions, span_deg):
            along = places.double() @ way
            order = along.argsort()
            below = torch.zeros(k, k - 1, dtype=torch.float64)
            below[order] = torch.ones(k, k - 1, dtype=torch.float64).triu()
            parts.append(below * along[order].diff())
        self.areas: Tensor
        self.register_buffer("areas", (torch.cat(parts, 1) / directions).float())

    def forward(self, one: Float[Tensor, "n k"], other: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """The mean over `n` pairs of beliefs about the same thing."""
        return self.each(one, other).mean()

    def each(self, one: Float[Tensor, "n k"], other: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        """Of every pair of beliefs by itself."""
        return ((one - other) @ self.areas.to(one)).abs().sum(1)


class MeanOfDiscrepancies(nn.Module):
    """Several discrepancies as one, each in units of its own mean so far, so that none drowns the others."""

    def __init__(self, parts: list[nn.Module], memory: float = 0.99) -> None:
        super().__init__()
        self.parts, self.memory = nn.ModuleList(parts), memory
        self.means: Tensor
        self.register_buffer("means", torch.zeros(len(parts)))

    def forward(self, one: Float[Tensor, "n k"], other: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
        """Of two beliefs about the same `n` things."""
        values = torch.stack([part(one, other) for part in self.parts])
        if self.training:
            now = values.detach()
            kept = torch.where(self.means > 0, self.memory, 0.0)
            self.means.copy_(kept * self.means + (1 - kept) * now)
        return (values / self.means.clamp(min=1e-12)).mean()


def directions_over(ndim: int, count: int, span_deg: float) -> Float[Tensor, "n d"]:
    """Unit vectors."""
    steps = torch.arange(count, dtype=torch.float64)
    if ndim == 2:
        # Up to half a turn, which is the first direction again; a quarter turn is the last axis, and no other is.
        last = count if span_deg >= 180 else max(1, count - 1)
        angles = steps / last * span_deg * pi / 180
        return torch.stack((angles.cos(), angles.sin()), 1)
    if ndim == 3 and count == 3:
        return torch.eye(3, dtype=torch.float64)
    # A spiral of equal areas over the half with a positive first coordinate.
    height = (steps + 0.5) / count
    turn = steps * pi * (3 - sqrt(5))
    round_ = (1 - height.square()).sqrt()
    return torch.stack((height, round_ * turn.cos(), round_ * turn.sin()), 1)
