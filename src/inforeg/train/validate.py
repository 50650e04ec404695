"""How well a network does on pairs it has not learnt from: figures, and a picture."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from inforeg.evaluate import dice, jacobian_determinants
from inforeg.image import Labels
from inforeg.image.sample import sample_displaced
from inforeg.metrics import NormalisedMutualInformation
from inforeg.space import Grid
from inforeg.train.objective import VelocityObjective
from inforeg.train.pairs import Drawn
from inforeg.train.pictures import beside, middle_slice, three_times
from inforeg.train.source import seeded
from inforeg.transforms import Displacement

# A network that moves things by less than this many voxels has learnt nothing.
_STILL = 0.2


@dataclass(frozen=True)
class VelocityFigures:
    """Means over pairs: the metric trained for, NMI (known to any contrast), Dice where there are labels, folds.

    `before` are those of doing nothing. Folds are voxels with a determinant of the Jacobian not above zero, in all
    pairs; `least` is the least determinant. `moved_voxels` is the root mean square displacement.
    """

    metric: float
    nmi: float
    nmi_before: float
    dice: float | None
    dice_before: float | None
    folds: int
    least: float
    moved_voxels: float
    pairs: int

    @property
    def score(self) -> float:
        """By what the best model is chosen: Dice where there are labels, else NMI. More is better."""
        return self.dice if self.dice is not None else self.nmi

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def in_words(self) -> str:
        """Dice where there are labels, else NMI, before and after."""
        if self.dice is not None:
            return f"Dice {self.dice_before:.3f} to {self.dice:.3f}"
        return f"NMI {self.nmi_before:.3f} to {self.nmi:.3f}"

    def score_in_words(self, score: float) -> str:
        """Dice or NMI."""
        return f"{'NMI' if self.dice is None else 'Dice'} {score:.4f}"

    def doubts(self, step: int, steps: int) -> dict[str, str]:
        """Folds, and a network that has not learnt anything."""
        found = {}
        if self.folds:
            found["folds"] = (
                f"step {step}: {self.folds} voxels fold on {self.pairs} validation pairs (least determinant"
                f" {self.least:.2f}): lower alpha, or raise smoothness"
            )
        if step >= max(steps // 4, 100) and self.moved_voxels < _STILL:
            found["still"] = (
                f"step {step}: the network moves pairs to validate on by {self.moved_voxels:.2f} voxels, next to"
                " nothing: raise warm_up, lower rate, or raise alpha"
            )
        return found


@torch.no_grad()
def validate(
    objective: VelocityObjective, pairs: Sequence[Drawn]
) -> tuple[VelocityFigures, NDArray[np.uint8]]:
    """The figures of an objective's network on pairs, and a picture: a row for each of the first four pairs."""
    was_training = objective.training
    objective.eval()
    nmi = NormalisedMutualInformation()
    each: list[list[float]] = []
    overlaps: list[tuple[float, float]] = []
    rows = []
    for number, pair in enumerate(pairs):
        fixed, moving = pair.fixed[None], pair.moving[None]
        belief = objective.belief(fixed, moving)
        shift = belief.displaced(belief.mean)
        warped = sample_displaced(moving, shift)
        field = Displacement(shift[0].cpu(), Grid.from_spacing(shift.shape[2:]))
        determinant = jacobian_determinants(field, field.grid)
        each.append(
            [
                float(objective.compare(fixed[0], warped[0], seeded(number, device=fixed.device))),
                -float(nmi(fixed, warped)),
                -float(nmi(fixed, moving)),
                float((determinant <= 0).sum()),
                float(determinant.min()),
                float(shift.square().sum(1).mean()),
            ]
        )
        if pair.fixed_labels is not None and pair.moving_labels is not None:
            carried = _carried(pair.moving_labels, shift)
            overlaps.append(
                (overlap(pair.fixed_labels, carried), overlap(pair.fixed_labels, pair.moving_labels))
            )
        if number < 4:
            rows.append(_row(pair.fixed, pair.moving, warped[0], shift[0]))
    objective.train(was_training)
    mean = [sum(column) / len(each) for column in zip(*each, strict=True)]
    after, before = (
        (sum(column) / len(overlaps) for column in zip(*overlaps, strict=True)) if overlaps else (None, None)
    )
    figures = VelocityFigures(
        mean[0],
        mean[1],
        mean[2],
        after,
        before,
        int(sum(row[3] for row in each)),
        min(row[4] for row in each),
        mean[5] ** 0.5,
        len(each),
    )
    return figures, np.concatenate(rows)


def overlap(fixed: Int[Tensor, " 1 *shape"], warped: Int[Tensor, " 1 *shape"], least: int = 20) -> float:
    """The mean Dice over the labels of the fixed map, but for 0 and those of fewer than so many voxels."""
    grid = Grid.from_spacing(fixed.shape[1:])
    ids, counts = torch.unique(fixed.cpu(), return_counts=True)
    asked = [i for i, n in zip(ids.tolist(), counts.tolist(), strict=True) if i != 0 and n >= least]
    one, other = (Labels(labels[None].cpu(), grid) for labels in (fixed, warped))
    found = dice(one, other, asked)
    return sum(found.values()) / max(1, len(found))


def _carried(
    labels: Int[Tensor, " 1 *shape"], shift: Float[Tensor, "b d *shape"]
) -> Int[Tensor, " 1 *shape"]:
    """Labels at the displaced voxel centres, by nearest neighbour; the edge's beyond the grid."""
    place: Tensor | None = None
    for axis, n in enumerate(labels.shape[1:]):
        line = torch.arange(n, device=shift.device).reshape(-1, *[1] * (labels.ndim - 2 - axis))
        along = (line + shift[0, axis]).round().long().clamp(0, n - 1)
        place = along if place is None else place * n + along
    assert place is not None
    return labels.reshape(-1)[place][None]


def _row(fixed: Tensor, moving: Tensor, warped: Tensor, shift: Tensor) -> NDArray[np.uint8]:
    """Fixed, moving and warped, and where the warped image comes from as a bent grid: the middle slice of each."""
    d = shift.shape[0]
    flat = [middle_slice(image[0]) for image in (fixed, moving, warped)]
    lines = [(torch.arange(n, device=shift.device, dtype=shift.dtype)) for n in shift.shape[1:]]
    moved = [shift[axis] + line.reshape(-1, *[1] * (d - 1 - axis)) for axis, line in enumerate(lines)]
    # Lines every fourth voxel of what is bent: dark where a place is near a multiple of four, three pixels to a voxel.
    wide = [three_times(middle_slice(m)) for m in moved[:2]]
    away = torch.minimum(*[((m + 2) % 4 - 2).abs() for m in wide])
    grid = (away / 0.4).clamp(0, 1)
    return beside([*map(three_times, flat), grid])
