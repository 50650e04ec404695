"""What one step of KeyMorph's training minimises: where points are, and what a transform fitted to them does."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.sample import sample_where, stretched
from inforeg.metrics import DonskerVaradhan
from inforeg.nets.keypoint_net import KeypointNet, Keypoints
from inforeg.train.objective import metric_of, soft_dice
from inforeg.train.recipes import KeypointRecipe
from inforeg.train.source import seeded
from inforeg.train.task import Objective
from inforeg.train.views import voxels_of
from inforeg.transforms import closed_form

# Distances are costed by their squares over the square of this.
_UNIT_MM = 10.0
# A thin plate is evaluated at every so many voxels, and interpolated between.
_COARSER = 4


class Fit(NamedTuple):
    """What is fitted to the points of a pair, how much a thin plate is smoothed, and what the metric draws by."""

    kind: str
    smoothing: float = 0.0
    seed: int = 0


class KeypointCost(NamedTuple):
    """The cost of a batch and its parts: `cost = weight * anchor + alpha * metric + label_weight * (1 - overlap)`."""

    cost: Float[Tensor, ""]
    anchor: Float[Tensor, ""]
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

    def __init__(self, recipe: KeypointRecipe, anchors_mm: Float[Tensor, "k d"]) -> None:
        super().__init__()
        self.recipe = recipe
        self.net = KeypointNet(recipe.net, torch.Generator().manual_seed(recipe.seed))
        self.metric = metric_of(recipe)
        self.register_buffer("anchors", anchors_mm.double())
        self.half_precision = recipe.precision == "bf16"

    def forward(
        self,
        images: Float[Tensor, "b two c *shape"],
        poses: Float[Tensor, "b two e e"],
        weight: float,
        fits: Sequence[Fit],
        shares: Float[Tensor, "b two s *shape"] | None = None,
    ) -> KeypointCost:
        """The cost of pairs of views. `weight` is that of the anchors; without `fits` they are all there is."""
        batch = images.shape[0]
        points, masses = self.points_mm(images.flatten(0, 1))
        k, d = self.anchors.shape
        whole = torch.cat((self.anchors, torch.ones_like(self.anchors[:, :1])), dim=1)
        wanted = (whole @ poses.flatten(0, 1).mT)[..., :d]
        anchor = (points - wanted).square().sum(-1).mean() / _UNIT_MM**2
        metric = overlap = torch.zeros_like(anchor)
        cost = weight * anchor
        if fits:
            fixed_points, moving_points = points.reshape(batch, 2, k, d).unbind(1)
            weights = masses.reshape(batch, 2, k).prod(1)
            seen = images if shares is None else torch.cat((images, shares), dim=2)
            c = images.shape[2]
            each = []
            for n, fit in enumerate(fits):
                pair = fixed_points[n : n + 1], moving_points[n : n + 1], weights[n : n + 1]
                voxel = self._voxels(fit, *pair, images.shape[3:])
                warped = sample_where(seen[n, 1][None], voxel.to(seen))
                each.append((seen[n, 0][None], warped))
            metric = torch.stack(
                [self._compare(f[:, :c], w[:, :c], fit) for fit, (f, w) in zip(fits, each, strict=True)]
            ).mean()
            cost = cost + self.recipe.alpha * metric
            if shares is not None:
                overlap = torch.stack([soft_dice(f[:, c:], w[:, c:]) for f, w in each]).mean()
                cost = cost + self.recipe.label_weight * (1 - overlap)
        return KeypointCost(cost, anchor, metric, overlap)

    def points_mm(
        self, images: Float[Tensor, "b c *shape"]
    ) -> tuple[Float[Tensor, "b k d"], Float[Tensor, "b k"]]:
        """Points in mm about the middle of the field of view, float64, and their weights."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.half_precision):
            found: Keypoints = self.net(images)
        return self.recipe.canonical.about_middle_mm(found.voxel), found.weights.double()

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
