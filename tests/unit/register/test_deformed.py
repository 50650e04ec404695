"""What the report is told of a deformation."""

from itertools import permutations

import numpy as np
import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg.image import Image, resample
from inforeg.register.deformed import deformation_of, parts_of
from inforeg.report import Deformation
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, Transform, Velocity

SPACING_MM = 4.0


def field(grid: Grid, amplitude_mm: float = 5.0) -> Displacement:
    """Waves, as long as the field of view in every direction."""
    points = grid.points_mm().T.reshape(grid.ndim, *grid.shape)
    waves = [torch.sin(2 * torch.pi * points[n - 1] / 170 + n) for n in range(grid.ndim)]
    return Displacement(amplitude_mm * torch.stack(waves), grid)


def made(transform: Transform, fixed: Image, inverse: Transform | None = None) -> Deformation:
    grid = fixed.grid
    found = deformation_of(transform, inverse, fixed, np.zeros(grid.shape, np.float32))
    assert found is not None
    return found


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("order", ["D", "LD", "DL", "LDL", "LDLD", "LLD"])
def test_the_linear_part_after_the_rest_is_the_whole(ndim: int, order: str) -> None:
    grid = field_of_view(ndim, 12.0)
    parts: list[Transform] = [
        field(grid) if letter == "D" else turn(10.0 + 7 * n, ndim, (3.0, -4.0, 5.0)[:ndim], seed=n)
        for n, letter in enumerate(order)
    ]
    transform = Composite(tuple(parts))
    linear, rest = parts_of(transform)
    assert rest is not None
    points = 40 * torch.randn(50, ndim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(linear(rest(points)), transform(points), atol=1e-9, rtol=0)
    if order in ("D", "LD", "LLD"):
        assert rest is parts[-1]  # and nothing is undone that need not be


def test_of_a_linear_transform_there_is_nothing_to_show() -> None:
    one = turn(12.0, 3)
    fixed = phantom(field_of_view(3, 8.0))
    for transform in (one, Composite((one, one))):
        linear, rest = parts_of(transform)
        assert rest is None
        torch.testing.assert_close(linear(torch.ones(1, 3).double()), transform(torch.ones(1, 3).double()))
        assert deformation_of(transform, None, fixed, np.zeros(fixed.grid.shape)) is None


@pytest.mark.parametrize("axes", [*permutations(range(3)), (0, 1), (1, 0)])
@pytest.mark.parametrize("flipped", [False, True])
def test_right_is_right_however_the_file_lies(axes: tuple[int, ...], flipped: bool) -> None:
    """Moved to the right, back and up everywhere; stretched by half in the patient's right half alone."""
    d = len(axes)
    shape = (24, 20, 16)[:d]
    matrix = torch.zeros(d + 1, d + 1, dtype=torch.float64)
    for voxel, world in enumerate(axes):
        sign = -1.0 if flipped and voxel != 1 else 1.0
        matrix[world, voxel] = SPACING_MM * sign
        matrix[world, d] = -sign * SPACING_MM * (shape[voxel] - 1) / 2
    matrix[d, d] = 1.0
    grid = Grid(shape, matrix)
    points = grid.points_mm()
    shift = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)[:d]
    moved = shift.expand(len(points), d).clone()
    moved[:, 0] += 0.5 * points[:, 0].clamp(min=0)
    transform = Displacement(moved.T.reshape(d, *shape), grid)
    found = made(transform, Image(torch.ones(1, 1, *shape), grid))
    # Volumes run to the right, front and up; pictures to the left and back.
    left = slice(2, found.log_jacobian.shape[0] // 2 - 2)
    right = slice(found.log_jacobian.shape[0] // 2 + 2, -2)
    left, right = (left, right) if d == 3 else (right, left)
    np.testing.assert_allclose(found.log_jacobian[left], 0.0, atol=1e-5)
    np.testing.assert_allclose(found.log_jacobian[right], np.log(1.5), atol=1e-5)
    expected = np.array([3.0, -2.0, 1.0])[:d] * (1 if d == 3 else -1)
    half = found.displacement_mm.shape[0] // 2
    calm = found.displacement_mm[: half - 1] if d == 3 else found.displacement_mm[half + 1 :]
    np.testing.assert_allclose(calm.reshape(-1, d), expected[None].repeat(calm.size // d, 0), atol=1e-5)
    assert (found.places["farthest"].at[0] > 0.9) == (d == 3)


def test_figures_are_those_of_the_deformation_alone() -> None:
    fixed = phantom(field_of_view(3, SPACING_MM))
    bent = field(field_of_view(3, SPACING_MM))
    shrunk = Linear(torch.diag(torch.tensor([0.5, 0.5, 0.5, 1.0], dtype=torch.float64)))
    found, alone = made(Composite((shrunk, bent)), fixed), made(bent, fixed)
    assert found.whole == pytest.approx(alone.whole, abs=1e-6)
    assert found.whole.places == fixed.grid.voxel_count > found.inside.places > 1000
    lengths = bent.vectors.norm(dim=0)
    assert found.whole.largest_mm == pytest.approx(float(lengths.max()))
    assert found.whole.mean_mm == pytest.approx(float(lengths.mean()))
    assert found.inside.largest_mm <= found.whole.largest_mm
    assert found.whole.folds == 0
    assert 0.3 < found.whole.smallest < 1 < found.whole.largest < 2
    logs = found.log_jacobian
    assert np.exp([logs.min(), logs.max()]) == pytest.approx(
        [found.whole.smallest, found.whole.largest], abs=0.02
    )
    assert 0.5 * np.abs(logs).max() < found.typical <= np.abs(logs).max()
    assert all(abs(share - 0.5) < 0.1 for share in found.start)


def test_one_fold_in_a_fine_picture_is_not_lost_between_coarse_cells() -> None:
    shape = (900, 700)
    grid = Grid(shape, torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)))
    vectors = torch.zeros(2, *shape)
    vectors[0, 301, 500] = 2.5  # where the voxel before it goes far beyond the one after it
    found = made(Displacement(vectors, grid), Image(torch.rand(1, 1, *shape), grid))
    assert found.whole.folds == 1
    assert max(found.log_jacobian.shape) == 384
    ((i, j),) = np.argwhere(np.isnan(found.log_jacobian))
    fold = 300.5 / 900 if found.places["fold"].at[0] < 301 / 900 else 302.5 / 900
    assert found.places["fold"].at == pytest.approx((fold, 500.5 / 700))
    assert (i, j) == (int(fold * 384), int(500.5 / 700 * found.log_jacobian.shape[1]))
    assert found.whole.smallest < 0 < found.whole.largest


def test_the_inverse_is_tried() -> None:
    fixed = phantom(field_of_view(2, SPACING_MM))
    bent = Velocity(field(fixed.grid).vectors, fixed.grid)
    transform = Composite((turn(9.0, 2), bent))
    exact, wrong = (
        made(transform, fixed, inverse).inverse_error_mm for inverse in (transform.inverse(), turn(0.0, 2))
    )
    assert exact is not None and 0 < exact < 0.1
    assert wrong is not None and wrong > 5
    assert made(transform, fixed).inverse_error_mm is None


def test_fields_lie_where_the_images_lie() -> None:
    """Thinned by no whole number: the map covers the same field of view, and is not shifted."""
    grid = Grid.from_spacing((92, 20, 17), 1.9)
    points = grid.points_mm().T.reshape(3, *grid.shape)
    vectors = torch.zeros_like(points)
    vectors[0] = points[0].square() / 400  # J = 1 + x / 200
    found = made(Displacement(vectors, grid), Image(torch.ones(1, 1, *grid.shape), grid))
    n = found.log_jacobian.shape[0]
    assert n == 64 < grid.shape[0]
    x = (np.arange(n) + 0.5) / n * float(grid.extent_mm[0]) - float(grid.extent_mm[0]) / 2
    inner = slice(2, -2)
    np.testing.assert_allclose(np.exp(found.log_jacobian[inner, 5, 5]), 1 + x[inner] / 200, atol=2e-3)
    m = found.displacement_mm.shape[0]
    x = (np.arange(m) + 0.5) / m * float(grid.extent_mm[0]) - float(grid.extent_mm[0]) / 2
    np.testing.assert_allclose(found.displacement_mm[:, 3, 3, 0], x**2 / 400, atol=0.01)


def test_an_image_of_nothing_is_all_object() -> None:
    grid = field_of_view(2, SPACING_MM)
    found = made(field(grid), Image(torch.zeros(1, 1, *grid.shape), grid))
    assert found.inside == found.whole


def test_what_is_said_to_be_in_the_same_cell_is() -> None:
    """The undeformed image, read where the bent grid goes, is the warped image."""
    fixed = phantom(field_of_view(2, 1.5))
    linear, bent = turn(9.0, 2, (4.0, -3.0)), field(fixed.grid)
    undeformed = resample(fixed, fixed.grid, linear)
    warped = resample(fixed, fixed.grid, Composite((linear, bent)))
    found = made(Composite((linear, bent)), fixed)
    both = [image.data[0, 0].flip(0, 1).numpy() for image in (undeformed, warped)]
    rng = np.random.default_rng(0)
    n = np.array(both[0].shape)
    at = rng.integers(30, n[0] - 30, (200, 2))
    cells = (at + 0.5) / n * found.displacement_mm.shape[:2]
    moved = at + found.displacement_mm[tuple(cells.astype(int).T)] / 1.5
    near = np.rint(moved).astype(int)
    read, meant = both[0][tuple(near.T)], both[1][tuple(at.T)]
    assert np.corrcoef(read, meant)[0, 1] > 0.97
    assert np.corrcoef(both[0][tuple(at.T)], meant)[0, 1] < 0.95
