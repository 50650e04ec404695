"""Sets of images in a folder: stained sections of a kidney, slices of a brain, brains."""

from functools import lru_cache
from pathlib import Path

import torch

from inforeg import io
from inforeg.bench.drmime.case import Case, exact_case
from inforeg.bench.drmime.changes import HEAD, PICTURE, generator_for, random_transform
from inforeg.bench.drmime.drawing import box_of_object, drawn, in_pixels, placed, ready, view
from inforeg.image import Image
from inforeg.image.interpolate import inside_grid

KIDNEY_SIZE = 640
HEAD_SPACING_MM = 3.0

KIDNEY = ("histology/Rat-Kidney_HE", "histology/Rat-Kidney_PanCytokeratin")
SLICES = ("itk2d/BrainT1SliceBorder20.png", "itk2d/BrainProtonDensitySliceBorder20.png")
# Contrasts of one session that lie on each other; those of brats' met00110 are a millimetre apart.
BRAINS = tuple(
    (f"{patient}_T1.nii.gz", f"{patient}_{other}.nii.gz")
    for other in ("T2", "FLAIR")
    for patient in ("ms/ms07", "ms/ms19", "brats/gli00001")
)


def kidney_files() -> tuple[str, ...]:
    """What the kidney's set reads."""
    return tuple(f"{name}.{ending}" for name in KIDNEY for ending in ("jpg", "csv"))


def brain_files() -> tuple[str, ...]:
    """What the brains' set reads."""
    return tuple(dict.fromkeys(name for pair in BRAINS for name in pair))


def kidney(number: int, seed: int, data: Path, size: int | None) -> Case:
    """Two neighbouring sections in different stains, raw RGB, the second moved further; landmarks are the answer."""
    (fixed_source, fixed_points), (moving_source, moving_points) = _kidney(data, size or KIDNEY_SIZE)
    generator = generator_for("kidney", number, seed)
    extent_mm = moving_source.grid.extent_mm
    frame = view(moving_source.grid, extent_mm, 1.0, generator, moving_source.grid.centre_mm)
    # Room for the shift, so that no tissue is cut off.
    wide_mm = extent_mm * (1 + 2 * PICTURE.shift)
    moving_grid = view(moving_source.grid, wide_mm, 1.0, generator, moving_source.grid.centre_mm)
    fixed_grid = view(
        fixed_source.grid, fixed_source.grid.extent_mm, 1.0, generator, fixed_source.grid.centre_mm
    )
    moved = random_transform("affine", moving_source.grid.centre_mm, extent_mm, PICTURE, generator)
    fixed = drawn(fixed_source, fixed_grid)
    moving = drawn(moving_source, moving_grid, moved.inverse())
    points = moved(moving_points)
    seen = inside_grid(fixed.grid.to_voxel(fixed_points), fixed.grid.shape)
    seen &= inside_grid(moving.grid.to_voxel(points), moving.grid.shape)
    return Case("kidney", number, fixed, moving, "affine", fixed_points[seen], points[seen], frame, "px")


def slices(number: int, seed: int, data: Path, size: int | None) -> Case:
    """A T1 and a proton-density slice of one head, the second moved: rigidly in even cases, affinely in odd ones."""
    fixed_source, moving_source = _slices(data)
    spacing_mm = float(fixed_source.grid.extent_mm.max()) / size if size else 1.0
    return _brain("slices", number, seed, fixed_source, moving_source, spacing_mm, 0.0)


def brain(number: int, seed: int, data: Path, size: int | None) -> Case:
    """T1 against T2 or FLAIR of one head in 3-D, the second moved: rigidly in even cases, affinely in odd ones."""
    # Every pair comes once rigid and once affine before the first comes again.
    pair = BRAINS[number // 2 % len(BRAINS)]
    fixed_source, moving_source = _volumes(data, *pair)
    spacing_mm = float(fixed_source.grid.extent_mm.max()) / size if size else HEAD_SPACING_MM
    return _brain("brain", number, seed, fixed_source, moving_source, spacing_mm, HEAD.shift)


def _brain(
    name: str,
    number: int,
    seed: int,
    fixed_source: Image,
    moving_source: Image,
    spacing_mm: float,
    margin_mm: float,
) -> Case:
    generator = generator_for(name, number, seed)
    kind = "affine" if number % 2 else "rigid"
    where = placed(
        fixed_source.grid,
        kind,
        PICTURE if fixed_source.grid.ndim == 2 else HEAD,
        generator,
        extent_mm=fixed_source.grid.extent_mm,
        margin_mm=margin_mm,
        spacing_mm=spacing_mm,
    )
    fixed = drawn(ready(fixed_source, spacing_mm), where.fixed)
    moving = drawn(ready(moving_source, spacing_mm), where.moving, where.truth.inverse())
    boxes = {"box": box_of_object(fixed), "frame": box_of_object(moving)}
    return exact_case(name, number, fixed, moving, kind, where.truth, unit="mm", **boxes)


def read_sections(data: Path) -> tuple[list[Image], list[torch.Tensor]]:
    """Both sections as their files are, and the landmarks `(n, 2)` that both tables hold, in RAS+ mm."""
    pictures = [io.read_image(data / f"{name}.jpg") for name in KIDNEY]
    points = [
        io.read_points(data / f"{name}.csv", space="voxel", grid=picture.grid)
        for name, picture in zip(KIDNEY, pictures, strict=True)
    ]
    # The rows are numbered alike, and one table has more of them.
    common = min(map(len, points))
    return pictures, [p[:common] for p in points]


@lru_cache(maxsize=1)
def _kidney(data: Path, size: int) -> list[tuple[Image, torch.Tensor]]:
    """Both sections, scaled alike, and the landmarks that were marked on both."""
    pictures, points = read_sections(data)
    step = max(max(picture.grid.shape) for picture in pictures) / size
    found = []
    for picture, points_mm in zip(pictures, points, strict=True):
        source = in_pixels(picture, step)
        found.append((ready(source, 1.0), source.grid.to_world(picture.grid.to_voxel(points_mm))))
    return found


@lru_cache(maxsize=1)
def _slices(data: Path) -> tuple[Image, Image]:
    return io.read_image(data / SLICES[0]), io.read_image(data / SLICES[1])


@lru_cache(maxsize=1)
def _volumes(data: Path, fixed: str, moving: str) -> tuple[Image, Image]:
    return io.read_image(data / fixed), io.read_image(data / moving)
