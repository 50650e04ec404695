"""Grids that lie in the world in every way a grid can."""

import pytest
import torch
from strategies import rotation

from inforeg.space import Grid


def placed(shape: tuple[int, ...], axes: torch.Tensor, origin: tuple[float, ...]) -> Grid:
    """A grid with these columns as steps from voxel to voxel."""
    d = len(shape)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = axes
    matrix[:d, d] = torch.tensor(origin)
    return Grid(shape, matrix)


def steps(*spacing_mm: float) -> torch.Tensor:
    return torch.diag(torch.tensor(spacing_mm, dtype=torch.float64))


SHEAR = torch.tensor([[1.0, 0.25, 0.1], [0.0, 1.0, -0.2], [0.0, 0.0, 1.0]], dtype=torch.float64)
GRIDS = {
    "straight 2-D": placed((23, 17), steps(1.5, 2.0), (-10.0, 4.0)),
    "flipped 2-D": placed((23, 17), steps(-1.5, 2.0).flip(1), (8.0, -3.0)),
    "oblique 2-D": placed((23, 17), rotation([0.4]) @ steps(1.5, 2.0), (3.0, 2.0)),
    "sheared 2-D": placed((23, 17), SHEAR[:2, :2] @ steps(1.5, 2.0), (1.0, 7.0)),
    "straight 3-D": placed((11, 9, 13), steps(2.0, 2.5, 1.5), (0.0, 0.0, 0.0)),
    "oblique and flipped 3-D": placed(
        (11, 9, 13), rotation([0.3, -0.2, 0.5]) @ steps(2.0, -2.5, 1.5), (-4.0, 9.0, 30.0)
    ),
    "sheared 3-D": placed(
        (11, 9, 13), rotation([0.3, 0.1, -0.4]) @ SHEAR @ steps(2.0, 2.5, 1.5), (5.0, 5.0, -5.0)
    ),
    "one slice": placed((15, 1, 12), steps(2.0, 6.0, 2.0), (2.0, -1.0, 0.0)),
}


@pytest.fixture(params=GRIDS.values(), ids=GRIDS.keys())
def grid(request: pytest.FixtureRequest) -> Grid:
    found: Grid = request.param
    return found
