"""Finding points in any pose, by a network that knows heads only when they are nearly upright."""

import math
from dataclasses import replace

import pytest
import torch

from inforeg.image import Image
from inforeg.methods import keypoints
from inforeg.methods.keypoints import find_points, judged, pairs_of, quarter_turns
from inforeg.methods.result import Quality
from inforeg.nets.canonical import Canonical
from inforeg.nets.keypoint_net import KeypointNet, KeypointNetSettings, centres_of_mass
from inforeg.space import Grid
from inforeg.transforms import Linear

COUNT = 9


class Knows(KeypointNet):
    """Finds the points of an anatomy that is turned by at most `knows` degrees, and noise elsewhere.

    Its images are where their voxels lie in the world, and so it can tell.
    """

    def __init__(self, reference, pose, knows, usual=(-3.0, 0.5)):
        d = reference.shape[1]
        super().__init__(KeypointNetSettings(ndim=d, keypoints=COUNT, widths=(4,)))
        self.reference_mm.copy_(reference)
        self.usual_nats.copy_(torch.tensor(usual))
        self.back, self.knows, self.looks = pose.inverse(), knows, 0

    def forward(self, images):
        self.looks += len(images)
        d = images.shape[1]
        maps = []
        for n, where in enumerate(images.double()):
            at = self.back(where.flatten(1).T)
            size = where.shape[1:]
            apart = (at[:, None] - self.reference_mm).square().sum(2)
            own = torch.exp(-apart / (2 * 4.0**2)).T.reshape(COUNT, *size)
            at = at.T.reshape(d, *size)
            corner = tuple(0 for _ in size)
            steps = [
                at[(slice(None), *[int(a == axis) for a in range(d)])] - at[(slice(None), *corner)]
                for axis in range(d)
            ]
            if degrees(torch.stack(steps, dim=1)) > self.knows:
                own = torch.rand(own.shape, generator=torch.Generator().manual_seed(n)) + 0.5
            maps.append(own.float() + 1e-8)
        return centres_of_mass(torch.stack(maps))


@pytest.fixture
def places(monkeypatch):
    """Networks see where the voxels of their grid are in the image's world, in place of what is there."""

    def seen(thin, grid, to_image=None):
        points = grid.points_mm()
        there = points if to_image is None else to_image(points)
        return Image(there.T.reshape(1, grid.ndim, *grid.shape), grid)

    monkeypatch.setattr(keypoints, "_seen", seen)


def degrees(linear):
    """The angle of the rotation nearest to a matrix."""
    d = len(linear)
    u, _, vt = torch.linalg.svd(linear)
    cosine = float(((u @ vt).trace() - (d - 2)) / 2)
    return math.degrees(math.acos(max(-1.0, min(1.0, cosine))))


def anatomy(d):
    generator = torch.Generator().manual_seed(d)
    return 35 * (2 * torch.rand(COUNT, d, generator=generator, dtype=torch.float64) - 1)


def random_pose(d, generator):
    """Any rotation, a little stretched, and far away."""
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64))[0]
    turn[:, 0] *= torch.linalg.det(turn).sign()
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = turn @ torch.diag(torch.tensor([1.1, 0.95, 1.05][:d]).double())
    matrix[:d, d] = 200 * torch.randn(d, generator=generator, dtype=torch.float64)
    return Linear(matrix)


def ball(pose, d):
    """An image with something round at about where the anatomy is: all that is looked for in it is its middle."""
    grid = Grid.from_spacing((40,) * d, 4.0)
    matrix = grid.voxel_to_world.clone()
    matrix[:-1, -1] = pose(torch.full((d,), 5.0).double()) - 78
    grid = Grid(grid.shape, matrix)
    apart = (grid.points_mm() - grid.centre_mm).norm(dim=1)
    return Image((apart < 45).float().reshape(1, 1, *grid.shape), grid)


def test_quarter_turns_are_all_there_and_leave_no_pose_far():
    for d, count, farthest in ((2, 4, 45.1), (3, 24, 63.0)):
        turns = torch.stack(quarter_turns(d))
        assert len(turns) == count and torch.equal(turns[0], torch.eye(d).double())
        assert len({tuple(t.flatten().tolist()) for t in turns}) == count
        torch.testing.assert_close(torch.linalg.det(turns), torch.ones(count).double())
        generator = torch.Generator().manual_seed(1)
        for _ in range(200):
            pose = random_pose(d, generator).matrix[:d, :d]
            assert min(degrees(turn.T @ pose) for turn in turns) <= farthest


