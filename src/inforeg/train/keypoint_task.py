"""Training a network that finds the same points in every image: KeyMorph."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median, stdev
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.methods.keypoints import found_in
from inforeg.train.keypoint_objective import Fit, KeypointObjective, moved
from inforeg.train.pictures import beside, marked
from inforeg.train.prepared import Prepared
from inforeg.train.recipes import KeypointRecipe
from inforeg.train.source import seeded
from inforeg.train.views import Views, ViewSource
from inforeg.transforms import closed_form

# What is brighter is object, on the scale of 0 to 1.
_DARK = 0.1
# Points that errors are taken at, in the reference's object.
_ASKED = 2000
# Pairs of views in the reference's pose that points are averaged over, and the motions of those that say what is usual.
_STILL, _UPRIGHT = 12, 0.05
# Larger errors, at a quarter of the run and later, say that points know nothing of the pose.
_LOST_MM = 30.0


@dataclass(frozen=True)
class KeypointFigures:
    """Errors on pairs of views of one subject held back, in two contrasts and two poses, in mm.

    `tre_mm` is the median over pairs of the root mean square error of the affine fit at points of the object,
    `tre_before_mm` that of doing nothing, `failed` the share of pairs with more than 5 mm; `point_mm` is the median
    distance between the points of one view and where the other view's belong.
    """

    tre_mm: float
    tre_before_mm: float
    failed: float
    point_mm: float
    pairs: int

    @property
    def score(self) -> float:
        """More is better."""
        return -self.tre_mm

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def in_words(self) -> str:
        """The error of the fit, before and after."""
        return f"TRE {self.tre_before_mm:.0f} to {self.tre_mm:.2f} mm"

    def score_in_words(self, score: float) -> str:
        """The error of the fit."""
        return f"TRE {-score:.2f} mm"

    def doubts(self, step: int, steps: int) -> dict[str, str]:
        """Points that say nothing of the pose."""
        if step < max(steps // 4, 100) or self.tre_mm < _LOST_MM:
            return {}
        return {
            "lost": f"step {step}: the affine fit is {self.tre_mm:.0f} mm off: points do not follow the pose; train for"
            " longer, lower rotation_deg, or raise ramp"
        }


class KeypointTask:
    """A `KeypointNet` on views drawn as a recipe says."""

    def __init__(self, recipe: KeypointRecipe, scans: Sequence[Prepared], device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.source = ViewSource(scans, recipe, "train", device)
        object_mm = _object_mm(scans, recipe)
        anchors = _spread_out(object_mm, recipe.net.keypoints, recipe.seed)
        asked = object_mm[:: max(1, len(object_mm) // _ASKED)]
        self.objective = KeypointObjective(recipe, anchors, asked).to(device)
        self.held = _held_back(scans, recipe, device)

    @property
    def summary(self) -> str:
        """How many points of what."""
        contrasts = "/".join(dict.fromkeys((*self.source.fixed, *self.source.moving)))
        return f"{self.recipe.net.keypoints} keypoints, {contrasts}"

    @property
    def holds_back(self) -> bool:
        """Whether there are pairs to validate on."""
        return bool(self.held)

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam."""
        rate = self.recipe.rate
        return torch.optim.Adam(
            [{"params": list(self.objective.parameters()), "lr": rate, "base": rate}], betas=self.recipe.betas
        )

    def before(self, step: int, optimiser: torch.optim.Optimizer, say: Callable[[str], None]) -> None:
        """Nothing comes before a step."""

    def batch(self, numbers: Sequence[int]) -> tuple[Any, ...]:
        """Views, and what is fitted to the points of each pair."""
        recipe = self.recipe
        drawn = [self.source.draw(number) for number in numbers]
        anchored = numbers[0] < recipe.anchored
        # Where poses are known nothing has to be guessed from how images fit.
        agree = [views.known and recipe.agreement > 0 for views in drawn]
        fits = [
            None if anchored or known else _fit(recipe, number)
            for number, known in zip(numbers, agree, strict=True)
        ]
        return (
            torch.stack([views.images for views in drawn]),
            torch.stack([views.poses for views in drawn]).to(self.device),
            1.0 if anchored else recipe.anchor_after,
            [known and not anchored for known in agree],
            fits,
            [views.shares for views in drawn],
        )

    def doubts(self, done: int, lately: dict[str, float]) -> dict[str, str]:
        """None from the log."""
        return {}

    @torch.no_grad()
    def validate(self) -> tuple[KeypointFigures, NDArray[np.uint8]]:
        """Figures on views held back, and a picture of some: each with its points, brighter where they weigh more."""
        was_training = self.objective.training
        self.objective.eval()
        self._settle()
        errors, before, apart, rows = [], [], [], []
        for number, views in enumerate(self.held):
            points, weights = self.objective.points_mm(views.images)
            truth = (views.poses[1] @ torch.linalg.inv(views.poses[0])).to(points)
            found = closed_form.LINEAR["affine"](points[:1], points[1:], weights.prod(0, keepdim=True))[0]
            at = moved(views.poses[0].to(points), self.objective.asked)
            wanted = moved(truth, at)
            errors.append(_rms(moved(found, at) - wanted))
            before.append(_rms(at - wanted))
            apart += (moved(truth, points[0]) - points[1]).norm(dim=1).tolist()
            if number < 4:
                voxel = self.recipe.canonical.voxels_about_middle(points)
                rows.append(
                    beside([marked(i[0], v, w) for i, v, w in zip(views.images, voxel, weights, strict=True)])
                )
        self.objective.train(was_training)
        failed = sum(error > 5.0 for error in errors) / len(errors)
        figures = KeypointFigures(median(errors), median(before), failed, median(apart), len(errors))
        return figures, np.concatenate(rows)

    def _settle(self) -> None:
        """Let the network say where its points are in the reference's pose, on average over what it learns from, and
        how likely it finds them in images like those."""
        net, canonical = self.objective.net, self.recipe.canonical
        plain = [self.source.draw(number, plain=True, motion=0.0).images for number in range(_STILL)]
        points = torch.cat([self.objective.points_mm(images)[0] for images in plain])
        net.reference_mm.copy_(points.mean(dim=0))
        upright = canonical.around(torch.zeros(len(canonical.shape), dtype=torch.float64))
        nats = []
        for number in range(self.recipe.ramp, self.recipe.ramp + _STILL):
            views = self.source.draw(number, motion=_UPRIGHT)
            seen = found_in(self.objective.look(views.images), [upright] * 2, net.reference_mm.cpu())
            nats += [found.nats for found in seen]
        net.usual_nats.copy_(torch.tensor([fmean(nats), stdev(nats)]))


