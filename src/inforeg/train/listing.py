"""Which images there are to learn from: read from a table, or from the names in a folder."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from inforeg.errors import ReadError

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
COLUMNS = ("subject", "contrast", "image", "labels", "split")

_ENDINGS = (".nii.gz", ".nii", ".mgz", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff", ".jpg", ".jpeg")
_LABELS = re.compile(r"labels?|seg|dseg|aseg|parc", re.IGNORECASE)


@dataclass(frozen=True)
class Scan:
    """An image of a subject, a label map, or both: then the map is of that image."""

    subject: str
    contrast: str
    image: Path | None
    labels: Path | None
    split: Split = "train"

    @property
    def name(self) -> str:
        """What it is called in logs and files."""
        return f"{self.subject}_{self.contrast or 'labels'}"


def read_scans(source: Path, seed: int = 0, validation: float = 0.15, test: float = 0.15) -> list[Scan]:
    """The scans of a table (.csv, .tsv) or a folder, each with the split its subject is in.

    A table has the columns `subject` and `image` or `labels`, and may have `contrast` and `split` (train, validation,
    test); paths are relative to the table. In a folder, files are called `subject_contrast` with an image's ending,
    and `subject_labels` (or `_seg`) is the label map of all of the subject's images. Where no split is given, whole
    subjects are drawn for validation and test by the seed, these shares of them.

    Raises `ReadError` for a table or folder that does not say what is needed, and files that are not there.
    """
    if source.is_dir():
        scans = _from_folder(source)
        given = False
    else:
        scans, given = _from_table(source)
    if not scans:
        raise ReadError(
            f"expected images in {source}, found none; see the tutorial on training for how to list them"
        )
    for scan in scans:
        for path in (scan.image, scan.labels):
            if path is not None and not path.exists():
                raise ReadError(f"{source} names {path}, which is not there")
    return scans if given else _split(scans, seed, validation, test)


def _from_table(source: Path) -> tuple[list[Scan], bool]:
    try:
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"cannot read the table of images {source}: {error}") from None
    reader = csv.DictReader(text.splitlines(), delimiter="\t" if source.suffix.lower() == ".tsv" else ",")
    names = [name.strip() for name in reader.fieldnames or ()]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "subject" not in names or not {"image", "labels"} & set(names):
        raise ReadError(
            f"expected a table with the columns {', '.join(COLUMNS)} (subject, and image or labels, are needed) in"
            f" {source}, got {', '.join(names) or 'none'}"
        )
    scans = []
    for number, row in enumerate(reader, start=2):
        cells = {str(key).strip(): (value or "").strip() for key, value in row.items() if key is not None}
        if not any(cells.values()):
            continue
        paths = {
            name: source.parent / cells[name] if cells.get(name) else None for name in ("image", "labels")
        }
        split = cells.get("split") or "train"
        if not cells["subject"] or not any(paths.values()):
            raise ReadError(f"{source}, line {number}: expected a subject and an image or labels")
        if split not in SPLITS:
            raise ReadError(f"{source}, line {number}: expected split {', '.join(SPLITS)}, got {split!r}")
        scans.append(
            Scan(cells["subject"], cells.get("contrast", ""), paths["image"], paths["labels"], split)
        )
    held: dict[str, Split] = {}
    for scan in scans:
        if held.setdefault(scan.subject, scan.split) != scan.split:
            raise ReadError(
                f"{source} has subject {scan.subject} in two splits, {held[scan.subject]} and {scan.split};"
                " what is tested must not be learnt from"
            )
    return scans, "split" in names


def _from_folder(folder: Path) -> list[Scan]:
    images: list[Scan] = []
    maps: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        ending = next((e for e in _ENDINGS if path.name.lower().endswith(e)), None)
        if ending is None or not path.is_file():
            continue
        subject, _, contrast = path.name[: -len(ending)].rpartition("_")
        if not subject:
            subject, contrast = contrast, ""
        if _LABELS.fullmatch(contrast):
            maps[subject] = path
        else:
            images.append(Scan(subject, contrast, path, None))
    with_maps = [replace(scan, labels=maps.get(scan.subject)) for scan in images]
    alone = set(maps) - {scan.subject for scan in images}
    return with_maps + [Scan(subject, "", None, maps[subject]) for subject in sorted(alone)]


def _split(scans: Sequence[Scan], seed: int, validation: float, test: float) -> list[Scan]:
    subjects = sorted({scan.subject for scan in scans})
    order = torch.randperm(len(subjects), generator=torch.Generator().manual_seed(seed)).tolist()
    counts = [round(share * len(subjects)) for share in (validation, test)]
    # A pair takes two subjects; where two are left to learn from, two are held back.
    if validation > 0:
        counts[0] = max(counts[0], 2) if len(subjects) >= 4 + counts[1] else 0
    splits: dict[str, Split] = {}
    for place, index in enumerate(order):
        splits[subjects[index]] = (
            "validation" if place < counts[0] else "test" if place < sum(counts) else "train"
        )
    return [replace(scan, split=splits[scan.subject]) for scan in scans]
