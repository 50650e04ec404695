"""A folder of small made-up heads under the names that the sets read."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from phantoms import field_of_view, phantom

from inforeg.bench.deformable import sets
from inforeg.image import Image, Labels
from inforeg.io import write_image, write_labels
from inforeg.space import Grid
from inforeg.transforms import Linear

# The sets take their images to be at 1 mm: so the small heads are a few centimetres long.
RADIUS_MM = 16.0


@pytest.fixture(autouse=True)
def threads_and_caches_as_found() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    sets._image.cache_clear()
    sets._labels.cache_clear()


def small_grid() -> Grid:
    return field_of_view(3, 1.0, half_mm=21.0)


def stripped(contrast: str, transform: Linear | None = None, seed: int = 0) -> Image:
    """A head without noise in its air."""
    grid = small_grid()
    image = phantom(grid, contrast, transform, radius_mm=RADIUS_MM, noise=0.0, seed=seed)
    where = grid.points_mm() if transform is None else transform.inverse()(grid.points_mm())
    inside = (where.norm(dim=1) < 0.95 * RADIUS_MM).reshape(1, 1, *grid.shape)
    return Image(torch.where(inside, 1000 * image.data.clamp(min=0.02), 0.0), grid)


def head(transform: Linear) -> tuple[Image, Labels]:
    """A T1 whose classes are shells about points beside the middle, with the phantom's texture, and its labels."""
    texture = stripped("t1", transform)
    here = transform.inverse()(texture.grid.points_mm())
    air = (texture.data == 0).reshape(-1)
    ids, values = torch.full(air.shape, 100), torch.full(air.shape, 500.0)
    for id_, radius_mm, value, middle in (
        (44, 12.0, 900.0, 1.0),
        (57, 8.0, 650.0, -2.0),
        (51, 5.0, 150.0, 2.0),
    ):
        inside = (here - middle).norm(dim=1) < radius_mm
        ids[inside], values[inside] = id_, value
    ids[air] = 0
    signal = torch.where(air, 0.0, values + 0.4 * texture.data.reshape(-1))
    shape = (1, 1, *texture.grid.shape)
    return Image(signal.reshape(shape), texture.grid), Labels(ids.reshape(shape), texture.grid)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for name in ("ms", "brats", "oasis"):
        (folder / name).mkdir()
    contrasts = {"T1": "t1", "T2": "t2", "FLAIR": "pd", "T1POST": "t1"}
    for n, patient in enumerate(("ms/ms07", "brats/gli00001", "ms/ms19", "brats/met00110")):
        turn = Linear.translation(torch.tensor([0.6 * n, -0.4 * n, 0.3], dtype=torch.float64))
        for name, contrast in contrasts.items():
            write_image(stripped(contrast, turn, n), folder / f"{patient}_{name}.nii.gz", dtype="int16")
    for n, name in enumerate(sets.HEADS):
        image, labels = head(Linear.translation(torch.tensor([1.5 * n, -n, 0.5 * n], dtype=torch.float64)))
        write_image(image, folder / "oasis" / f"{name}_T1.nii.gz", dtype="int16")
        write_labels(labels, folder / "oasis" / f"{name}_labels.nii.gz")
    # The affine transforms between them, where they are not to be found first.
    (folder / "affines").mkdir()
    shift = Linear.translation(torch.tensor([1.5, -1.0, 0.5], dtype=torch.float64))
    for still, moved in ((sets.HEADS[0], sets.HEADS[1]), (sets.HEADS[1], sets.HEADS[2])):
        text = json.dumps({"fixed_to_moving_ras_mm": shift.matrix.tolist()})
        (folder / "affines" / f"{still}-{moved}.json").write_text(text, encoding="utf-8")
    return folder
