"""The sets of pairs there are, by name, and how case number n of each is made."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from inforeg import io
from inforeg.bench import chosen
from inforeg.bench.deformable.anatomy import (
    at_spacing,
    brain_of,
    in_contrast,
    labels_at,
    mask_at,
    tissues,
    within,
)
from inforeg.bench.deformable.case import Case
from inforeg.bench.deformable.heads import affine_between
from inforeg.bench.deformable.warps import random_warp, warped
from inforeg.bench.drmime.changes import generator_for
from inforeg.image import Image, Labels, resample
from inforeg.transforms import Linear

NATIVE_MM = 1.0
HEADS = ("oasis1000", "oasis1004", "oasis1008", "oasis1012", "oasis1017")
AMPLITUDES_MM = (4.0, 8.0, 2.0)
WARPS = 3

# Two contrasts have a known truth where they agree unwarped. Inside the brain, 1 cm from its rim, rigid registration
# leaves those of ms07 and ms19 within 0.5 mm and T2 and FLAIR of met00110 within 0.6. gli00001's lie 0.6 to 1.7 mm off
# each other, and met00110's T1 2 mm off its other ones: their rims agree only because one mask cut all of them.
_CONTRASTS = (
    ("ms/ms07", "T1", "T2"),
    ("ms/ms19", "T1", "FLAIR"),
    ("ms/ms07", "T1", "T1POST"),
    ("brats/met00110", "FLAIR", "T2"),
    ("ms/ms19", "T1", "T2"),
    ("ms/ms07", "T1", "FLAIR"),
    ("ms/ms19", "T1", "T1POST"),
    ("brats/met00110", "T2", "FLAIR"),
    ("brats/gli00001", "T1", "T1"),
    ("ms/ms07", "T1", "T1"),
    ("brats/met00110", "T1", "T1"),
    ("ms/ms19", "T1", "T1"),
)
_STILL = tuple(pair for pair in _CONTRASTS if pair[1] != pair[2])
_ACROSS = (
    ("ms/ms07", "ms/ms19", "T1", "T2"),
    ("ms/ms19", "ms/ms07", "T1", "T2"),
    ("ms/ms07", "ms/ms19", "T2", "T1"),
    ("ms/ms19", "ms/ms07", "T2", "T1"),
)


@dataclass(frozen=True)
class Source:
    """Where a case is made from: the folder of images, the seed, the spacing, and a folder for affine transforms."""

    data: Path
    seed: int
    spacing_mm: float
    affines: Path


@dataclass(frozen=True)
class PairSet:
    """A set: what it is, how many cases it has, the files it reads, and what makes case number n."""

    title: str
    count: int
    files: tuple[str, ...]
    make: Callable[[int, Source], Case]

    def missing(self, data: Path | None) -> str:
        """Why no case can be made, in words that say what to do; nothing where one can."""
        if data is None:
            return "needs --data, the folder of images"
        gone = [name for name in self.files if not (data / name).is_file()]
        return f"needs {gone[0]} in {data}" if gone else ""


@dataclass(frozen=True)
class KnownPair:
    """A case of known truth: a patient, the fixed and the moving contrast, the amplitude, and which warp."""

    patient: str
    fixed: str
    moving: str
    amplitude_mm: float
    warp: int


def known_pairs() -> list[KnownPair]:
    """All of them, in an order in which the first ones already differ in patient, contrasts and amplitude."""
    n = len(_CONTRASTS)
    # Each row has all pairs of contrasts; the amplitudes move on by one from row to row.
    return [
        KnownPair(*_CONTRASTS[k], AMPLITUDES_MM[(k + row) % len(AMPLITUDES_MM)], row // len(AMPLITUDES_MM))
        for row in range(len(AMPLITUDES_MM) * WARPS)
        for k in range(n)
    ]


def head_pairs() -> list[tuple[str, str]]:
    """All ordered pairs of heads, another fixed one each time."""
    n = len(HEADS)
    return [(HEADS[i % n], HEADS[(i + 1 + i // n) % n]) for i in range(n * (n - 1))]


def known(number: int, source: Source) -> Case:
    """A patient's contrast, and another contrast of the same patient in a random warp."""
    pair = known_pairs()[number]
    still, moved = (
        _image(source.data, f"{pair.patient}_{name}.nii.gz") for name in (pair.fixed, pair.moving)
    )
    brain = brain_of(still)
    # The warp is the same at every spacing.
    generator = generator_for("deformable", pair.patient, pair.amplitude_mm, pair.warp, source.seed)
    where = still.grid.to_world(brain.nonzero().double())
    warp = random_warp(still.grid, where, pair.amplitude_mm, generator)
    fixed = at_spacing(still, source.spacing_mm)
    # Interpolated once: on the fine grid at once, or thinned without interpolation afterwards.
    target = fixed.grid if source.spacing_mm < NATIVE_MM else still.grid
    moving = at_spacing(within(warped(moved, target, warp.inverse_on), moved), source.spacing_mm)
    group = f"{pair.fixed}-{pair.moving}"
    return Case(
        "known", number, group, fixed, moving, mask_at(brain, still, fixed), truth=warp.on(fixed.grid)
    )


