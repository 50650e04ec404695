"""A transform and a statistics network fitted to all levels of a pyramid at once: the loop of DRMIME.

Nan, Tennant, Rubin and Ray (MIDL 2020, algorithms 1 and 2): every step looks at every level, the network and the
parameters are shared by all of them, and a second vector of parameters is added at the finest. Positions are chosen
first and only they are read from the moving image, where the authors' code warps the whole image and throws most of
it away; the sums are the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image
from inforeg.image.sample import in_mask, sample
from inforeg.metrics.donsker_varadhan import LARGEST_EXPONENT, running_log_mean
from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.solve.newton import Status
from inforeg.solve.positions import Positions
from inforeg.space import Grid

# Rows of a network's input on a CPU at a time: what they become fits into its cache, which saves a third to a half.
_BLOCK = 4096
# Entries of a matrix that no run comes back from; far below what float32 holds, and so are the places they lead to.
_LARGEST_ENTRY = 1e12


@runtime_checkable
class Chart(Protocol):
    """How parameters become matrices in the normalised frame; all zero are the identity."""

    @property
    def size(self) -> int:
        """Number of parameters."""

    def matrix(self, parameters: Float[Tensor, "*b k"]) -> Float[Tensor, "*b e e"]:
        """The matrices, differentiable."""


@dataclass(frozen=True)
class DirectEntries:
    """The entries of the matrix themselves, added to the identity's: what the paper compares the exponential with."""

    ndim: int
    projective: bool = False

    @property
    def size(self) -> int:
        """Number of parameters: 6 or 8 in 2-D, 12 or 15 in 3-D."""
        return (self.ndim + 1) ** 2 - 1 if self.projective else self.ndim * (self.ndim + 1)

    def matrix(self, parameters: Float[Tensor, "*b k"]) -> Float[Tensor, "*b e e"]:
        """The identity plus the parameters, row by row."""
        e = self.ndim + 1
        entries = functional.pad(parameters, (0, e * e - self.size)).reshape(*parameters.shape[:-1], e, e)
        return entries + torch.eye(e).to(entries)


