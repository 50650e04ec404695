"""A folder of small made-up images under the names that the sets read, and what the runner needs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from phantoms import field_of_view, phantom

from inforeg.bench.drmime import run, sets_folder, sets_wheel
from inforeg.image import Image
from inforeg.io import write_image
from inforeg.space import Grid

# Where dots lie in the made-up sections, in pixels, and how the second lies to the first.
DOTS = [(40, 30), (120, 28), (60, 80), (30, 100), (140, 90), (100, 60), (84, 104)]
SECOND = torch.tensor([[0.95, 0.04, 3.0], [-0.05, 0.97, 6.0]], dtype=torch.float64)


@pytest.fixture(autouse=True)
def threads_and_caches_as_found() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
    for kept in (
        run._case,
        sets_folder._kidney,
        sets_folder._slices,
        sets_folder._volumes,
        sets_wheel._fundus,
        sets_wheel._stains,
    ):
        kept.cache_clear()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name in ("histology", "itk2d", "ms", "brats"):
        (folder / name).mkdir()
    _slices(folder)
    _brains(folder)
    _sections(folder)
    return folder


def _slices(folder: Path) -> None:
    for name, contrast in zip(sets_folder.SLICES, ("t1", "pd"), strict=True):
        picture = phantom(field_of_view(2, 1.5), contrast, noise=0.0)
        # Where a picture lies that says nothing of it.
        grid = Grid(picture.grid.shape, torch.diag(torch.tensor([-1.0, -1.0, 1.0])))
        write_image(Image((200 * picture.data).clamp(0, 255), grid), folder / name, dtype="uint8")


def _brains(folder: Path) -> None:
    contrasts = {"T1": "t1", "T2": "t2", "FLAIR": "pd"}
    volumes = {name: phantom(field_of_view(3, 6.0), kind, noise=0.0) for name, kind in contrasts.items()}
    for name in sets_folder.brain_files():
        write_image(volumes[name.removesuffix(".nii.gz").rpartition("_")[2]], folder / name)


def _sections(folder: Path) -> None:
    """White pictures with dark dots of different colours, at the places that the tables say."""
    dots = torch.tensor(DOTS, dtype=torch.float64)
    moved = dots @ SECOND[:, :2].T + SECOND[:, 2]
    for name, centres, shape in zip(sets_folder.KIDNEY, (dots, moved), ((170, 124), (164, 130)), strict=True):
        x, y = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")
        places = torch.stack((x, y), dim=-1)
        paper = torch.full((*shape, 3), 240.0, dtype=torch.float64)
        for n, centre in enumerate(centres):
            near = torch.exp(-((places - centre).square().sum(-1)) / (2 * 3.0**2))
            paper -= near[..., None] * torch.tensor([150.0 - 10 * n, 120.0, 90.0 + 10 * n])
        picture = sitk.GetImageFromArray(
            paper.round().clamp(0, 255).to(torch.uint8).permute(1, 0, 2).numpy(), isVector=True
        )
        sitk.WriteImage(picture, str(folder / f"{name}.jpg"), useCompression=True, compressionLevel=100)
        rows = [f"{n},{px:.3f},{py:.3f}" for n, (px, py) in enumerate(centres.tolist(), 1)]
        # The first table has landmarks that the second has not, at its end.
        extra = ["8,90,40"] if name == sets_folder.KIDNEY[0] else []
        (folder / f"{name}.csv").write_text("\n".join([",X,Y", *rows, *extra]) + "\n")
