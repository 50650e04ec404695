import itertools
import math

import numpy as np
import pytest
import torch

from inforeg.report import display_factors, for_display, joint_histogram, reduce_for_display, to_ras_axes
from inforeg.report.display import to_bytes


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "longest", "factors"),
    [
        ((91, 109, 91), (2.0, 2.0, 2.0), 128, (1, 1, 1)),
        ((182, 218, 182), (1.0, 1.0, 1.0), 128, (2, 2, 2)),
        ((512, 512, 40), (0.45, 0.45, 3.0), 128, (4, 4, 1)),
        ((256, 256, 128), (0.08, 0.08, 0.08), 128, (2, 2, 2)),
        ((2000, 1500), (1.0, 1.0), 1024, (2, 2)),
        ((5, 1, 300), (1.0, 1.0, 1.0), 100, (3, 1, 3)),
    ],
)
def test_blocks_are_near_cubes_and_short_enough(shape, spacing_mm, longest, factors):
    assert display_factors(shape, spacing_mm, longest) == factors
    assert max(math.ceil(n / f) for n, f in zip(shape, factors, strict=True)) <= longest


def test_longest_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1 voxel, got 0"):
        display_factors((4, 4), (1.0, 1.0), 0)


@pytest.mark.parametrize("order", ["C", "F"])
def test_reduction_is_the_mean_of_blocks(order):
    volume = np.random.default_rng(0).normal(size=(12, 9, 10)).astype(np.float32)
    small, spacing_mm = reduce_for_display(np.asarray(volume, order=order), 4, (1.0, 1.0, 1.0))
    assert spacing_mm == (3.0, 3.0, 3.0)
    assert small.shape == (4, 3, 4)
    for i, j, k in np.ndindex(small.shape):
        # The last block along k holds the one voxel that is left.
        block = volume[3 * i : 3 * i + 3, 3 * j : 3 * j + 3, 3 * k : 3 * k + 3]
        assert small[i, j, k] == pytest.approx(block.mean(), abs=1e-6)


def test_reduction_keeps_channels_and_takes_tensors():
    picture = torch.arange(4 * 6 * 3, dtype=torch.float32).reshape(4, 6, 3)
    small, spacing_mm = reduce_for_display(picture, 3, (0.5, 0.5))
    assert small.shape == (2, 3, 3)
    assert spacing_mm == (1.0, 1.0)
    np.testing.assert_allclose(small[0, 0], picture[:2, :2].mean((0, 1)).numpy())


def test_reduction_leaves_small_images_and_does_not_touch_its_input():
    volume = np.full((40, 8, 8), 7, np.int16)
    assert reduce_for_display(volume, 40)[0] is volume
    small, _ = reduce_for_display(volume, 10)
    assert small.dtype == np.float32
    assert (volume == 7).all()


def test_reduction_refuses_a_spacing_that_does_not_fit():
    with pytest.raises(ValueError, match=r"\(4, 4, 4\) does not fit 1 spacings"):
        reduce_for_display(np.zeros((4, 4, 4)), 4, (1.0,))


def test_window_is_shared_and_leaves_out_the_tails():
    rng = np.random.default_rng(0)
    image = np.where(rng.uniform(size=(40, 40, 40)) < 0.7, 0.0, rng.uniform(10.0, 100.0, (40, 40, 40)))
    image[0, 0, 0] = 1e6
    grey, halved = to_bytes([image, image / 2])
    assert grey[image == 0].max() == 0
    assert grey[0, 0, 0] == 255
    assert grey[(image > 90) & (image < 100)].mean() > 200
    inside = (image > 20) & (image < 80)
    np.testing.assert_allclose(halved[inside], grey[inside] / 2, atol=1.0)


def test_window_of_constants_nothing_and_what_is_not_finite():
    assert to_bytes([np.full((4, 4), 3.0)])[0].max() == 0
    assert to_bytes([np.full((4, 4), np.nan)])[0].max() == 0
    image = np.linspace(0.0, 1.0, 64).reshape(8, 8)
    image[0, :3] = np.nan, np.inf, -np.inf
    assert to_bytes([image])[0][0, :3].tolist() == [0, 255, 0]
    image = np.linspace(0.0, 1.0, 1000)
    image[500] = 1e300
    assert to_bytes([image])[0][500] == 255


def test_bytes_keep_their_values():
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    np.testing.assert_array_equal(to_bytes([picture])[0], picture)


def test_joint_histogram_counts_every_voxel_in_its_cell():
    first = np.array([[0, 255], [128, 130]], np.uint8)
    second = np.array([[255, 0], [4, 7]], np.uint8)
    counts = joint_histogram(first, second)
    assert counts.shape == (64, 64)
    assert counts.sum() == 4
    assert counts[0, 63] == 1
    assert counts[63, 0] == 1
    assert counts[32, 1] == 2
    with pytest.raises(ValueError, match="not on one grid"):
        joint_histogram(first, second[:1])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
def test_ras_axes_in_all_48_orientations(order, signs):
    """A voxel stays where it is in the world: after turning, world positions increase along every axis."""
    spacing_mm = np.array([1.0, 2.0, 3.0])
    matrix = np.eye(4)
    matrix[:3, :3] = 0.0
    for world, voxel in enumerate(order):
        matrix[world, voxel] = signs[world] * spacing_mm[voxel]
    shape = (3, 4, 5)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    world_mm = index @ matrix[:3, :3].T
    turned, turned_mm = to_ras_axes(world_mm, matrix)
    assert turned_mm == tuple(spacing_mm[list(order)])
    for axis in range(3):
        steps = np.diff(turned, axis=axis)
        expected = np.zeros(3)
        expected[axis] = turned_mm[axis]
        np.testing.assert_allclose(steps, np.broadcast_to(expected, steps.shape))


def test_oblique_axes_go_to_the_nearest_direction_each_used_once():
    angle = np.deg2rad(40.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    volume = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(to_ras_axes(volume, matrix)[0], volume)


def test_for_display_leaves_a_picture_as_its_file_has_it():
    picture = np.random.default_rng(0).uniform(size=(6, 4, 3))
    (shown,), spacing_mm = for_display([picture], np.diag([-0.5, -0.25, 1.0]))
    np.testing.assert_array_equal(shown, picture)
    assert spacing_mm == (0.5, 0.25)
    # A 2-D slice whose axes go right and anterior is turned until left is on the right and posterior is down.
    (shown,), _ = for_display([picture], np.diag([0.5, 0.25, 1.0]))
    np.testing.assert_array_equal(shown, picture[::-1, ::-1])


def test_for_display_reduces_then_turns():
    volume = np.random.default_rng(0).uniform(size=(8, 4, 2)).astype(np.float32)
    matrix = np.diag([-1.0, 1.0, 2.0, 1.0])
    (shown,), spacing_mm = for_display([volume], matrix, longest=4)
    assert spacing_mm == (2.0, 2.0, 2.0)
    np.testing.assert_allclose(shown, volume.reshape(4, 2, 2, 2, 2).mean((1, 3))[::-1], rtol=1e-6)
