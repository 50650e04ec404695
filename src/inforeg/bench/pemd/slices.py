"""Slices of patients and heads in three contrasts, each subject in one split."""

from pathlib import Path

import torch

from inforeg import io
from inforeg.bench.deformable.anatomy import brain_of
from inforeg.bench.deformable.sets import HEADS
from inforeg.bench.ditr.pairs import CONTRASTS, LEARNT, TESTED, made_up, patient, t1_of, write_table
from inforeg.image import Image, Labels
from inforeg.space import Grid
from inforeg.train.listing import Split

# What is chosen by is one patient and one head; those that are tested on are nothing else.
_VALIDATED = (LEARNT[1], HEADS[-1])
# Slices over so much of the brain's height, about its middle.
_SLICES, _HEIGHT = 12, 0.6


def write_slices(data: Path, folder: Path) -> Path:
    """Write axial slices of 1 mm of every subject, T1, T2 and FLAIR, and their table; returns the table.

    The T2 and FLAIR of heads of OASIS are painted from their labels; those of patients are real.
    """
    table = folder / "slices.csv"
    if table.is_file():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, Split]] = []
    for name in (*LEARNT, *HEADS, *TESTED):
        split: Split = "test" if name in TESTED else "validation" if name in _VALIDATED else "train"
        first = t1_of(data, name)
        images = {"T1": first}
        for contrast in CONTRASTS:
            images[contrast] = (patient if "/" in name else made_up)(data, name, contrast)
        for number, place in enumerate(places(first, _SLICES)):
            for contrast, image in images.items():
                called = f"{Path(name).name}-{number:02d}"
                path = folder / f"{called}_{contrast}.nii"
                io.write_image(slice_of(image, place), path, overwrite=True)
                rows.append((called, contrast, path.name, split))
    return write_table(rows, table)


def places(t1: Image, count: int) -> list[int]:
    """Which axial slices of a head are taken."""
    high = brain_of(t1).nonzero()[:, 2].double()
    middle, reach = float(high.mean()), 0.5 * _HEIGHT * float(high.max() - high.min())
    return [round(middle - reach + 2 * reach * number / (count - 1)) for number in range(count)]


def slice_of(image: Image, place: int) -> Image:
    """One axial slice."""
    return Image(image.data[..., place].contiguous(), _flat(image.grid), image.name)


def slice_of_labels(labels: Labels, place: int) -> Labels:
    """The same of labels."""
    return Labels(labels.data[..., place].contiguous(), _flat(labels.grid))


def _flat(grid: Grid) -> Grid:
    matrix = torch.diag(torch.tensor([*grid.spacing_mm[:2].tolist(), 1.0], dtype=torch.float64))
    return Grid(grid.shape[:2], matrix)
