"""Heads to learn from and heads held back; and the pairs that everything is tried on."""

import csv
from pathlib import Path

from inforeg.bench.deformable.case import Case
from inforeg.bench.deformable.sets import PairSet, Source, heads, patients
from inforeg.io import atomic_path

# Heads of OASIS by what they are for; those held back have a T1, so that they are real.
HELD_BACK = ("oasis1008", "oasis1012", "oasis1017")
VALIDATION = ("oasis1001", "oasis1005", "oasis1009")
LEARNT = (
    *("oasis1000", "oasis1002", "oasis1003", "oasis1004", "oasis1006", "oasis1007", "oasis1010", "oasis1011"),
    *("oasis1013", "oasis1014", "oasis1015"),
)
REFERENCE = "oasis/oasis1000_T1.nii.gz"
_PAIRS = [(a, b) for a in HELD_BACK for b in HELD_BACK if a != b]
_PATIENTS = (
    ("ms/ms07", "ms/ms19", "T1", "FLAIR"),
    ("ms/ms19", "ms/ms07", "T1", "FLAIR"),
)


def mono(number: int, source: Source) -> Case:
    """Two heads held back, T1 to T1."""
    return heads("mono", number, _PAIRS[number], source, None)


def multi(number: int, source: Source) -> Case:
    """Two heads held back, T1 and a made-up FLAIR."""
    return heads("multi", number, _PAIRS[number], source, "FLAIR")


def flair(number: int, source: Source) -> Case:
    """Two patients whom no network has seen, T1 and their real FLAIR, with the tissues of their T1."""
    return patients("flair", number, _PATIENTS[number], source)


_HEADS = tuple(f"oasis/{name}_{kind}.nii.gz" for name in HELD_BACK for kind in ("T1", "labels"))

SETS: dict[str, PairSet] = {
    "multi": PairSet("heads held back, T1 to a made-up FLAIR, manual labels", len(_PAIRS), _HEADS, multi),
    "mono": PairSet("heads held back, T1 to T1, manual labels", len(_PAIRS), _HEADS, mono),
    "flair": PairSet(
        "patients, T1 to real FLAIR, tissues of their T1",
        len(_PATIENTS),
        tuple(f"ms/ms{n}_{kind}.nii.gz" for n in ("07", "19") for kind in ("T1", "FLAIR")),
        flair,
    ),
}


def write_table(data: Path, path: Path) -> None:
    """The table of images to learn from, with its splits; heads held back are in it as such, and never read."""
    splits = (("train", LEARNT), ("validation", VALIDATION), ("test", HELD_BACK))
    with (
        atomic_path(path, overwrite=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        rows = csv.writer(file)
        rows.writerow(("subject", "contrast", "image", "labels", "split"))
        for split, names in splits:
            for name in names:
                image, labels = (
                    data.resolve() / "oasis" / f"{name}_{kind}.nii.gz" for kind in ("T1", "labels")
                )
                there = image.is_file()
                rows.writerow((name, "T1" if there else "", image if there else "", labels, split))
