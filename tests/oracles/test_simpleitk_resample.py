"""Resampling against SimpleITK on random oblique, anisotropic grids, through random transforms."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import grids, linears

from inforeg.image import Image, Labels, resample, resample_labels
from inforeg.space import Grid
from inforeg.transforms import Linear

MODES = {"linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor, "bspline": sitk.sitkBSpline}
OUTSIDE = -7.0


def to_sitk(data: torch.Tensor, grid: Grid) -> sitk.Image:
    d = grid.ndim
    lps = grid.voxel_to_world.numpy().copy()
    lps[:2] *= -1
    spacing = np.linalg.norm(lps[:d, :d], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.numpy().T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:d, :d] / spacing).reshape(-1).tolist())
    image.SetOrigin(lps[:d, d].tolist())
    return image


def to_itk_transform(transform: Linear) -> sitk.Transform:
    d = transform.ndim
    flip = np.diag([-1.0, -1.0, 1.0][:d])
    matrix = transform.matrix.numpy()
    return sitk.AffineTransform(
        (flip @ matrix[:d, :d] @ flip).reshape(-1).tolist(), (flip @ matrix[:d, d]).tolist(), [0.0] * d
    )


def near_each_other(ndim: int, data: st.DataObject) -> tuple[Grid, Grid, Linear]:
    """Two grids whose fields of view meet, and a transform between them."""
    fixed = data.draw(grids(ndim, shear=0.0, sizes=(3, 14), spacings_mm=(0.5, 4.0), reach_mm=100.0)).grid()
    moving = data.draw(grids(ndim, shear=0.0, sizes=(3, 14), spacings_mm=(0.5, 4.0), reach_mm=100.0)).grid()
    matrix = moving.voxel_to_world.clone()
    offset = torch.tensor(
        data.draw(st.lists(st.floats(-4, 4), min_size=ndim, max_size=ndim)), dtype=torch.float64
    )
    matrix[:ndim, ndim] += fixed.centre_mm - moving.centre_mm + offset
    moving = Grid(moving.shape, matrix)
    turn = data.draw(linears(ndim, size=0.3)).transform().matrix.clone()
    # About the middle of the fixed field of view, so that it still meets the moving one.
    linear = turn[:ndim, :ndim]
    return fixed, moving, Linear.about(linear, fixed.centre_mm, torch.zeros(ndim, dtype=torch.float64))


def voxels_read(fixed: Grid, moving: Grid, transform: Linear) -> torch.Tensor:
    return moving.to_voxel(transform(fixed.points_mm())).reshape(*fixed.shape, fixed.ndim)


def where_sure(index: torch.Tensor, moving: Grid, mode: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Voxels that lie inside, and outside, beyond doubt; ties of nearest neighbour are in doubt."""
    ends = torch.tensor(moving.shape, dtype=torch.float64) - 0.5
    margin = 1e-4
    inside = ((index > -0.5 + margin) & (index < ends - margin)).all(-1)
    outside = ((index < -0.5 - margin) | (index > ends + margin)).any(-1)
    if mode == "nearest":
        inside &= ((index - torch.floor(index) - 0.5).abs() > margin).all(-1)
    if mode == "bspline":
        # Between the outermost voxel centres and the faces there is nothing to interpolate between.
        inside &= ((index >= 0) & (index <= ends - 0.5)).all(-1)
    return inside, outside


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("mode", MODES)
@given(data=st.data())
@settings(max_examples=40)
def test_images(ndim: int, mode: str, data: st.DataObject) -> None:
    fixed, moving, transform = near_each_other(ndim, data)
    values = torch.rand(moving.shape, generator=torch.Generator().manual_seed(0))
    ours = resample(Image(values[None, None], moving), fixed, transform, mode=mode, outside=OUTSIDE)
    theirs = sitk.Resample(
        to_sitk(values, moving),
        to_sitk(torch.zeros(fixed.shape), fixed),
        to_itk_transform(transform),
        MODES[mode],
        OUTSIDE,
        sitk.sitkFloat64,
    )
    expected = torch.from_numpy(sitk.GetArrayFromImage(theirs).T.copy())
    inside, outside = where_sure(voxels_read(fixed, moving, transform), moving, mode)
    got = ours.data[0, 0].double()
    assert torch.equal(got[outside], torch.full_like(got[outside], OUTSIDE))
    assert torch.equal(expected[outside], got[outside])
    assert float((got - expected)[inside].abs().max() if inside.any() else 0.0) <= 1e-5


@pytest.mark.parametrize("ndim", [2, 3])
@given(data=st.data())
@settings(max_examples=25)
def test_labels_keep_large_ids(ndim: int, data: st.DataObject) -> None:
    fixed, moving, transform = near_each_other(ndim, data)
    ids = torch.tensor([0, 3, 614454277, 614454278])
    values = ids[torch.randint(4, moving.shape, generator=torch.Generator().manual_seed(0))]
    ours = resample_labels(Labels(values[None, None], moving), fixed, transform, outside=9)
    theirs = sitk.Resample(
        to_sitk(values.to(torch.int32), moving),
        to_sitk(torch.zeros(fixed.shape), fixed),
        to_itk_transform(transform),
        sitk.sitkNearestNeighbor,
        9,
    )
    expected = torch.from_numpy(sitk.GetArrayFromImage(theirs).T.astype(np.int64))
    inside, outside = where_sure(voxels_read(fixed, moving, transform), moving, "nearest")
    sure = inside | outside
    assert torch.equal(ours.data[0, 0][sure], expected[sure])


@pytest.mark.parametrize("mode", MODES)
def test_a_head_at_one_millimetre(mode: str) -> None:
    """As large as what is registered, and as textured: rounding grows with the number of voxels.

    float32 places a sample in 190 voxels to about 1e-5 of a voxel, so in white noise, where neighbours differ
    by the whole range, linear values are out by up to 1.7e-5 of it; here they differ by a part of it.
    """
    moving = Grid.from_spacing((182, 30, 190), (1.0, 1.2, 0.9))
    fixed = Grid.from_spacing((40, 41, 42), (4.0, 0.8, 4.0))
    transform = Linear(
        torch.tensor(
            [[0.98, -0.12, 0.1, 2.3], [0.11, 0.99, -0.02, 0.7], [-0.09, 0.03, 1.01, -3.1], [0, 0, 0, 1]],
            dtype=torch.float64,
        )
    )
    noise = torch.rand(1, 1, *moving.shape, generator=torch.Generator().manual_seed(0))
    values = torch.nn.functional.avg_pool3d(noise, 3, stride=1, padding=1)[0, 0]
    values = (values - values.min()) / (values.max() - values.min())
    ours = resample(Image(values[None, None], moving), fixed, transform, mode=mode)
    theirs = sitk.Resample(
        to_sitk(values, moving),
        to_sitk(torch.zeros(fixed.shape), fixed),
        to_itk_transform(transform),
        MODES[mode],
    )
    expected = torch.from_numpy(sitk.GetArrayFromImage(theirs).T.copy())
    inside, _ = where_sure(voxels_read(fixed, moving, transform), moving, mode)
    assert int(inside.sum()) > 10_000
    assert float((ours.data[0, 0] - expected)[inside].abs().max()) <= 1e-5
