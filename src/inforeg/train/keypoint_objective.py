"""What one step of KeyMorph's training minimises: where points are, and what a transform fitted to them does."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.sample import sample_where, stretched
from inforeg.metrics import DonskerVaradhan
from inforeg.nets.keypoint_net import KeypointNet, Keypoints
from inforeg.train.machine import features_in
from inforeg.train.objective import metric_of, soft_dice
from inforeg.train.recipes import KeypointRecipe
from inforeg.train.source import seeded
from inforeg.train.task import Objective
from inforeg.train.views import voxels_of
from inforeg.transforms import closed_form

# Distances are costed by their squares over the square of this.
_UNIT_MM = 50.0
# A thin plate is evaluated at every so many voxels, and interpolated between.
_COARSER = 4


class Fit(NamedTuple):
    """What is fitted to the points of a pair, how much a thin plate is smoothed, and what the metric draws by."""

    kind: str
    smoothing: float = 0.0
    seed: int = 0


class KeypointCost(NamedTuple):
    """The cost of a batch and its parts: `cost = weight * (anchor + heat) + agreement * (apart + pose) + alpha * metric
    + label_weight * (1 - overlap)`."""

    cost: Float[Tensor, ""]
    anchor: Float[Tensor, ""]
    heat: Float[Tensor, ""]
    apart: Float[Tensor, ""]
    pose: Float[Tensor, ""]
    metric: Float[Tensor, ""]
    overlap: Float[Tensor, ""]

    def parts(self) -> dict[str, Tensor]:
        """What the log has of it."""
        return self._asdict()


class KeypointObjective(Objective):
    """Points where the reference has them, and images that fit where a transform of these points lays them.

    `anchors`, points of the reference's object in mm about its middle, are what the published pre-training regresses:
    the pose of each view is known, and so is where they went. Every subject is brought to the reference first, so
    that they are where they belong in each, roughly. After that the transform fitted to the points of a pair, another
    kind at every step, is judged by what it does: by a metric, and by the overlap of labels.

    We differ from KeyMorph (Yu et al., MIDL 2022; Wang et al., MedIA 2023) in that images of different contrast are
    compared by a metric that can (NMI, MIND, ...), where MSE needs pairs of one; and in that everything is in mm.
    """

    net: KeypointNet
    anchors: Tensor
    asked: Tensor

    def __init__(
        self,
        recipe: KeypointRecipe,
        anchors_mm: Float[Tensor, "k d"],
        asked_mm: Float[Tensor, "n d"],
    ) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = KeypointNet(recipe.net, torch.Generator().manual_seed(recipe.seed))
        self.metric = metric_of(recipe)
        self.register_buffer("anchors", anchors_mm.double())
        self.register_buffer("asked", asked_mm.double())
        self.net.reference_mm.copy_(anchors_mm)
        self.precision = recipe.precision

    def forward(
        self,
        images: Float[Tensor, "b two c *shape"],
        poses: Float[Tensor, "b two e e"],
        weight: float,
        known: Sequence[bool],
        fits: Sequence[Fit | None],
        shares: Sequence[Float[Tensor, "two s *shape"] | None],
    ) -> KeypointCost:
        """The cost of pairs of views. `weight` is that of the anchors; `known` says of which pairs the points have to
        agree, by poses that are exact; `fits` what is fitted to the points of the others, to be judged by what it does,
        and `shares` what part of each voxel of a pair is of which structure."""
        batch = images.shape[0]
        found = self.look(images.flatten(0, 1))
        points, masses = self._in_mm(found)
        k, d = self.anchors.shape
        wanted = moved(poses.flatten(0, 1), self.anchors.expand(2 * batch, -1, -1))
        anchor = (points - wanted).square().sum(-1).mean() / _UNIT_MM**2
        heat = -found.likelihood(self.recipe.canonical.voxels_about_middle(wanted)).mean()
        apart = pose = metric = overlap = torch.zeros_like(anchor)
        cost = weight * (anchor + heat)
        points = points.reshape(batch, 2, k, d)
        weights = masses.reshape(batch, 2, k).prod(1)
        if any(known):
            which = torch.tensor(known, device=images.device)
            apart, pose = self._agreement(points[which], weights[which], poses[which])
            cost = cost + self.recipe.agreement * (apart + pose)
        judged = [
            self._judged(fit, images[n], points[n], weights[n], shares[n])
            for n, fit in enumerate(fits)
            if fit is not None
        ]
        if judged:
            metric, overlap = (torch.stack(each).mean() for each in zip(*judged, strict=True))
            cost = cost + self.recipe.alpha * metric + self.recipe.label_weight * (1 - overlap)
        return KeypointCost(cost, anchor, heat, apart, pose, metric, overlap)

    def points_mm(
        self, images: Float[Tensor, "b c *shape"]
    ) -> tuple[Float[Tensor, "b k d"], Float[Tensor, "b k"]]:
        """Points in mm about the middle of the field of view, float64, and their weights."""
        return self._in_mm(self.look(images))

    def look(self, images: Float[Tensor, "b c *shape"]) -> Keypoints:
        """What the network finds, in the recipe's precision."""
        with features_in(self.precision, images.device):
            found: Keypoints = self.net(images)
        return found

    def _in_mm(self, found: Keypoints) -> tuple[Tensor, Tensor]:
        return self.recipe.canonical.about_middle_mm(found.voxel), found.weights.double()

    def _agreement(
        self, points: Float[Tensor, "b two k d"], weights: Tensor, poses: Tensor
    ) -> tuple[Tensor, Tensor]:
        """How far from one another points of one subject are, and the affine fit to them from the truth."""
        fixed, moving = points.unbind(1)
        truth = poses[:, 1] @ torch.linalg.inv(poses[:, 0])
        apart = (moved(truth, fixed) - moving).square().sum(-1).mean() / _UNIT_MM**2
        at = moved(poses[:, 0], self.asked.expand(len(poses), -1, -1))
        found = closed_form.LINEAR["affine"](fixed, moving, weights)
        return apart, (moved(found, at) - moved(truth, at)).square().sum(-1).mean() / _UNIT_MM**2

    def _judged(
        self, fit: Fit, images: Tensor, points: Tensor, weights: Tensor, shares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """The metric of a pair after a fit, and how its structures overlap."""
        nothing = points.new_zeros(())
        if self.recipe.alpha == 0 and shares is None:
            return nothing, nothing
        c = images.shape[1]
        seen = images if shares is None else torch.cat((images, shares), dim=1)
        voxel = self._voxels(fit, points[None, 0], points[None, 1], weights[None], images.shape[2:])
        fixed, warped = seen[None, 0], sample_where(seen[None, 1], voxel.to(seen))
        metric = self._compare(fixed[:, :c], warped[:, :c], fit) if self.recipe.alpha > 0 else nothing
        overlap = nothing if shares is None else soft_dice(fixed[:, c:], warped[:, c:])
        return metric, overlap

    def _compare(self, fixed: Tensor, warped: Tensor, fit: Fit) -> Tensor:
        if isinstance(self.metric, DonskerVaradhan):
            self.metric.generator = seeded(self.recipe.seed, 11, fit.seed, device=fixed.device)
        cost: Tensor = self.metric(fixed, warped)
        return cost

    def _voxels(
        self, fit: Fit, fixed: Tensor, moving: Tensor, weights: Tensor, shape: Sequence[int]
    ) -> Float[Tensor, "one d ..."]:
        """Where the moving image is read for each voxel of the fixed one."""
        spacing = self.recipe.spacing_mm
        if fit.kind != "tps":
            matrix = closed_form.LINEAR[fit.kind](fixed, moving, weights)[0]
            return voxels_of(matrix, shape, spacing)[None]
        bends, affine = closed_form.thin_plate(fixed, moving, fit.smoothing, weights)
        linear = voxels_of(affine[0], shape, spacing)[None]
        # Outermost nodes at the outermost voxel centres.
        nodes = [max(2, n // _COARSER) for n in shape]
        lines = [
            (torch.linspace(0, n - 1, m, dtype=torch.float64, device=fixed.device) - (n - 1) / 2) * spacing
            for n, m in zip(shape, nodes, strict=True)
        ]
        at = torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1).reshape(1, -1, len(shape))
        r = closed_form.distances(at, fixed)
        shift = (closed_form.kernel(r, len(shape)) @ bends).mT.reshape(1, len(shape), *nodes) / spacing
        return linear + stretched(shift, shape).float()


def moved(matrix: Float[Tensor, "*b e e"], points: Float[Tensor, "*b n d"]) -> Float[Tensor, "*b n d"]:
    """Points taken along by homogeneous matrices."""
    d = points.shape[-1]
    return points @ matrix[..., :d, :d].mT + matrix[..., None, :d, d]
