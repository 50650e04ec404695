"""What two intensities tell of each other, from tables counted in many places of the image."""

from math import ceil, exp, pi, prod, sqrt

import torch
from jaxtyping import Float, Int
from torch import Tensor

from inforeg.solve.dense.told import Told
from inforeg.space import Grid

# Bins of the tables, and the standard deviation of their smoothing, in bins.
BINS = 32
_SMOOTHING = 1.0
# Counts that every place borrows from the whole image, as a share of what a place holds on average.
_BORROWED = 0.05
# Samples a table is counted from: more do not change what is read from it.
_COUNTED = 400_000


class Places:
    """A grid cut into blocks of about one size, each with a table of its own that it shares with its neighbours."""

    def __init__(self, grid: Grid, box: tuple[slice, ...], size_mm: float) -> None:
        self.counts: list[int] = []
        index = torch.zeros((1,) * grid.ndim, dtype=torch.int64)
        for axis, part in enumerate(box):
            n = part.stop - part.start
            blocks = max(1, ceil(n * float(grid.spacing_mm[axis]) / size_mm))
            along = torch.arange(n) * blocks // n
            index = index * blocks + along.reshape(-1, *[1] * (grid.ndim - 1 - axis))
            self.counts.append(blocks)
        self.index = index.contiguous()