@dataclass(frozen=True, eq=False)
class Look:
    """One level, looked at from one side: positions of one image, and where they are sought in the other.

    `before` takes voxel indices of the one to the frame of the parameters, `after` takes that to voxel indices of
    the other. `from_moving` says that the positions are the moving image's, and the transform goes backwards.
    """

    positions: Positions
    other: Image
    before: Tensor
    after: Tensor
    mask: Image | None = None
    drop: bool = False
    from_moving: bool = False
    finest: bool = False

    def samples(self, matrix: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Intensities of both images, fixed and moving, at one step's positions; differentiable in the matrix."""
        voxels, here = self.positions.draw(generator)
        whole = (self.after @ matrix @ self.before).to(voxels.device, torch.float32)
        d = voxels.shape[1]
        below = voxels @ whole[d, :d] + whole[d, d]
        # What lies behind the plane that goes to infinity is in no image: it is sent far off.
        moved = (voxels @ whole[:d, :d].T + whole[:d, d]) / below.clamp(min=1e-6)[:, None]
        values, inside = sample(self.other, moved[None])
        there = values[0].T
        if self.drop or self.mask is not None:
            seen = inside[0] if self.drop else torch.ones_like(inside[0])
            if self.mask is not None:
                seen = seen & in_mask(self.mask, moved.detach())
            here, there = here[seen], there[seen]
        return (there, here) if self.from_moving else (here, there)


def on_voxels(image: Image, like: Grid | None = None, rim: int = 0) -> Image:
    """An image whose world are the voxel indices of a grid (its own), with a rim of zeros.

    Beyond the rim linear sampling finds zeros, and fades to them over one voxel, as PyTorch's zero padding does.
    """
    grid = image.grid
    matrix = (grid if like is None else like).world_to_voxel @ grid.voxel_to_world
    if like is None:
        matrix = torch.eye(grid.ndim + 1, dtype=torch.float64)
    shift = torch.eye(grid.ndim + 1, dtype=torch.float64)
    shift[:-1, -1] = -rim
    data = functional.pad(image.data, (rim, rim) * grid.ndim)
    return Image(data, Grid(tuple(data.shape[2:]), matrix @ shift))


class AllLevels:
    """Minus the mean, over all levels, of the bound on mutual information, as a function of parameters and network.

    `shared` are the parameters of all levels; `finest` are added at the finest, and get their gradient from there
    alone. `bias_correction` is `MINE`'s, with one running mean for each look. `fault` says what a cost that is not a
    number means.
    """

    def __init__(
        self,
        looks: Sequence[Look],
        chart: Chart,
        network: StatisticsNetwork,
        generator: torch.Generator,
        *,
        finest_vector: bool = True,
        bias_correction: Literal["none", "ema"] = "none",
        rate: float = 0.01,
    ) -> None:
        self.looks, self.chart, self.network, self.generator = list(looks), chart, network, generator
        self.bias_correction, self.rate = bias_correction, rate
        self.shared = torch.zeros(chart.size, dtype=torch.float64, requires_grad=True)
        self.finest = torch.zeros(chart.size, dtype=torch.float64, requires_grad=finest_vector)
        self.fault: Status = "diverged"
        self._running: dict[int, Tensor] = {}

    def matrices(self) -> Tensor:
        """The matrices of the levels, of the finest, and of both backwards, in the frame of the parameters."""
        both = torch.stack((self.shared, self.shared + self.finest))
        if any(look.from_moving for look in self.looks):
            both = torch.cat((both, -both))
        return self.chart.matrix(both)

    def __call__(self) -> tuple[Tensor, Tensor]:
        """The cost, and the matrix of the finest level at which it was asked; NaN where nothing is seen."""
        matrices = self.matrices()
        # Reading at places that are not numbers ends the process, not the computation.
        if not bool((matrices.abs() < _LARGEST_ENTRY).all()):
            return matrices.sum() * torch.nan, matrices[1].detach()
        fixed, moving = [], []
        for look in self.looks:
            matrix = matrices[2 * int(look.from_moving) + int(look.finest)]
            here, there = look.samples(matrix, self.generator)
            fixed.append(here)
            moving.append(there)
        return self._cost(fixed, moving), matrices[1].detach()

    def _cost(self, fixed: list[Tensor], moving: list[Tensor]) -> Tensor:
        # A network learns nothing from one sample; the level is left out of the mean.
        seen = [number for number, values in enumerate(fixed) if len(values) > 1]
        if not seen:
            self.fault = "no_overlap"
            return (self.shared.sum() + self.finest.sum()) * torch.nan
        counts = [len(fixed[number]) for number in seen]
        device, draws = moving[0].device, self.generator.device
        first, shuffled = 0, []
        for count in counts:
            order = torch.randperm(count, generator=self.generator, device=draws)
            shuffled.append(order.to(device) + first)
            first += count
        x, z = (torch.cat([values[number] for number in seen]) for values in (fixed, moving))
        logits = self._scores(torch.cat((x, x)), torch.cat((z, z[torch.cat(shuffled)])))
        joint, apart = torch.split(logits[: len(x)], counts), torch.split(logits[len(x) :], counts)
        costs = []
        for number, count, together, unpaired in zip(seen, counts, joint, apart, strict=True):
            log_mean = torch.logsumexp(unpaired, dim=0) - log(count)
            if self.bias_correction == "ema":
                log_mean = self._corrected(number, log_mean)
            costs.append(log_mean - together.mean())
        return torch.stack(costs).mean()

    def _scores(self, fixed: Tensor, moving: Tensor) -> Tensor:
        if fixed.device.type != "cpu":
            scores: Tensor = self.network(fixed, moving)
            return scores
        parts = zip(torch.split(fixed, _BLOCK), torch.split(moving, _BLOCK), strict=True)
        return torch.cat([self.network(x, z) for x, z in parts])

    def _corrected(self, number: int, log_mean: Tensor) -> Tensor:
        """The plain value, whose gradient is divided by the running mean in place of this step's."""
        now = log_mean.detach()
        running = running_log_mean(self._running.get(number), now, self.rate)
        self._running[number] = running
        ratio = (log_mean - running).clamp(max=LARGEST_EXPONENT).exp()
        return now + ratio - ratio.detach()


@dataclass(frozen=True, eq=False)
class Descent:
    """What a descent leaves: the matrix it ended with, and cost and matrix of every step (of the finest level)."""

    matrix: Tensor
    costs: list[float]
    matrices: list[Tensor]
    status: Status


def descend(
    objective: AllLevels,
    *,
    steps: int,
    network_rate: float,
    rate: float,
    finest_rate: float,
    report: Callable[[float], None] = lambda _share: None,
) -> Descent:
    """Adam with AMSGrad on network and parameters together, each with a rate of its own; the last iterate is kept.

    There is no rule to stop by, as published. Ends early only where a cost is not a number: with the matrix of the
    step before, as `no_overlap` where nothing is seen any more, and as `diverged` for any other reason.
    """
    groups = [
        {"params": list(objective.network.parameters()), "lr": network_rate},
        {"params": [objective.shared], "lr": rate},
    ]
    if objective.finest.requires_grad:
        groups.append({"params": [objective.finest], "lr": finest_rate})
    optimiser = torch.optim.Adam(groups, amsgrad=True)
    costs: list[float] = []
    matrices: list[Tensor] = []
    for step in range(steps):
        optimiser.zero_grad()
        cost, matrix = objective()
        value = float(cost.detach())
        if not isfinite(value):
            # The step before last is the last one that is known to be of use.
            return Descent(matrices[-1] if matrices else matrix, costs, matrices, objective.fault)
        cost.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        costs.append(value)
        matrices.append(matrix)
        if step % 10 == 0:
            report(step / steps)
    with torch.no_grad():
        last = objective.matrices()[1]
    if not bool(torch.isfinite(last).all()):
        return Descent(matrices[-1], costs, matrices, "diverged")
    return Descent(last, costs, matrices, "steps")
