import math
from dataclasses import replace

import pytest
import torch
from made_up import points_recipe

from inforeg.image.sample import sample_where
from inforeg.train.listing import read_scans
from inforeg.train.prepared import Prepared, prepare
from inforeg.train.source import seeded
from inforeg.train.views import ViewSource, pose, voxels_of


@pytest.fixture(scope="module")
def scans(made_up, tmp_path_factory):
    wanted = points_recipe(made_up)
    return prepare(read_scans(made_up, 3, 0.34, 0.0), wanted, tmp_path_factory.mktemp("prepared"))


def middle_mm(view, spacing_mm):
    """The centre of what is bright, in mm about the middle of the field of view."""
    found = (view > 0.5).nonzero().double().mean(0)
    return (found - (torch.tensor(view.shape) - 1) / 2) * spacing_mm


@pytest.mark.parametrize("ndim", [2, 3])
def test_poses_are_as_large_as_was_asked_for(made_up, ndim):
    shape = (64,) * ndim
    wanted = points_recipe(made_up, shape=shape, rotation_deg=90.0, scale=0.0, shear=0.0, shift_mm=7.0)
    for strength in (0.0, 0.5, 1.0):
        found = [pose(ndim, wanted, strength, seeded(1, n)) for n in range(40)]
        turns = torch.stack([m[:ndim, :ndim] for m in found])
        torch.testing.assert_close(turns @ turns.mT, torch.eye(ndim).double().expand_as(turns))
        cosines = (turns.diagonal(dim1=1, dim2=2).sum(1) - (ndim - 2)) / 2
        largest = math.degrees(float(cosines.clamp(-1, 1).acos().max()))
        assert strength * 75 <= largest <= strength * 90 + 1e-6
        assert max(float(m[:ndim, ndim].abs().max()) for m in found) <= 7 * strength
    stretched = [pose(ndim, wanted.replace(scale=0.2, shear=0.1), 1.0, seeded(2, n)) for n in range(40)]
    sizes = torch.stack([torch.linalg.svdvals(m[:ndim, :ndim]) for m in stretched])
    assert 1.1 < float(sizes.max()) < 1.4 and 0.7 < float(sizes.min()) < 0.9


def test_no_transform_leaves_voxels_and_a_shift_is_one(made_up):
    still = voxels_of(torch.eye(4).double(), (4, 5, 6), 2.0)
    lines = torch.meshgrid(*[torch.arange(float(n)) for n in (4, 5, 6)], indexing="ij")
    torch.testing.assert_close(still, torch.stack(lines))
    shift = torch.eye(4).double()
    shift[:3, 3] = torch.tensor([2.0, -4.0, 1.0])
    torch.testing.assert_close(
        voxels_of(shift, (4, 5, 6), 2.0) - still,
        torch.tensor([1.0, -2.0, 0.5])[:, None, None, None].expand_as(still),
    )


@pytest.mark.parametrize("ndim", [2, 3])
def test_things_are_seen_where_the_pose_took_them(made_up, ndim):
    spacing, shape = 4.0, (64, 48, 32)[:ndim] if ndim == 3 else (64, 48)
    image = torch.zeros(1, *shape)
    box = (slice(20, 27), slice(18, 25), slice(10, 17))[:ndim]
    image[(0, *box)] = 1
    scan = Prepared("s", "T1", "train", image, None)
    still = {"shading": 0.0, "noise": 0.0, "scale": 0.1, "shear": 0.05, "shift_mm": 8.0, "ramp": 0}
    net = {"keypoints": 12, "widths": (8, 8, 8)}
    wanted = points_recipe(made_up, shape=shape, fixed=("T1",), moving=("T1",), net=net, **still)
    source = ViewSource([scan], wanted.replace(subjects="any"))
    before = torch.cat((middle_mm(image[0], spacing), torch.ones(1).double()))
    for number in range(8):
        views = source.draw(number, plain=True)
        for view, matrix in zip(views.images, views.poses, strict=True):
            there = (matrix @ before)[:ndim]
            assert float((middle_mm(view[0], spacing) - there).norm()) < 0.3 * spacing


def test_the_same_number_is_the_same_pair_and_motions_grow(made_up, scans):
    one, other = (ViewSource(scans, points_recipe(made_up, ramp=100)) for _ in range(2))
    other.draw(5)
    a, b = one.draw(7), other.draw(7)
    assert a.name == b.name and torch.equal(a.images, b.images) and torch.equal(a.poses, b.poses)
    eye = torch.eye(3).double()

    def away(numbers):
        return max(float((one.draw(n).poses - eye).abs().max()) for n in numbers)

    assert away(range(3)) < 1.5 < 8 < away(range(100, 103))


def test_shares_go_where_the_image_goes(made_up, scans):
    wanted = points_recipe(
        made_up, label_weight=1.0, structures=6, ramp=0, warp_mm=3.0, anchored=3, one_subject=0.0
    )
    source = ViewSource(scans, wanted)
    assert source.draw(2).shares is None  # nothing is fitted to anchored points
    views = next(v for v in map(source.draw, range(3, 20)) if not v.known)
    assert tuple(views.shares.shape) == (2, 6, 64, 64)
    for image, shares in zip(views.images, views.shares, strict=True):
        bright, labelled = image[0] > 0.15, shares.sum(0) > 0.5
        assert float(2 * (bright & labelled).sum() / (bright.sum() + labelled.sum())) > 0.9
    assert ViewSource(scans, wanted).draw(3, plain=True).shares is None


def test_views_of_one_subject_where_that_is_asked_for(made_up, scans):
    same = ViewSource(scans, points_recipe(made_up, subjects="same"))
    names = [same.draw(n).name.split(" to ") for n in range(10)]
    assert all(a.split("_")[0] == b.split("_")[0] for a, b in names)
    lonely = [replace(scan, subject="s") for scan in scans]
    assert ViewSource(lonely, points_recipe(made_up)).draw(0).name.startswith("s_")


def test_two_views_of_one_subject_show_the_same_bent_anatomy_where_the_poses_say(made_up, scans):
    wanted = points_recipe(
        made_up, fixed=("T1",), moving=("T1",), one_subject=1.0, warp_mm=5.0, ramp=0, shading=0.0, noise=0.0
    )
    source = ViewSource(scans, wanted)
    views = [source.draw(n) for n in range(4)]
    assert all(v.known for v in views)
    other = ViewSource(scans, wanted.replace(one_subject=0.0, subjects="different")).draw(0)
    assert not other.known

    def alike(view):
        between = view.poses[1] @ torch.linalg.inv(view.poses[0])
        voxel = voxels_of(between, view.images.shape[2:], wanted.spacing_mm)[None]
        warped = sample_where(view.images[1][None], voxel)[0, 0]
        inside = view.images[0][0] > 0.1
        pair = torch.stack((warped[inside], view.images[0][0][inside]))
        return float(torch.corrcoef(pair)[0, 1])

    assert min(map(alike, views)) > 0.9 > alike(other) + 0.1


def test_a_share_of_the_views_is_nearly_upright(made_up, scans):
    def small(upright):
        source = ViewSource(scans, points_recipe(made_up, upright=upright, ramp=0, scale=0.0, shear=0.0))
        poses = torch.cat([source.draw(n).poses for n in range(20)])
        angles = torch.atan2(poses[:, 1, 0], poses[:, 0, 0]).rad2deg().abs()
        return float((angles <= 3.0001).double().mean())

    assert small(0.0) < 0.3 and small(1.0) == 1.0 and 0.4 < small(0.6) < 0.9
