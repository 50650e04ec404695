import math

import pytest
import torch
from made_up import points_recipe

from inforeg.image.sample import sample_where
from inforeg.nets import Keypoints
from inforeg.train.keypoint_objective import Fit, KeypointObjective
from inforeg.train.source import seeded
from inforeg.train.views import pose, voxels_of

FITS = [Fit("affine"), Fit("tps", 1e-6), Fit("tps", 10.0)]


class Knows(torch.nn.Module):
    """A network that knows the answer, but for an error in voxels."""

    def __init__(self, points_mm, spacing_mm, off):
        super().__init__()
        self.points_mm, self.spacing_mm, self.off = points_mm, spacing_mm, torch.nn.Parameter(off)

    def forward(self, images):
        middle = (torch.tensor(images.shape[2:]) - 1) / 2
        voxel = (self.points_mm / self.spacing_mm + middle).float() + self.off
        maps = torch.ones(*voxel.shape[:2], *images.shape[2:])
        return Keypoints(voxel, torch.full(voxel.shape[:2], 1 / voxel.shape[1]), maps)


def fresh(objective):
    """The same with a network that has learnt nothing."""
    return KeypointObjective(objective.recipe, objective.anchors, objective.asked)


def case(made_up, ndim, off=0.0, **changes):
    """An object in two poses that are known, and points that are where they belong."""
    shape = (48, 64) if ndim == 2 else (24, 32, 24)
    widths = {"keypoints": 12, "widths": (8, 8, 8)}
    wanted = points_recipe(made_up, shape=shape, net=widths, shift_mm=6.0, **changes)
    spacing, generator = wanted.spacing_mm, seeded(1)
    lines = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    image = sum(torch.exp(-((line - 0.3 * k) ** 2) / 0.1) for k, line in enumerate(lines))[None]
    image = image * (torch.stack(lines).square().sum(0) < 0.4)
    poses = torch.stack([pose(ndim, wanted, 0.7, generator) for _ in range(2)])
    anchors = 30 * torch.randn(12, ndim, generator=generator, dtype=torch.float64)
    whole = torch.cat((anchors, torch.ones(12, 1, dtype=torch.float64)), dim=1)
    points = (whole @ poses.mT)[..., :ndim]
    objective = KeypointObjective(wanted, anchors, anchors[:6])
    objective.net = Knows(points, spacing, off * torch.randn(12, ndim, generator=generator))
    seen = [sample_where(image[None], voxels_of(torch.linalg.inv(m), shape, spacing)[None])[0] for m in poses]
    return objective, torch.stack(seen)[None], poses[None]


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("fit", FITS)
def test_points_that_are_right_lay_one_view_on_the_other(made_up, ndim, fit):
    objective, images, poses = case(made_up, ndim, metric="mse", label_weight=3.0, alpha=2.0)
    with torch.no_grad():
        found = objective(images, poses, 0.5, [False], [fit], [images[0]])
        still = objective(images, poses, 0.5, [False], [Fit("affine")], [None])
        wrong = fresh(objective)(images, poses, 0.5, [False], [fit], [None])
    assert float(found.anchor) < 1e-8 and float(found.metric) < 2e-3 and float(found.overlap) > 0.99
    pointed = 0.5 * (found.anchor + found.heat)
    torch.testing.assert_close(
        found.cost, pointed + 2 * found.metric + 3 * (1 - found.overlap), check_dtype=False
    )
    assert float(still.overlap) == 0  # not asked for
    assert float(wrong.metric) > 5 * float(found.metric) and float(wrong.anchor) > 0.04


@pytest.mark.parametrize("fit", FITS)
def test_what_points_are_off_by_is_learnt_from_images_alone(made_up, fit):
    """No weight on anchors: the error falls along the gradient that comes through the fit."""
    objective, images, poses = case(made_up, 2, off=0.8, metric="mse", alpha=1.0)
    optimiser = torch.optim.Adam(objective.net.parameters(), lr=0.05)
    costs = []
    for _ in range(40):
        found = objective(images, poses, 0.0, [False], [fit], [None])
        optimiser.zero_grad()
        found.cost.backward()
        optimiser.step()
        costs.append(float(found.metric.detach()))
    assert costs[-1] < 0.5 * costs[0]


def test_anchors_alone_before_anything_is_fitted(made_up):
    objective, images, poses = case(made_up, 2, off=1.0)
    found = objective(images, poses, 1.0, [False], [None], [None])
    torch.testing.assert_close(found.cost, found.anchor + found.heat, check_dtype=False)
    # One voxel of 4 mm off on each of two axes: 32 mm^2 over 50 mm squared.
    assert 0.006 < float(found.anchor.detach()) < 0.024
    # Maps that say nothing: every voxel is as likely as any other.
    assert float(found.heat.detach()) == pytest.approx(math.log(48 * 64), rel=1e-4)
    assert set(found.parts()) == {"cost", "anchor", "heat", "apart", "pose", "metric", "overlap"}


def test_points_of_one_subject_are_held_to_each_other_and_to_the_pose(made_up):
    exact, images, poses = case(made_up, 3)
    off = case(made_up, 3, off=1.0)[0]
    for objective, right in ((exact, True), (off, False)):
        found = objective(images, poses, 0.0, [True], [None], [None])
        torch.testing.assert_close(found.cost, 20 * (found.apart + found.pose), check_dtype=False)
        if right:
            assert float(found.apart.detach()) < 1e-8 and float(found.pose.detach()) < 1e-8
        else:
            points = objective.points_mm(images.flatten(0, 1))[0].detach()
            relative = poses[0, 1] @ torch.linalg.inv(poses[0, 0])
            left = points[0] @ relative[:3, :3].T + relative[:3, 3] - points[1]
            wanted = left.square().sum(1).mean() / 50**2
            torch.testing.assert_close(found.apart.detach(), wanted)
            # Twelve points' errors reach an affine fit in part.
            assert 0.1 < float((found.pose / found.apart).detach()) < 2
    found.cost.backward()
    assert float(off.net.off.grad.abs().sum()) > 0


def test_what_a_metric_draws_comes_from_the_seed(made_up):
    objective, images, poses = case(made_up, 2, metric="mine")
    with torch.no_grad():
        costs = [
            float(objective(images, poses, 0.0, [False], [Fit("affine", 0.0, n)], [None]).metric)
            for n in (1, 2, 1)
        ]
    assert costs[0] == costs[2] != costs[1]


def test_a_batch_costs_the_mean_of_its_pairs(made_up):
    objective, images, poses = case(made_up, 2, metric="nmi", label_weight=1.0)
    real = fresh(objective)
    two = torch.cat((images, images.flip(1)))
    both = torch.cat((poses, poses.flip(1)))
    fits = [Fit("affine"), Fit("tps", 0.1)]
    no = [False, False]
    whole = real(two, both, 0.3, no, fits, [*two])
    parts = [real(two[n : n + 1], both[n : n + 1], 0.3, no[:1], fits[n : n + 1], [two[n]]) for n in range(2)]
    for name, value in whole.parts().items():
        torch.testing.assert_close(value, sum(p.parts()[name] for p in parts) / 2, atol=1e-4, rtol=1e-4)
