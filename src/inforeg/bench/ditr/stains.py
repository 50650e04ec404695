"""A second domain, in two dimensions: the nuclei's stain of a section against the antibody's, one half for each split.

Haematoxylin and DAB of scikit-image's `ihc.png`, unmixed. What a metric learns from is the left half of the picture,
and what it is tested on the right one.
"""

from functools import lru_cache
from pathlib import Path

import torch

from inforeg import io
from inforeg.bench.ditr.pairs import misaligned, placed, write_table
from inforeg.bench.drmime.changes import generator_for
from inforeg.bench.drmime.sets_wheel import missing, section
from inforeg.image import Image, resample
from inforeg.space import Grid
from inforeg.train.listing import Split
from inforeg.transforms import Linear

STAINS = ("haematoxylin", "DAB")
# Misalignments that are learnt from, and pixels a side of what is registered.
_LEARNT, _FIXED, _MOVING = 12, 160, 224
# Of the published misalignments, in pixels here: cells are some 15 pixels wide, and what is off by more is not roughly
# aligned.
_SHARE = 0.4


def write_stains(folder: Path) -> Path:
    """Write the left half's pairs, each misaligned in its header, and their table; returns the table."""
    table = folder / "stains.csv"
    if table.is_file():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    nuclei, antibody = (_half(image, left=True) for image in _picture())
    io.write_image(nuclei, folder / "left_haematoxylin.nii", overwrite=True)
    rows: list[tuple[str, str, str, Split]] = [("left", STAINS[0], "left_haematoxylin.nii", "train")]
    for number in range(_LEARNT):
        moved = misaligned(
            "rigid", antibody.grid.centre_mm, generator_for("ditr-stains-learnt", number), _SHARE
        )
        path = folder / f"left_DAB_{number}.nii"
        io.write_image(placed(antibody, moved), path, overwrite=True)
        rows.append(("left", STAINS[1], path.name, "train"))
    return write_table(rows, table)


def stains_case(number: int) -> tuple[Image, Image, Linear, torch.Tensor]:
    """A square of the right half in one stain, the other stain about the same place, misaligned, and the truth."""
    nuclei, antibody = (_half(image, left=False) for image in _picture())
    generator = generator_for("ditr-stains", number)
    room = (nuclei.grid.extent_mm - _FIXED) / 2
    middle = nuclei.grid.centre_mm + room * (2 * torch.rand(2, generator=generator, dtype=torch.float64) - 1)
    truth = misaligned("rigid", middle, generator, _SHARE)
    fixed = resample(nuclei, _square(middle, _FIXED))
    moving = resample(antibody, _square(middle, _MOVING), truth.inverse())
    landmarks = middle + _FIXED * (torch.rand((100, 2), generator=generator, dtype=torch.float64) - 0.5)
    return fixed, moving, truth, landmarks


def no_stains() -> str:
    """Why no pairs can be made; nothing where they can."""
    return missing("ihc.png")


def _square(middle: torch.Tensor, pixels: int) -> Grid:
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2, 2] = middle - (pixels - 1) / 2
    return Grid((pixels, pixels), matrix)


def _half(image: Image, left: bool) -> Image:
    n = image.grid.shape[0] // 2
    first = 0 if left else image.grid.shape[0] - n
    matrix = image.grid.voxel_to_world.clone()
    matrix[:2, 2] = image.grid.to_world(torch.tensor([first, 0.0], dtype=torch.float64))
    data = image.data[:, :, first : first + n]
    return Image(data.contiguous(), Grid(tuple(data.shape[2:]), matrix), image.name)


@lru_cache(maxsize=1)
def _picture() -> tuple[Image, Image]:
    return section(1.0)
