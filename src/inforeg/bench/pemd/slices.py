"""Slices of patients and heads in three contrasts, each subject in one split."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from inforeg import io
from inforeg.bench.deformable.anatomy import at_spacing, brain_of
from inforeg.bench.deformable.sets import HEADS
from inforeg.bench.ditr.pairs import CONTRASTS, LEARNT, TESTED, made_up, patient, t1_of, write_table
from inforeg.image import Image, Labels
from inforeg.space import Grid
from inforeg.train.listing import Split

# What is chosen by is one patient and one head; those that are tested on are nothing else.
_VALIDATED = (LEARNT[1], HEADS[-1])
# Slices over so much of the brain's height, about its middle.
_SLICES, _HEIGHT = 12, 0.6
_VOLUMES_MM = 3.0


def write_slices(data: Path, folder: Path) -> Path:
    """Write axial slices of 1 mm of every subject, T1, T2 and FLAIR, and their table; returns the table.

    The T2 and FLAIR of heads of OASIS are painted from their labels; those of patients are real.
    """

    def slices(called: str, images: dict[str, Image]) -> Iterator[tuple[str, str, Image]]:
        for number, place in enumerate(places(brain_of(images["T1"]), _SLICES)):
            for contrast, image in images.items():
                yield f"{called}-{number:02d}", contrast, slice_of(image, place)

    return _written(data, folder / "slices.csv", slices)


def write_volumes(data: Path, folder: Path) -> Path:
    """The same of whole volumes, of 3 mm."""

    def volumes(called: str, images: dict[str, Image]) -> Iterator[tuple[str, str, Image]]:
        for contrast, image in images.items():
            yield called, contrast, at_spacing(image, _VOLUMES_MM)

    return _written(data, folder / "volumes.csv", volumes)


def _written(
    data: Path, table: Path, cut: Callable[[str, dict[str, Image]], Iterable[tuple[str, str, Image]]]
) -> Path:
    """Write what is cut of every subject, and the table of it; nothing where that is there."""
    if table.is_file():
        return table
    table.parent.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, Split]] = []
    for name in (*LEARNT, *HEADS, *TESTED):
        split: Split = "test" if name in TESTED else "validation" if name in _VALIDATED else "train"
        images = {"T1": t1_of(data, name)}
        for contrast in CONTRASTS:
            images[contrast] = (patient if "/" in name else made_up)(data, name, contrast)
        for called, contrast, image in cut(Path(name).name, images):
            path = table.with_name(f"{called}_{contrast}.nii")
            io.write_image(image, path, overwrite=True)
            rows.append((called, contrast, path.name, split))
    return write_table(rows, table)


def places(brain: Tensor, count: int) -> list[int]:
    """Which axial slices of a head are taken, by where its brain is."""
    high = brain.nonzero()[:, 2].double()
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
