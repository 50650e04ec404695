"""A search of the poses about a start, by the tables of intensity and of local contrast together.

What two images share may lie in their details alone: then coarse levels lead away from the answer, and from a few
steps away fine ones do not lead back. Here many poses about the start are scored at once on a fine level; the best
are climbed on it. Local contrast tells what intensities alone do not, and no lighting changes it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import normalise
from inforeg.image.sample import sample
from inforeg.methods.pair import Pair
from inforeg.methods.views import contrast
from inforeg.solve.information import Evaluation, SampledInformation
from inforeg.solve.newton import climb
from inforeg.solve.sampler import Stratified
from inforeg.solve.search import PoseScore
from inforeg.transforms import Linear, LinearGroup, group


@dataclass(frozen=True)
class Reach:
    """How far poses are looked for: shifts in radii of the object, turns in radians, stretches as their logarithm.

    So many are scored; the best are moved to the best of their neighbours, by the steps in turn; and of those the
    best are climbed. Poses less than `apart` radii from one another, over the object, lead to the same place.
    """

    shift: float
    turn: float
    stretch: float
    scored: int
    moved: int
    climbed: int
    apart: float
    steps: tuple[float, ...]

    def spread(self, motion: LinearGroup) -> Float[Tensor, "n k"]:
        """Parameters spread evenly over what is in reach, those of the start first."""
        d, size = motion.ndim, motion.size
        reach = [self.shift] * d + [self.turn] * (d * (d - 1) // 2)
        reach = (reach + [self.stretch] * size)[:size]
        sobol = torch.quasirandom.SobolEngine(size)  # type: ignore[no-untyped-call]
        shares = sobol.draw(self.scored, dtype=torch.float64)
        around = (2 * shares - 1) * torch.tensor(reach, dtype=torch.float64)
        return torch.cat((torch.zeros(1, size, dtype=torch.float64), around))


# About a start without stretches, and then about where the best led, with all that may be done to the image.
FIRST = Reach(0.3, 0.25, 0.08, 4096, 64, 12, 0.08, (0.06, 0.04, 0.026, 0.017))
SECOND = Reach(0.1, 0.08, 0.06, 1024, 32, 5, 0.04, (0.03, 0.02, 0.013, 0.009))
# Samples: of a score, of a climb, and of the comparison of where climbs led.
_SEEN, _CLIMB, _COMPARED = 3000, 6000, 20_000


@dataclass(frozen=True, eq=False)
class _Both:
    """The information of several tables, summed."""

    parts: list[SampledInformation]

    def __call__(self, transform: Linear) -> Evaluation:
        found = [part(transform) for part in self.parts]
        return Evaluation(
            sum(e.information for e in found),
            torch.stack([e.gradient for e in found]).sum(0),
            torch.stack([e.curvature for e in found]).sum(0),
            found[0].overlap,
        )


class Nearby:
    """Poses about a start of one pair on one level of its pyramid, climbed in the group `name`.

    A pose is scored by positions that `sampler` draws, with the moving image's nearest voxels, as in `PoseScore`. The
    frame of the groups' parameters is `centre_mm`, `radius_mm`.
    """

    def __init__(
        self,
        pair: Pair,
        level: int,
        sampler: Stratified,
        centre_mm: Float[Tensor, " d"],
        radius_mm: float,
        name: str,
        generator: torch.Generator,
    ) -> None:
        self.centre_mm, self.radius_mm = centre_mm, radius_mm
        self.spacing_mm = pair.spacings_mm[level]
        d = len(centre_mm)
        # What tilts is climbed later: a few samples of one level do not tell it from a stretch.
        self.group = group("affine" if name == "projective" else name, d)
        self.motion = group(name if name in ("translation", "rigid") else "similarity", d)
        shown = [(pair.fixed[level], pair.moving[level])]
        shown.append((contrast(pair.fixed, level), contrast(pair.moving, level)))
        images = [(normalise(fixed), normalise(moving)) for fixed, moving in shown]
        points = sampler.draw(_SEEN, generator)
        self.scores = []
        for fixed, moving in images:
            values, _ = sample(fixed, points.to(fixed.data.device, torch.float32)[None])
            self.scores.append(PoseScore(points, values[0, 0], moving, mask=pair.moving_mask))

        def tables(count: int) -> _Both:
            drawn = sampler.draw(count, generator)
            return _Both(
                [
                    SampledInformation(
                        fixed,
                        moving,
                        drawn,
                        self.group,
                        centre_mm,
                        radius_mm,
                        bins=24,
                        moving_mask=pair.moving_mask,
                    )
                    for fixed, moving in images
                ]
            )

        self.climbed, self.compared = tables(_CLIMB), tables(_COMPARED)

    def about(self, start: Linear) -> list[Linear]:
        """Where the best poses about a start lead, the best of them first."""
        return self._led(self._best(start, self.motion, FIRST))

    def closer(self, found: Linear) -> list[Linear]:
        """Where the best poses close about what was found lead, the best of them first; all stretches are tried."""
        return self._led(self._best(found, self.group, SECOND))

    def _led(self, poses: list[Linear]) -> list[Linear]:
        ends = [
            climb(
                self.climbed,
                pose,
                self.group,
                self.centre_mm,
                self.radius_mm,
                steps=15,
                tolerance_mm=0.05 * self.spacing_mm,
                longest_mm=4 * self.spacing_mm,
            )
            for pose in poses
        ]
        found = [end.transform for end in ends if end.status not in ("no_overlap", "diverged")]
        return sorted(found, key=self.information, reverse=True)

    def information(self, transform: Linear) -> float:
        """What both tables tell at a pose, by samples that no climb was fitted to."""
        return self.compared(transform).information

    def _best(self, start: Linear, motion: LinearGroup, reach: Reach) -> list[Linear]:
        matrices = start.matrix @ self._moves(motion, reach.spread(motion))
        scores = self._score(matrices)
        best = scores.topk(min(reach.moved, len(scores))).indices
        matrices, scores = matrices[best], scores[best]
        eye = torch.eye(motion.size, dtype=torch.float64)
        for step in reach.steps:
            around = matrices[:, None] @ self._moves(motion, step * torch.cat((eye, -eye)))
            tried = self._score(around.flatten(0, 1)).reshape(len(matrices), -1)
            scores, which = torch.cat((scores[:, None], tried), dim=1).max(dim=1)
            matrices = torch.cat((matrices[:, None], around), dim=1)[torch.arange(len(matrices)), which]
        chosen: list[Linear] = []
        for i in scores.argsort(descending=True).tolist():
            pose = Linear(matrices[i])
            if len(chosen) < reach.climbed and all(self._apart(pose, c) > reach.apart for c in chosen):
                chosen.append(pose)
        return chosen

    def _moves(self, motion: LinearGroup, parameters: Tensor) -> Tensor:
        frame = motion.frame(self.centre_mm, self.radius_mm)
        moves: Tensor = frame @ motion.matrix(parameters) @ torch.linalg.inv(frame)
        return moves

    def _score(self, matrices: Tensor) -> Tensor:
        return torch.stack([score(matrices) for score in self.scores]).sum(0)

    def _apart(self, one: Linear, other: Linear) -> float:
        """How far two poses differ over the object, in its radii."""
        d = one.ndim
        difference = one.matrix - other.matrix
        shift = difference[:d, :d] @ self.centre_mm + difference[:d, d]
        # The mean square of a matrix's effect over a ball of radius 1 is its own, shared out over d + 2.
        spread = difference[:d, :d].square().sum() / (d + 2)
        return float((spread + shift.square().sum() / self.radius_mm**2).sqrt())
