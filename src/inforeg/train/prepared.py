"""Scans as a network sees them: brought to one reference, on the canonical grid, and kept for the next run."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from inforeg.errors import InforegError, ReadError
from inforeg.image import Image, Labels
from inforeg.image.checks import looks_like_labels
from inforeg.image.coarse import object_of
from inforeg.io import atomic_path, read_image, read_labels
from inforeg.methods import named
from inforeg.nets.canonical import Canonical, labels_on, seen_on
from inforeg.train.listing import Scan, Split
from inforeg.train.recipe import Recipe
from inforeg.transforms import Linear

_VERSION = 1


@dataclass(frozen=True, eq=False)
class Prepared:
    """A scan on the canonical grid: an image `(1, *shape)` of 0 to 1, labels `(1, *fine)`, int32, or both.

    The labels' grid is `finer` times finer than the image's, over the same field of view.
    """

    subject: str
    contrast: str
    split: Split
    image: Tensor | None
    labels: Tensor | None
    finer: int = 1

    @property
    def name(self) -> str:
        """What it is called in logs and files."""
        return f"{self.subject}_{self.contrast or 'labels'}"


def prepare(
    scans: Sequence[Scan], recipe: Recipe, folder: Path, say: Callable[[str], None] = lambda _line: None
) -> list[Prepared]:
    """All scans on the canonical grid, by a linear start onto the reference where the recipe asks for one.

    What was prepared before, of the same files and settings, is read from `folder`. A scan that cannot be read or
    registered raises `ReadError`, which names it.
    """
    canonical = recipe.canonical
    first = next((scan for scan in scans if scan.split == "train"), scans[0])
    by = Path(recipe.reference) if recipe.reference else first.image or first.labels
    assert by is not None
    reference: Image | None = None
    found = []
    for number, scan in enumerate(scans, start=1):
        path = folder / f"{number:04d}-{_digest(scan, by, recipe)}.safetensors"
        if not path.exists():
            if reference is None:
                reference = _reference(by, recipe)
            try:
                made = _prepared(scan, reference, canonical, recipe)
            except InforegError as error:
                raise ReadError(f"cannot prepare {scan.name}: {error}") from error
            _keep(made, path)
            say(f"{scan.name} is on the canonical grid [{len(scans) - number} left]")
        found.append(_kept(scan, path))
    return found


def _prepared(scan: Scan, reference: Image, canonical: Canonical, recipe: Recipe) -> Prepared:
    image = None if scan.image is None else read_image(scan.image)
    labels = None if scan.labels is None else _without(read_labels(scan.labels), recipe.ignore)
    grid = canonical.around(object_of(reference).centre_mm)
    to_scan = Linear.identity(grid.ndim)
    shown = image if image is not None else _shown(labels, recipe)
    if shown.grid.ndim != grid.ndim:
        raise ReadError(
            f"expected {grid.ndim} axes, as the reference and the recipe's shape have, got {shown.grid.ndim}"
        )
    if recipe.start != "header":
        method = named("linear", "rigid" if recipe.start == "rigid" else "rigid+affine", seed=0)
        result = method(reference, shown)
        if result.quality.verdict == "failed":
            raise ReadError(
                f"its linear start onto the reference failed ({'; '.join(result.quality.reasons)})"
            )
        assert isinstance(result.transform, Linear)
        to_scan = result.transform
    seen = None if image is None else seen_on(image, canonical, grid, to_scan).data[0]
    fine, finer = (None, 1) if labels is None else labels_on(labels, canonical, grid, to_scan)
    return Prepared(scan.subject, scan.contrast, scan.split, seen, fine, finer)


def _reference(path: Path, recipe: Recipe) -> Image:
    """The reference as an image; a label map, which says so by its few whole numbers, in shades of grey."""
    image = read_image(path)
    if looks_like_labels(image):
        image = _shown(read_labels(path), recipe)
    if image.grid.ndim != len(recipe.shape):
        raise ReadError(
            f"expected a reference of {len(recipe.shape)} axes, as the recipe's shape has, got {path}"
        )
    return image


def _shown(labels: Labels | None, recipe: Recipe) -> Image:
    """A label map as an image: a grey of its own for each label, the same in every map; mutual information asks no
    more. What may be hidden is not aligned by."""
    assert labels is not None
    labels = _without(labels, [*recipe.ignore, *(label for group in recipe.hidden for label in group)])
    # Fractions of the golden ratio: near numbers get greys far apart, and none is twice there.
    grey = 0.2 + 0.8 * torch.frac(labels.data.double() * 0.6180339887)
    return Image(torch.where(labels.data == 0, 0.0, grey).float(), labels.grid, labels.name)


def _without(labels: Labels, ignored: Sequence[int]) -> Labels:
    if not ignored:
        return labels
    gone = torch.isin(labels.data, torch.tensor(ignored))
    return Labels(labels.data.masked_fill(gone, 0), labels.grid, labels.name, labels.dtype)


def _digest(scan: Scan, reference: Path, recipe: Recipe) -> str:
    said: list[object] = [
        _VERSION,
        recipe.start,
        recipe.shape,
        recipe.spacing_mm,
        recipe.ignore,
        recipe.hidden,
    ]
    for path in (reference, scan.image, scan.labels):
        stat = None if path is None else path.stat()
        said.append(None if stat is None else (str(path), stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _keep(made: Prepared, path: Path) -> None:
    tensors = {} if made.image is None else {"image": made.image.half()}
    if made.labels is not None:
        tensors["labels"] = made.labels.to(torch.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=True) as temporary:
        save_file(tensors, temporary, {"finer": str(made.finer)})


def _kept(scan: Scan, path: Path) -> Prepared:
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        finer = int((file.metadata() or {}).get("finer", "1"))
    image = tensors.get("image")
    return Prepared(
        scan.subject,
        scan.contrast,
        scan.split,
        None if image is None else image.float(),
        tensors.get("labels"),
        finer,
    )
