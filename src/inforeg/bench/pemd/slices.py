"""Slices of patients and heads in two contrasts, each subject in one split."""

from pathlib import Path

import torch

from inforeg import io
from inforeg.bench.deformable.anatomy import brain_of
from inforeg.bench.deformable.sets import HEADS
from inforeg.bench.ditr.pairs import LEARNT, TESTED, made_up, patient, t1_of, write_table
from inforeg.image import Image
from inforeg.space import Grid
from inforeg.train.listing import Split

# What is chosen by is one patient and one head; those that are tested on are nothing else.
_VALIDATED = (LEARNT[1], HEADS[-1])
# Slices over so much of the brain's height, about its middle.
_SLICES, _HEIGHT = 12, 0.6


def write_slices(data: Path, folder: Path) -> Path:
    """Write axial slices of 1 mm of every subject, T1 and T2, and their table; returns the table.

    The T2 of heads of OASIS is painted from their labels; that of patients is real.
    """
    table = folder / "slices.csv"
    if table.is_file():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, Split]] = []
    for name in (*LEARNT, *HEADS, *TESTED):
        split: Split = "test" if name in TESTED else "validation" if name in _VALIDATED else "train"
        first = t1_of(data, name)
        second = patient(data, name, "T2") if "/" in name else made_up(data, name, "T2")
        high = brain_of(first).nonzero()[:, 2].double()
        middle, reach = float(high.mean()), 0.5 * _HEIGHT * float(high.max() - high.min())
        for number in range(_SLICES):
            place = round(middle - reach + 2 * reach * number / (_SLICES - 1))
            for contrast, image in (("T1", first), ("T2", second)):
                called = f"{Path(name).name}-{number:02d}"
                path = folder / f"{called}_{contrast}.nii"
                io.write_image(_slice(image, place), path, overwrite=True)
                rows.append((called, contrast, path.name, split))
    return write_table(rows, table)


def _slice(image: Image, place: int) -> Image:
    matrix = torch.diag(torch.tensor([*image.grid.spacing_mm[:2].tolist(), 1.0], dtype=torch.float64))
    return Image(image.data[..., place].contiguous(), Grid(image.grid.shape[:2], matrix), image.name)
