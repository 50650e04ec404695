from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg.image import Image
from inforeg.io import write_image
from inforeg.space import Grid
from inforeg.transforms import Linear


class Scene(NamedTuple):
    """Two volumes of one head, in memory and as files, and what lies between them."""

    fixed: Image
    moving: Image
    truth: Linear
    folder: Path


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Small sums lose more than they gain by being shared out."""


def view(ndim: int, spacing_mm: float, origin_mm: float) -> Grid:
    """A grid whose numbers every format holds exactly."""
    d = ndim
    matrix = torch.eye(d + 1, dtype=torch.float64) * spacing_mm
    # Pictures have no header but their spacing: their first pixel is the world's origin, and both axes are flipped.
    matrix[:d, d] = origin_mm
    matrix[d, d] = 1.0
    return Grid((round(-2 * origin_mm / spacing_mm),) * d, matrix)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("scene")
    truth = turn(35.0, 3, (9.0, -6.0, 4.0), seed=3)
    fixed = phantom(view(3, 5.0, -87.5))
    moving = phantom(view(3, 5.25, -94.5), "t2", truth, seed=5)
    write_image(fixed, folder / "t1.nii.gz")
    write_image(moving, folder / "t2.nii.gz")
    return Scene(fixed, moving, truth, folder)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The same in 2-D: a grey one and one in colour, eight bits each."""
    folder = tmp_path_factory.mktemp("pictures")
    grid = field_of_view(2, 2.0)
    matrix = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    place = Grid(grid.shape, matrix)
    truth_mm = turn(20.0, 2, (6.0, -9.0))
    fixed, moving = phantom(grid), phantom(grid, "t2", truth_mm, seed=5)
    grey = Image((fixed.data * 200 + 20).clamp(0, 255).round(), place, dtype="uint8")
    tones = torch.tensor([180.0, 150.0, 90.0])[:, None, None]
    colour = Image((moving.data * tones + 30).clamp(0, 255).round(), place, dtype="uint8")
    write_image(grey, folder / "grey.png", dtype="uint8")
    write_image(colour, folder / "colour.png", dtype="uint8")
    to_place = place.voxel_to_world @ grid.world_to_voxel
    truth = Linear(to_place @ truth_mm.matrix @ torch.linalg.inv(to_place))
    return Scene(grey, colour, truth, folder)