def still(number: int, source: Source) -> Case:
    """Two contrasts of a patient as they are: what moves is the distortion of either sequence, or is made up."""
    patient, *contrasts = _STILL[number]
    fixed, moving = (_image(source.data, f"{patient}_{name}.nii.gz") for name in contrasts)
    shown = at_spacing(fixed, source.spacing_mm)
    return Case(
        "still",
        number,
        "-".join(contrasts),
        shown,
        at_spacing(moving, source.spacing_mm),
        mask_at(brain_of(fixed), fixed, shown),
        truth=Linear.identity(3),
    )


def oasis(number: int, source: Source, contrast: bool = False) -> Case:
    """Two heads with manual labels, the moving one brought to the fixed one by one affine transform for every tool."""
    kind = ("T2", "FLAIR")[number % 2] if contrast else None
    return heads("oasis-contrast" if contrast else "oasis", number, head_pairs()[number], source, kind)


def heads(set: str, number: int, pair: tuple[str, str], source: Source, contrast: str | None) -> Case:
    """A fixed and a moving head of OASIS, the moving one in a made-up contrast or as it is."""
    still, moved = pair
    fixed, moving = (_image(source.data, f"oasis/{name}_T1.nii.gz") for name in (still, moved))
    fixed_labels, moving_labels = (
        _labels(source.data, f"oasis/{name}_labels.nii.gz") for name in (still, moved)
    )
    affine = affine_between(fixed, moving, source.affines / f"{still}-{moved}.json")
    brain = brain_of(fixed)
    if contrast is not None:
        generator = generator_for("contrast", moved, contrast, source.seed)
        moving = in_contrast(moving, moving_labels, contrast, generator)
    shown = at_spacing(fixed, source.spacing_mm)
    target = shown.grid if source.spacing_mm < NATIVE_MM else fixed.grid
    brought = at_spacing(within(resample(moving, target, affine, mode="bspline"), moving), source.spacing_mm)
    return Case(
        set,
        number,
        f"T1-{contrast or 'T1'}",
        shown,
        brought,
        mask_at(brain, fixed, shown),
        fixed_labels=labels_at(fixed_labels, shown),
        moving_labels=moving_labels,
        affine=affine,
    )


def tissue(number: int, source: Source) -> Case:
    """Two patients in two contrasts, with the tissues of their T1."""
    return patients("tissue", number, _ACROSS[number], source)


def patients(set: str, number: int, pair: tuple[str, str, str, str], source: Source) -> Case:
    """A fixed and a moving patient in MNI space, and the contrast of each."""
    still, moved, fixed_contrast, moving_contrast = pair
    fixed = _image(source.data, f"{still}_{fixed_contrast}.nii.gz")
    moving = _image(source.data, f"{moved}_{moving_contrast}.nii.gz")
    seen = [_image(source.data, f"{name}_T1.nii.gz") for name in (still, moved)]
    fixed_tissues, moving_tissues = (tissues(t1, brain_of(t1)) for t1 in seen)
    shown = at_spacing(fixed, source.spacing_mm)
    return Case(
        set,
        number,
        f"{fixed_contrast}-{moving_contrast}",
        shown,
        at_spacing(moving, source.spacing_mm),
        mask_at(brain_of(seen[0]), seen[0], shown),
        fixed_labels=labels_at(fixed_tissues, shown),
        moving_labels=moving_tissues,
    )


def oasis_contrast(number: int, source: Source) -> Case:
    """As `oasis`, the moving head in a made-up T2 or FLAIR, in turn."""
    return oasis(number, source, contrast=True)


def _of_heads() -> tuple[str, ...]:
    return tuple(f"oasis/{name}_{kind}.nii.gz" for name in HEADS for kind in ("T1", "labels"))


# A set is one line here.
SETS: dict[str, PairSet] = {
    "known": PairSet(
        "one patient, known warps of 2 to 8 mm",
        len(known_pairs()),
        tuple(dict.fromkeys(f"{p.patient}_{c}.nii.gz" for p in known_pairs() for c in (p.fixed, p.moving))),
        known,
    ),
    "still": PairSet(
        "one patient, nothing moved but by the sequences",
        len(_STILL),
        tuple(dict.fromkeys(f"{p}_{c}.nii.gz" for p, *pair in _STILL for c in pair)),
        still,
    ),
    "oasis": PairSet("different heads, T1, manual labels", len(head_pairs()), _of_heads(), oasis),
    "oasis-contrast": PairSet(
        "different heads, T1 against made-up T2 and FLAIR, manual labels",
        len(head_pairs()),
        _of_heads(),
        oasis_contrast,
    ),
    "tissue": PairSet(
        "different patients, T1 against T2, tissues of their T1",
        len(_ACROSS),
        tuple(f"ms/ms{n}_{kind}.nii.gz" for n in ("07", "19") for kind in ("T1", "T2")),
        tissue,
    ),
}


def chosen_sets(names: list[str], data: Path | None, needed: bool = True) -> tuple[list[str], list[str]]:
    """The sets of these names, all where there are none; and a line for each that is left out."""
    return chosen.chosen_sets(SETS, names, data, needed)


@lru_cache(maxsize=8)
def _image(data: Path, name: str) -> Image:
    image = io.read_image(data / name)
    # Some files have a few values below zero, which are air.
    return Image(torch.clamp(image.data, min=0.0), image.grid, Path(name).name, image.dtype)


@lru_cache(maxsize=8)
def _labels(data: Path, name: str) -> Labels:
    return io.read_labels(data / name)
