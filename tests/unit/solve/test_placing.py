"""Where positions fall among voxels, and how they move there, beside the transform's own answer."""

import pytest
import torch
from phantoms import pose

from inforeg.solve.placing import along, lift, place
from inforeg.space import Grid
from inforeg.transforms import Linear, group

RADIUS_MM = 30.0


def oblique(ndim: int) -> Grid:
    """Voxels of unlike sides on axes that are turned and shifted."""
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim, :ndim] = pose("rigid", ndim, 0.4, seed=3).matrix[:ndim, :ndim] @ torch.diag(
        torch.tensor([1.5, 2.5, 4.0][:ndim], dtype=torch.float64)
    )
    matrix[:ndim, ndim] = torch.tensor([-30.0, 12.0, 7.0][:ndim], dtype=torch.float64)
    return Grid((40, 30, 20)[:ndim], matrix)


def frame_of(ndim: int) -> torch.Tensor:
    """Positions are counted in radii from a centre."""
    centre = torch.tensor([5.0, -4.0, 3.0][:ndim], dtype=torch.float64)
    return group("rigid", ndim).frame(centre, RADIUS_MM)


def positions(ndim: int) -> torch.Tensor:
    return torch.rand((50, ndim), generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("name", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_positions_fall_where_the_transform_takes_them(ndim: int, name: str) -> None:
    """Within a thousandth of a voxel, in single precision."""
    grid, frame, points, there = oblique(ndim), frame_of(ndim), positions(ndim), pose(name, ndim, 0.2)
    voxel, jacobian = place(grid, there, frame, points)
    expected = grid.to_voxel(there(Linear(frame)(points.double())))
    assert float((voxel - expected).abs().max()) < 1e-3
    assert jacobian.shape == ((ndim, ndim) if name == "affine" else (50, ndim, ndim))


@pytest.mark.parametrize("name", ["affine", "projective"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_slopes_are_those_of_the_way_there(ndim: int, name: str) -> None:
    """Within a part in ten thousand of what automatic differentiation finds in double precision."""
    grid, frame, points, there = oblique(ndim), frame_of(ndim), positions(ndim), pose(name, ndim, 0.2)
    pulls = torch.randn((50, ndim), generator=torch.Generator().manual_seed(2))
    found = along(pulls, place(grid, there, frame, points)[1])
    free = points.double().requires_grad_()
    total = (pulls * grid.to_voxel(there(Linear(frame)(free)))).sum()
    (expected,) = torch.autograd.grad(total, free)
    assert float((found - expected).abs().max()) < 1e-4 * float(expected.abs().max())


@pytest.mark.parametrize("name", ["rigid", "affine", "projective"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_products_with_positions_give_the_slope_along_every_generator(ndim: int, name: str) -> None:
    """The same as slopes times how points move when a parameter leaves zero, the division of a projection with it."""
    which, points = group(name, ndim), positions(ndim)
    slopes = torch.randn((50, ndim), generator=torch.Generator().manual_seed(2))
    found = lift(slopes, points) @ which.generators.reshape(which.size, -1).T.float()
    expected = torch.einsum("nd,ndk->nk", slopes, which.velocities(points))
    assert found.shape == (50, which.size)
    assert torch.allclose(found, expected, atol=1e-5)
