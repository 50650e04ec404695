"""Sampled information against an independent reference: mutual information of a dense, unquantised Parzen table."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from phantoms import RADIUS_MM, field_of_view, moved_view, phantom, pose
from scipy.ndimage import map_coordinates

from inforeg.image import Image
from inforeg.solve.information import SampledInformation, parzen_window
from inforeg.space import Grid
from inforeg.transforms import Linear, group

CASES = [(2, "rigid"), (2, "affine"), (2, "projective"), (3, "rigid"), (3, "affine"), (3, "projective")]
BINS = 24


def points_in(ndim: int, count: int = 12_000, seed: int = 0, reach: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    box = torch.rand(count, ndim, generator=generator, dtype=torch.float64) * 2 - 1
    return box * reach * RADIUS_MM


def pair(ndim: int, name: str) -> tuple[Image, Image, Linear]:
    grid = field_of_view(ndim)
    truth = pose(name, ndim)
    # Noise blurs the table's edges, where a quantised and a continuous intensity axis differ most.
    return phantom(grid, noise=0.03), phantom(moved_view(grid, truth), "t2", truth, noise=0.03), truth


def objective(fixed: Image, moving: Image, name: str = "rigid", **options: Any) -> SampledInformation:
    d = fixed.grid.ndim
    points = options.pop("points", points_in(d))
    centre = torch.tensor([3.0, -2.0, 5.0][:d], dtype=torch.float64)
    return SampledInformation(fixed, moving, points, group(name, d), centre, RADIUS_MM, bins=BINS, **options)


def linear_at(image: Image, points: torch.Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    """Values by scipy, and which points lie inside the field of view."""
    voxel = image.grid.to_voxel(points).numpy()
    ends = np.array(image.grid.shape)
    inside = ((voxel >= -0.5) & (voxel <= ends - 0.5)).all(axis=1)
    return map_coordinates(image.data[0, 0].double().numpy(), voxel.T, order=1, mode="nearest"), inside


def reference(fixed: Image, moving: Image, transform: Linear, points: torch.Tensor) -> float:
    """Information per sample drawn: fixed intensities in bins, moving ones under cubic B-splines, term by term."""
    f, seen = linear_at(fixed, points)
    m, inside = linear_at(moving, transform(points))
    inside &= seen
    drawn, f, m = seen.sum(), f[inside], m[inside]
    rows = np.floor(np.clip(f, 0, 1) * (BINS - 1) + 0.5).astype(int)
    place = 2 + np.clip(m, 0, 1) * (BINS - 5)
    away = np.abs(place[:, None] - np.arange(BINS))
    weight = np.where(away < 1, 2 / 3 - away**2 + away**3 / 2, np.clip(2 - away, 0, None) ** 3 / 6)
    joint = np.zeros((BINS, BINS))
    np.add.at(joint, rows, weight)
    joint /= joint.sum()
    product = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    some = joint > 0
    return float((joint[some] * np.log(joint[some] / product[some])).sum() * len(m) / drawn)


def test_the_window_is_a_partition_of_one_with_the_right_mean() -> None:
    window = parzen_window(20).double()
    assert torch.allclose(window.sum(1), torch.ones(256).double(), atol=1e-6)
    middles = 2 + (torch.arange(256).double() + 0.5) / 256 * 15
    assert torch.allclose(window @ torch.arange(20).double(), middles, atol=1e-5)
    assert bool((window >= 0).all())


@pytest.mark.parametrize(("ndim", "name"), CASES)
def test_the_value_is_that_of_a_dense_parzen_table(ndim: int, name: str) -> None:
    fixed, moving, truth = pair(ndim, name)
    measured = objective(fixed, moving, name)
    for transform in (truth, Linear.identity(ndim)):
        found = measured(transform)
        assert found.information == pytest.approx(
            reference(fixed, moving, transform, points_in(ndim)), abs=2e-3
        )


@pytest.mark.parametrize(("ndim", "name"), CASES)
def test_the_gradient_is_that_of_the_dense_table(ndim: int, name: str) -> None:
    """Central differences of the reference, which is not quantised; the score is read from 256 fine intensities."""
    fixed, moving, truth = pair(ndim, name)
    measured = objective(fixed, moving, name)
    off = group(name, ndim).exp(
        torch.full((group(name, ndim).size,), 0.03, dtype=torch.float64),
        torch.zeros(ndim).double(),
        RADIUS_MM,
    )
    here = Linear(truth.matrix @ off.matrix)
    gradient = measured(here).gradient
    which, centre = group(name, ndim), torch.tensor([3.0, -2.0, 5.0][:ndim], dtype=torch.float64)
    h = 2e-4
    expected = torch.zeros(which.size, dtype=torch.float64)
    for k in range(which.size):
        step = torch.zeros(which.size, dtype=torch.float64)
        step[k] = h
        ends = [Linear(here.matrix @ which.exp(s * step, centre, RADIUS_MM).matrix) for s in (1.0, -1.0)]
        high, low = (reference(fixed, moving, end, points_in(ndim)) for end in ends)
        expected[k] = (high - low) / (2 * h)
    assert float(expected.norm()) > 0.5
    assert float((gradient - expected).norm()) < 0.03 * float(expected.norm())


@pytest.mark.parametrize(("ndim", "name"), CASES)
def test_the_gradient_foretells_the_change_along_itself(ndim: int, name: str) -> None:
    """Of its own value, which moves in small jumps: so over a step of half a millimetre and not a tiny one."""
    fixed, moving, truth = pair(ndim, name)
    measured = objective(fixed, moving, name)
    which, centre = group(name, ndim), torch.tensor([3.0, -2.0, 5.0][:ndim], dtype=torch.float64)
    here = Linear(truth.matrix @ pose(name, ndim, 0.03, seed=4).matrix)
    gradient = measured(here).gradient
    along = gradient / gradient.norm()
    h = 0.5 / RADIUS_MM
    high, low = (
        measured(Linear(here.matrix @ which.exp(s * h * along, centre, RADIUS_MM).matrix)).information
        for s in (1.0, -1.0)
    )
    assert (high - low) / (2 * h) == pytest.approx(float(gradient.norm()), rel=0.05)


@pytest.mark.parametrize(("ndim", "name"), CASES)
def test_the_curvature_is_symmetric_and_never_negative(ndim: int, name: str) -> None:
    fixed, moving, truth = pair(ndim, name)
    measured = objective(fixed, moving, name)
    for transform in (truth, Linear.identity(ndim), pose(name, ndim, 0.4, seed=3)):
        curvature = measured(transform).curvature
        assert curvature.shape == (group(name, ndim).size,) * 2
        assert torch.allclose(curvature, curvature.T, rtol=1e-4, atol=1e-5 * float(curvature.abs().max()))
        values = torch.linalg.eigvalsh((curvature + curvature.T) / 2)
        assert float(values.min()) > -1e-5 * float(values.max())
        assert float(values.max()) > 0


def shifted(mm: float, ndim: int = 3) -> Linear:
    return Linear.translation(torch.tensor([mm] + [0.0] * (ndim - 1), dtype=torch.float64))


def cut(image: Image, slices: tuple[slice, ...]) -> Image:
    """A part of an image, where it was."""
    first = torch.tensor([s.indices(n)[0] for s, n in zip(slices, image.grid.shape, strict=True)])
    matrix = image.grid.voxel_to_world.clone()
    matrix[:-1, -1] = image.grid.to_world(first.double())
    data = image.data[(slice(None), slice(None), *slices)].contiguous()
    return Image(data, Grid(tuple(data.shape[2:]), matrix), image.name)


def test_shrinking_the_overlap_never_pays() -> None:
    """Slid ever further out of a cut field of view; a mean over what is still inside would be fooled at the end."""
    grid = field_of_view(3)
    moving = cut(phantom(grid, "t2", noise=0.03), (slice(12, 38), slice(None), slice(None)))
    measured = objective(phantom(grid, noise=0.03), moving)
    at_truth = measured(shifted(0))
    values = [measured(shifted(mm)) for mm in (3, 6, 12, 25, 50, 75, 100, 108, 114)]
    information = [at_truth.information, *(v.information for v in values)]
    assert information == sorted(information, reverse=True)
    inside = [v.information / v.overlap for v in values]
    assert 0 < values[-1].overlap < 0.02
    assert inside[-1] > 1.3 * inside[-2]


def test_a_sample_outside_adds_nothing_and_counts() -> None:
    fixed, moving, truth = pair(3, "rigid")
    half = cut(moving, (slice(None), slice(25, None), slice(None)))
    measured = objective(fixed, half)
    found = measured(truth)
    points = points_in(3)
    voxel = half.grid.to_voxel(truth(points))
    inside = ((voxel > -0.5) & (voxel < torch.tensor(half.grid.shape) - 0.5)).all(dim=1)
    seen = objective(fixed, half, points=points[inside])(truth)
    share = float(inside.double().mean())
    assert found.overlap == pytest.approx(share, abs=1e-3)
    assert seen.overlap == pytest.approx(1.0, abs=1e-3)
    assert found.information == pytest.approx(seen.information * share, rel=2e-3)
    assert torch.allclose(
        found.gradient, seen.gradient * share, rtol=5e-3, atol=2e-3 * float(found.gradient.norm())
    )


def test_no_overlap_is_no_information_and_nothing_else() -> None:
    fixed, moving, _ = pair(3, "rigid")
    found = objective(fixed, moving)(shifted(900))
    assert (found.information, found.overlap) == (0.0, 0.0)
    assert float(found.gradient.abs().max()) == 0 and float(found.curvature.abs().max()) == 0


def test_samples_outside_the_fixed_image_are_left_out() -> None:
    fixed, moving, truth = pair(2, "rigid")
    measured = objective(fixed, moving, points=points_in(2, reach=3.0))
    voxel = fixed.grid.to_voxel(points_in(2, reach=3.0))
    inside = ((voxel > -0.5) & (voxel < torch.tensor(fixed.grid.shape) - 0.5)).all(dim=1)
    assert measured.count == int(inside.sum()) < 12_000
    assert measured(truth).information > 0.3


@pytest.mark.parametrize("name", ["rigid", "projective"])
def test_a_moving_mask_leaves_out_what_it_leaves_out(name: str) -> None:
    """Also on a grid of its own, and as the same thing as samples that were never drawn there."""
    fixed, moving, truth = pair(3, name)
    # Its faces lie between voxels of the mask's own grid, so no sample is on the edge of two answers.
    mask_grid = Grid.from_spacing((40, 40, 40), 7.0)
    half = (mask_grid.points_mm()[:, 0] > 3.0).float().reshape(1, 1, 40, 40, 40)
    masked = objective(fixed, moving, name, moving_mask=Image(half, mask_grid))(truth)
    points = points_in(3)
    column = torch.floor(mask_grid.to_voxel(truth(points)) + 0.5)[:, 0].long()
    allowed = mask_grid.to_world(torch.stack((column.double(),) * 3, 1))[:, 0] > 3.0
    seen = objective(fixed, moving, name, points=points[allowed])(truth)
    share = float(allowed.double().mean())
    assert masked.overlap == pytest.approx(share, rel=0.01)
    assert masked.information == pytest.approx(seen.information * share, rel=0.01)
    assert 0.2 < share < 0.8
    everything = Image(torch.ones(1, 1, 40, 40, 40), mask_grid)
    unmasked = objective(fixed, moving, name)(truth)
    assert objective(fixed, moving, name, moving_mask=everything)(truth).information == unmasked.information


def test_windows_say_what_counts_as_zero_and_one() -> None:
    fixed, moving, truth = pair(3, "rigid")
    plain = objective(fixed, moving)(truth)
    other = objective(
        Image(40 * fixed.data - 7, fixed.grid),
        Image(2000 * moving.data + 300, moving.grid),
        fixed_window=(-7.0, 33.0),
        moving_window=(300.0, 2300.0),
    )(truth)
    assert other.information == pytest.approx(plain.information, abs=2e-3)
    assert torch.allclose(other.gradient, plain.gradient, atol=0.01 * float(plain.gradient.norm()))


def test_a_window_of_no_width_is_no_division_by_zero() -> None:
    fixed, moving, truth = pair(2, "rigid")
    found = objective(fixed, moving, moving_window=(0.4, 0.4))(truth)
    assert np.isfinite(found.information)
    assert bool(torch.isfinite(found.gradient).all())


def test_gains_multiply_intensities() -> None:
    fixed, moving, truth = pair(3, "rigid")
    plain = objective(fixed, moving)
    n = plain.count
    gained = plain.with_gains(torch.full((n,), 0.7), torch.full((n,), 0.8))
    expected = objective(Image(0.7 * fixed.data, fixed.grid), Image(0.8 * moving.data, moving.grid))(truth)
    found = gained(truth)
    assert found.information == pytest.approx(expected.information, abs=1e-3)
    assert torch.allclose(found.gradient, expected.gradient, atol=1e-2 * float(expected.gradient.norm()))
    # The objective it came from is as it was, and so is the one it gives back.
    again = gained.without_gains()(truth)
    before = plain(truth)
    assert again.information == before.information
    assert torch.equal(again.gradient, before.gradient)


def test_halves_are_every_other_sample_gains_included() -> None:
    fixed, moving, truth = pair(3, "rigid")
    points = points_in(3)
    plain = objective(fixed, moving, points=points)
    assert plain.count == len(points)
    for part, expected in zip(plain.split(), (points[::2], points[1::2]), strict=True):
        assert part.count == len(expected)
        assert part(truth).information == objective(fixed, moving, points=expected)(truth).information
    gains = torch.linspace(0.8, 1.2, plain.count)
    shaded = plain.with_gains(gains, 1 / gains)
    for first, part in enumerate(shaded.split()):
        same = objective(fixed, moving, points=points[first::2]).with_gains(
            gains[first::2], 1 / gains[first::2]
        )
        assert part(truth).information == same(truth).information


def test_values_at_the_samples_and_their_score() -> None:
    """What shading is estimated from: the information between bins and values is that of the whole objective."""
    fixed, moving, truth = pair(3, "rigid")
    measured = objective(fixed, moving)
    values, inside = measured.moving_at(truth)
    expected, there = linear_at(moving, truth(points_in(3)))
    assert np.abs(values.numpy() - expected)[there].max() < 1e-4
    assert int(inside.sum()) == int(there.sum())
    information, score, fisher = measured.score(measured.fixed_bin, values)
    assert information == pytest.approx(measured(truth).information, rel=1e-5)
    assert score.shape == fisher.shape == values.shape
    assert float(fisher.min()) >= 0
