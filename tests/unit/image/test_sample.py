import sys
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from strategies import rotation

from inforeg.image import Image, Labels, resample, resample_labels, sample
from inforeg.image.interpolate import inside_grid, value_and_gradient
from inforeg.space import Grid
from inforeg.transforms import Linear


def oblique(shape: tuple[int, ...]) -> Grid:
    d = len(shape)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    spacing = torch.diag(torch.tensor([1.5, 0.8, 2.5][:d], dtype=torch.float64))
    matrix[:d, :d] = rotation([0.5, -0.3, 0.2][: 2 * d - 3]) @ spacing
    matrix[:d, d] = torch.tensor([30.0, -12.0, 5.0][:d], dtype=torch.float64)
    return Grid(shape, matrix)


def texture(shape: tuple[int, ...], channels: int = 1, batch: int = 1) -> Image:
    data = torch.rand(batch, channels, *shape, generator=torch.Generator().manual_seed(len(shape)))
    return Image(data, oblique(shape))


def inner(shape: tuple[int, ...], n: int = 300) -> torch.Tensor:
    """Voxel positions between the outermost voxel centres."""
    ends = torch.tensor(shape, dtype=torch.float64) - 1
    return torch.rand(n, len(shape), generator=torch.Generator().manual_seed(n), dtype=torch.float64) * ends


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(9, 12), (7, 9, 6)])
@pytest.mark.parametrize(("mode", "order"), [("linear", 1), ("nearest", 0), ("bspline", 3)])
def test_every_mode_is_what_scipy_makes_of_it(shape: tuple[int, ...], mode: str, order: int) -> None:
    image = texture(shape, channels=2)
    voxel = inner(shape)
    values, inside = sample(image, image.grid.to_world(voxel)[None], mode=mode)  # type: ignore[arg-type]
    assert values.shape == (1, 2, len(voxel))
    assert bool(inside.all())
    for c in range(2):
        expected = map_coordinates(
            image.data[0, c].double().numpy(), voxel.T.numpy(), order=order, mode="mirror"
        )
        assert np.abs(values[0, c].numpy() - expected).max() < 2e-5


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_field_of_view_ends_at_the_outer_faces(ndim: int) -> None:
    shape = (4, 5, 6)[:ndim]
    image = texture(shape)
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
    for axis in range(ndim):
        for place, expected in (
            (-0.49, True),
            (-0.51, False),
            (shape[axis] - 0.51, True),
            (shape[axis] - 0.49, False),
        ):
            voxel = middle.clone()
            voxel[axis] = place
            _, inside = sample(image, image.grid.to_world(voxel)[None, None])
            assert bool(inside) is expected
    # Between the outermost centres and the faces the edge value holds.
    voxel = torch.zeros(1, ndim, dtype=torch.float64)
    at_centre, _ = sample(image, image.grid.to_world(voxel)[None])
    at_face, _ = sample(image, image.grid.to_world(voxel - 0.4)[None])
    assert torch.allclose(at_centre, at_face, atol=1e-5)


def test_ties_of_the_nearest_go_up_as_in_itk() -> None:
    image = Image(torch.arange(5.0)[:, None].expand(5, 3)[None, None], Grid.from_spacing((5, 3), 1.0))
    voxel = torch.tensor([[0.5, 1.0], [1.5, 1.0], [2.5, 1.0]], dtype=torch.float64)
    values, _ = sample(image, image.grid.to_world(voxel)[None], mode="nearest")
    assert values[0, 0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("shape", [(9, 12), (7, 9, 6)])
def test_values_and_slopes_are_those_of_grid_sampling(shape: tuple[int, ...]) -> None:
    image = texture(shape)
    voxel = inner(shape, 400)
    values, slopes = value_and_gradient(image.data[0, 0], voxel.float())
    world = image.grid.to_world(voxel).float().requires_grad_()
    expected, _ = sample(image, world[None])
    assert torch.allclose(values, expected[0, 0].detach(), atol=1e-5)
    expected.sum().backward()
    per_voxel = world.grad @ image.grid.voxel_to_world[:-1, :-1].float()  # type: ignore[operator]
    # On a voxel's border both answers are right, and rounding decides.
    off_border = ((voxel - voxel.round()).abs() > 1e-4).all(dim=1)
    assert torch.allclose(slopes[off_border], per_voxel[off_border], atol=2e-4)


def test_slopes_end_where_the_image_does() -> None:
    """Outside, the value is the edge's, and does not change along the axis it left by."""
    volume = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0))
    values, slopes = value_and_gradient(volume, torch.tensor([[-3.0, 2.4, 9.0], [1.5, 2.5, 2.5]]))
    assert slopes[0, 0] == 0 and slopes[0, 2] == 0 and slopes[0, 1] != 0
    assert float(values[0]) == pytest.approx(float(0.6 * volume[0, 2, 5] + 0.4 * volume[0, 3, 5]), abs=1e-6)
    assert bool((slopes[1] != 0).all())


def test_slopes_of_an_axis_of_one_voxel_are_zero() -> None:
    _, slopes = value_and_gradient(torch.rand(4, 1, 5), torch.tensor([[1.5, 0.0, 2.5]]))
    assert slopes[0, 1] == 0