def _fit(recipe: KeypointRecipe, number: int) -> Fit:
    generator = seeded(recipe.seed, 9, number)
    which, amount = torch.rand(2, generator=generator).tolist()
    low, high = (float(np.log(s)) for s in recipe.smoothing)
    return Fit(recipe.fits[int(which * len(recipe.fits))], float(np.exp(low + amount * (high - low))), number)


def _object_mm(scans: Sequence[Prepared], recipe: KeypointRecipe) -> Float[Tensor, "n d"]:
    """The voxels of the object of the first scan to learn from, in mm about the middle of the field of view."""
    scan = next((scan for scan in scans if scan.split == "train"), None)
    if scan is None:
        raise UsageError("expected images to learn from, and no subject is of split train")
    if scan.labels is not None:
        middle = (slice(None), *[slice(scan.finer // 2, None, scan.finer) for _ in recipe.shape])
        labels = scan.labels[middle][0]
        # What is sometimes hidden cannot be found in every image.
        hidden = torch.tensor([label for group in recipe.hidden for label in group], dtype=labels.dtype)
        mask = (labels > 0) & ~torch.isin(labels, hidden)
    else:
        assert scan.image is not None
        mask = scan.image[0] > _DARK
    found = mask.nonzero().double()
    if len(found) < recipe.net.keypoints:
        raise UsageError(
            f"expected an object of at least {recipe.net.keypoints} voxels in {scan.name}, as many as keypoints, got"
            f" {len(found)}: lower spacing_mm or the network's keypoints"
        )
    return recipe.canonical.about_middle_mm(found)


def _spread_out(points: Float[Tensor, "n d"], count: int, seed: int) -> Float[Tensor, "k d"]:
    """So many of the points, each as far from those before it as can be: they span the object, whatever the seed."""
    chosen = [int(torch.randint(len(points), (), generator=seeded(seed, 10)))]
    nearest = (points - points[chosen[0]]).norm(dim=1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).norm(dim=1))
    return points[chosen]


def _held_back(scans: Sequence[Prepared], recipe: KeypointRecipe, device: torch.device) -> list[Views]:
    """Pairs of views of subjects held back, each pair of one subject; none where nobody was held back for it."""
    if not any(scan.split == "validation" for scan in scans):
        return []
    source = ViewSource(scans, recipe.replace(subjects="same"), "validation", device)
    return [source.draw(number, plain=True) for number in range(recipe.validation_pairs)]


def _rms(apart: Float[Tensor, "n d"]) -> float:
    return float(apart.square().sum(1).mean().sqrt())