@pytest.mark.parametrize("shape", [(40, 40), (48, 40), (40, 40, 40), (48, 40, 40)])
def test_every_pose_is_found_by_what_knows_some(places, shape):
    """Whole axes change places in a field of view whose sides are alike, and are read anew in another one."""
    d = len(shape)
    reference, canonical = anatomy(d), Canonical(shape=shape, spacing_mm=4.0)
    generator = torch.Generator().manual_seed(7)
    for _ in range(5):
        pose = random_pose(d, generator)
        net = Knows(reference, pose, 66.0 if d == 3 else 50.0)
        found = find_points(net, canonical, ball(pose, d))
        assert float((found.points_mm - pose(reference)).norm(dim=1).max()) < 0.5
        assert float((found.pose(reference) - pose(reference)).norm(dim=1).max()) < 0.5
        assert found.off_mm < 0.5 and found.nats > -4


def test_what_lies_as_its_header_says_needs_few_looks(places):
    reference, canonical = anatomy(3), Canonical(shape=(40, 40, 40), spacing_mm=4.0)
    pose = Linear.translation(torch.tensor([50.0, -20.0, 9.0]).double())
    quick = Knows(reference, pose, 66.0)
    find_points(quick, canonical, ball(pose, 3))
    assert quick.looks <= 4
    # What is never as likely as usual is looked at from all sides.
    thorough = Knows(reference, pose, 66.0, usual=(10.0, 0.1))
    find_points(thorough, canonical, ball(pose, 3))
    assert thorough.looks >= 24


def test_other_voxels_are_the_same_points_in_the_world():
    """Axes that run otherwise, thick slices, oblique ones: an untrained network finds the same points in mm."""
    net = KeypointNet(KeypointNetSettings(keypoints=6, widths=(8, 8, 8)), torch.Generator().manual_seed(1))
    canonical = Canonical(shape=(32, 32, 32), spacing_mm=5.0)
    middles = torch.tensor([[0.0, 0, 0], [25, 10, -5], [-15, 30, 20], [5, -20, 28]]).double()

    def shown(grid):
        points = grid.points_mm()
        values = sum(torch.exp(-(points - m).square().sum(1) / (2 * 14.0**2)) for m in middles)
        return Image(values.float().reshape(1, 1, *grid.shape), grid)

    def about(matrix, shape):
        whole = torch.eye(4, dtype=torch.float64)
        whole[:3, :3] = matrix
        whole[:3, 3] = -matrix @ ((torch.tensor(shape).double() - 1) / 2)
        return Grid(shape, whole)

    eye = torch.eye(3, dtype=torch.float64)
    plain = find_points(net, canonical, shown(about(2.5 * eye, (72, 72, 72)))).points_mm
    spread = float((plain - plain.mean(0)).norm(dim=1).max())
    tilt = torch.matrix_exp(torch.tensor([[0, 0.4, 0.2], [-0.4, 0, 0.3], [-0.2, -0.3, 0]]).double())
    others = {
        "axes": (2.5 * eye[[2, 0, 1]] * torch.tensor([1.0, -1, 1]).double(), (72, 72, 72)),
        "thick": (torch.diag(torch.tensor([2.0, 2.0, 5.0]).double()), (90, 90, 36)),
        "oblique": (tilt @ torch.diag(torch.tensor([3.0, 2.0, 4.0]).double()), (64, 96, 50)),
    }
    for name, (matrix, shape) in others.items():
        found = find_points(net, canonical, shown(about(matrix, shape))).points_mm
        assert float((found - plain).norm(dim=1).max()) < max(0.6, 0.05 * spread), name


def test_points_in_strange_places_ask_for_a_look(places):
    reference, canonical = anatomy(3), Canonical(shape=(40, 40, 40), spacing_mm=4.0)
    pose = Linear.identity(3)
    image = ball(pose, 3)
    found = find_points(Knows(reference, pose, 66.0), canonical, image)
    fine = pairs_of(found, found, pose, image)
    assert fine.residual_mm < 1e-6 and 0.02 < fine.coverage <= 1
    fine = replace(fine, coverage=0.5)
    good = Quality("good", [], 1.0, 1.0, 0.5, None, 0.1)
    assert judged(good, fine) is good
    strange = judged(good, replace(fine, off_mm=(1.0, 20.0)))
    assert strange.verdict == "check" and "in the moving image are 20 mm" in strange.reasons[0]
    few = judged(good, replace(fine, coverage=0.01))
    assert few.verdict == "check" and "surround only 1 %" in few.reasons[0]
    assert judged(replace(good, verdict="failed"), replace(fine, coverage=0.01)).verdict == "failed"