@pytest.mark.parametrize("mode", ["linear", "nearest", "bspline"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_resampling_is_sampling_at_every_voxel(ndim: int, mode: str) -> None:
    image = texture((9, 12, 8)[:ndim], channels=2)
    grid = Grid.from_spacing((7, 6, 5)[:ndim], 1.7)
    matrix = grid.voxel_to_world.clone()
    matrix[:-1, -1] += image.grid.centre_mm
    grid = Grid(grid.shape, matrix)
    transform = Linear.about(
        rotation([0.2, 0.1, -0.3][: 2 * ndim - 3]), image.grid.centre_mm, torch.full((ndim,), 0.7).double()
    )
    moved = resample(image, grid, transform, mode=mode, outside=-9.0)  # type: ignore[arg-type]
    values, inside = sample(image, transform(grid.points_mm())[None], mode=mode)  # type: ignore[arg-type]
    expected = torch.where(inside[:, None], values, -9.0).reshape(moved.data.shape)
    assert bool((expected == -9.0).any()) and bool((expected != -9.0).any())
    assert torch.allclose(moved.data, expected, atol=1e-5)


def test_a_transform_that_is_no_matrix_is_sampled_alike() -> None:
    image = texture((9, 12, 8))
    shift = Linear.translation(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    expected = resample(image, image.grid, shift)
    result = resample(image, image.grid, lambda points: shift(points))
    assert torch.allclose(result.data, expected.data, atol=1e-5)


@pytest.mark.parametrize("mode", ["linear", "bspline"])
def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    image = texture((13, 12, 8))
    shift = Linear.translation(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    whole = resample(image, image.grid, shift, mode=mode)  # type: ignore[arg-type]
    monkeypatch.setattr(sys.modules["inforeg.image.sample"], "_CHUNK_VOXELS", 300)
    assert torch.equal(resample(image, image.grid, shift, mode=mode).data, whole.data)  # type: ignore[arg-type]


@pytest.mark.usefixtures("threads")
def test_the_number_of_threads_does_not_show() -> None:
    image = texture((20, 20, 20))
    points = image.grid.to_world(inner((20, 20, 20), 9001))[None].float()
    results = []
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        results.append(sample(image, points)[0])
    assert all(torch.equal(r, results[0]) for r in results)


def test_a_batch_is_sampled_one_by_one() -> None:
    image = texture((9, 12), channels=2, batch=3)
    points = image.grid.to_world(inner((9, 12), 40))
    together, _ = sample(image, points.expand(3, -1, -1))
    shared, _ = sample(image, points[None])
    alone = [sample(Image(d[None], image.grid), points[None])[0][0] for d in image.data]
    assert torch.allclose(together, torch.stack(alone), atol=1e-6)
    assert torch.allclose(shared, together, atol=1e-6)


@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 614454277, 2**40 + 1], [-5, 0, 2**24 + 3]])
def test_labels_keep_every_id(ids: list[int]) -> None:
    data = torch.tensor(ids)[torch.randint(0, 3, (8, 9, 7), generator=torch.Generator().manual_seed(0))]
    labels = Labels(data[None, None], oblique((8, 9, 7)), dtype="int64")
    same = resample_labels(labels, labels.grid)
    assert torch.equal(same.data, labels.data)
    assert same.dtype == "int64"
    shift = Linear.translation(labels.grid.voxel_to_world[:3, 0] * 3)
    moved = resample_labels(labels, labels.grid, shift, outside=ids[1])
    assert torch.equal(moved.data[:, :, :-3], labels.data[:, :, 3:])
    assert bool((moved.data[:, :, -3:] == ids[1]).all())


def test_inside_counts_a_touch_of_rounding() -> None:
    voxel = torch.tensor([[-0.500001, 1.0], [-0.5001, 1.0], [2.500001, 1.0]], dtype=torch.float64)
    assert inside_grid(voxel, (3, 3)).tolist() == [True, False, True]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), 1e300])
@pytest.mark.parametrize("shape", [(9, 11), (7, 8, 9)])
def test_points_that_are_no_numbers_are_outside_and_have_no_slope(
    shape: tuple[int, ...], number: float
) -> None:
    """In two dimensions, slopes at NaN once ended the process."""
    image = texture(shape)
    data = image.data.clone().requires_grad_()
    points = image.grid.to_world(inner(shape))[None].clone()
    bad = torch.zeros(points.shape[1], dtype=torch.bool)
    bad[::3] = True
    points[0, ::6, 1] = number
    points[0, 3::6] = number
    points.requires_grad_()
    values, inside = sample(Image(data, image.grid), points)
    values.sum().backward()
    assert points.grad is not None and data.grad is not None
    assert torch.equal(inside[0], ~bad)
    assert bool(torch.isfinite(values).all()) and bool(torch.isfinite(data.grad).all())
    assert bool((points.grad[0][bad] == 0).all()) and bool((points.grad[0][~bad] != 0).any(dim=1).all())
    # The others are what they are without them.
    alone, _ = sample(image, points[:, ~bad].detach())
    assert torch.equal(values[..., ~bad].detach(), alone)
    for mode in ("nearest", "bspline"):
        values, inside = sample(image, points.detach(), mode=mode)  # type: ignore[arg-type]
        assert torch.equal(inside[0], ~bad) and bool(torch.isfinite(values).all())