class JointTables:
    """Joint tables of fixed and warped intensities, one for each block of the image.

    Where one table for the whole image takes a slow change of brightness (a coil, uneven staining) for structure, and
    pulls at it, a table of the neighbourhood does not. Each is smoothed, shared with the neighbouring blocks, and
    borrows a few counts of the whole image's, so that no table is empty.

    The pointwise information of a table is the log-likelihood ratio of the fixed voxel, given the warped one: its mean
    is mutual information (Wells et al., MedIA 1996; Viola and Wells, IJCV 1997). Local tables do what local shuffling
    does for a network (Snaauw et al., EMBC 2022).
    """

    def __init__(self, fixed: Float[Tensor, "*box"], weight: Float[Tensor, "*box"], places: Places) -> None:
        self.places, self.weight = places, weight
        self.row, self.above = _split(fixed)
        self.block = places.index.to(fixed.device)
        self.corner = (self.block * BINS + self.row) * BINS
        # A regular selection of voxels is enough to count.
        step = max(1, round((fixed.numel() / _COUNTED) ** (1 / fixed.ndim)))
        self.thinned = tuple(slice(step // 2, None, step) for _ in fixed.shape)

    def __call__(self, warped: Float[Tensor, "*box"], inside: Float[Tensor, "*box"]) -> Told:
        """What the images tell where the moving one, in bins from 0 to `BINS - 1`, is warped so."""
        column, beyond = _split(warped)
        counts = self._counted(column[self.thinned], beyond[self.thinned], inside[self.thinned])
        tables, share = self._smoothed(counts)
        joint = tables.float()
        told = self._scores(joint)
        slopes = torch.gradient(told, dim=2)[0]
        expected = (joint * slopes.square()).sum(2) / joint.sum(2)
        place = self.corner + column
        flat = slopes.reshape(-1)
        near = torch.lerp(flat[place], flat[place + 1], beyond)
        far = torch.lerp(flat[place + BINS], flat[place + BINS + 1], beyond)
        seen = self.weight * inside
        squares = expected.reshape(-1)[self.block * BINS + self.row]
        nats = float((self._information(tables) * share).sum())
        return Told(torch.lerp(near, far, self.above) * seen, squares * seen, nats)

    def chance(self, samples: float) -> float:
        """What so many samples of images that have nothing to do with each other would seem to tell, in nats, about.

        Half a cell for each sample, where smoothing and sharing leave fewer cells than there are bins and blocks.
        """
        cells = (BINS / (2 * sqrt(pi) * _SMOOTHING)) ** 2
        # Of half its own block and a quarter of each neighbour a table varies by 3/8 as much as of its own alone.
        tables = max(1.0, self._blocks * 0.375 ** len(self.places.counts))
        return 0.5 * cells * tables / max(1.0, samples)

    def _scores(self, tables: Float[Tensor, "t bins bins"]) -> Float[Tensor, "t bins bins"]:
        """The log-likelihood of fixed bins (rows) given warped ones, but for what only the fixed bin decides."""
        rows, columns = tables.sum(2, keepdim=True), tables.sum(1, keepdim=True)
        return (tables / (rows * columns)).log()

    def _information(self, tables: Float[Tensor, "t bins bins"]) -> Float[Tensor, " t"]:
        """The information in each table, in nats."""
        return (tables * self._scores(tables)).sum((1, 2))

    def _counted(self, column: Tensor, beyond: Tensor, inside: Tensor) -> Tensor:
        """Counts `(blocks, bins, bins)`."""
        weight = (self.weight[self.thinned] * inside).reshape(-1)
        corner = (self.corner[self.thinned] + column).reshape(-1)
        above, beyond = self.above[self.thinned].reshape(-1), beyond.reshape(-1)
        size = self._blocks * BINS * BINS
        counts = torch.zeros(size, dtype=torch.float64, device=weight.device)
        for step, share in (
            (0, (1 - above) * (1 - beyond)),
            (1, (1 - above) * beyond),
            (BINS, above * (1 - beyond)),
            (BINS + 1, above * beyond),
        ):
            counts += torch.bincount(corner + step, (share * weight).double(), minlength=size)
        return counts.reshape(-1, BINS, BINS)

    def _smoothed(self, counts: Tensor) -> tuple[Tensor, Tensor]:
        """The tables as probabilities, in double precision, and the share of the image that each holds."""
        shared = counts.reshape(*self.places.counts, BINS, BINS)
        for axis in range(len(self.places.counts)):
            shared = _with_neighbours(shared, axis)
        tables = shared.reshape(-1, BINS, BINS)
        kernel = _kernel().to(counts)
        tables = kernel @ tables @ kernel.T
        total = tables.sum()
        # No pair is impossible: a table that has seen none of a kind must not say so with all its weight.
        whole = tables.sum(0) / total.clamp(min=1e-12) + 1e-7
        held = tables.sum((1, 2), keepdim=True)
        borrowed = _BORROWED * held.mean() + 1e-6
        tables = (tables + borrowed * whole) / (held + borrowed)
        share = held[:, 0, 0] / total.clamp(min=1e-12)
        return tables, share

    @property
    def _blocks(self) -> int:
        return prod(self.places.counts)


def _split(values: Tensor) -> tuple[Int[Tensor, "*box"], Float[Tensor, "*box"]]:
    """Whole bins and what is beyond them; the bin above is always there."""
    whole = values.to(torch.int64).clamp_(0, BINS - 2)
    return whole, values - whole


def _with_neighbours(tables: Tensor, axis: int) -> Tensor:
    """Half of every block and a quarter of each neighbour along an axis; what is beyond the rim is not there."""
    n = tables.shape[axis]
    mixed = 0.5 * tables
    if n > 1:
        mixed.narrow(axis, 1, n - 1).add_(tables.narrow(axis, 0, n - 1), alpha=0.25)
        mixed.narrow(axis, 0, n - 1).add_(tables.narrow(axis, 1, n - 1), alpha=0.25)
    return mixed


def _kernel() -> Tensor:
    """Smoothing along one axis of a table, as a matrix; what would leave it stays in the last bin."""
    reach = ceil(3 * _SMOOTHING)
    matrix = torch.zeros(BINS, BINS, dtype=torch.float64)
    for column in range(BINS):
        for offset in range(-reach, reach + 1):
            row = min(max(column + offset, 0), BINS - 1)
            matrix[row, column] += exp(-0.5 * (offset / _SMOOTHING) ** 2)
    return matrix / matrix.sum(0)
