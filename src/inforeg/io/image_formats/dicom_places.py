"""Where the slices of a DICOM series lie, and the one grid they make."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.image_formats import dicom_elements as tags
from inforeg.io.image_formats.dicom_elements import DicomFile, Elements
from inforeg.io.image_formats.dicom_pixels import PixelForm
from inforeg.io.lps import flip_world

# Sequences in which files of several frames keep what others keep outside.
_MEASURES, _PLACE, _TURN, _MEANING = 0x00289110, 0x00209113, 0x00209116, 0x00289145

# Off an even spacing by less is what rounding in the header does; by more than the share of a step it is refused.
_ROUNDING_MM, _ROUNDING_STEPS, _MOST_STEPS = 0.01, 1e-3, 0.05
# Slices that slide past each other by more, from the first to the last, are worth a word.
_TILT_MM = 0.1


@dataclass(frozen=True, eq=False)
class Slice:
    """One frame of a file: where its first pixel lies (LPS, mm), which way it runs, and what its values mean.

    `axes` are `(3, 2)`: the directions of a row (i) and of a column (j), of length 1; `spacing_mm` goes with them.
    """

    file: DicomFile
    form: PixelForm
    frame: int
    position_mm: NDArray[np.float64] | None
    axes: NDArray[np.float64]
    spacing_mm: tuple[float, float] | None
    thickness_mm: float
    slope: float
    intercept: float

    @property
    def name(self) -> str:
        """What errors call it."""
        return self.file.path.name + (f" frame {self.frame + 1}" if self.form.frames > 1 else "")

    @property
    def normal(self) -> NDArray[np.float64]:
        """The direction the slices are stacked in."""
        return np.cross(self.axes[:, 0], self.axes[:, 1])


def slices_of(file: DicomFile, form: PixelForm) -> list[Slice]:
    """The frames of a file; raises `ReadError` where numbers are missing or make no sense."""
    shared, frames = file.items(tags.SHARED_GROUPS)[:1], file.items(tags.FRAME_GROUPS)
    found = []
    for number in range(form.frames):
        own = frames[number : number + 1]

        def said(group: int, tag: int, count: int, own: list[Elements] = own) -> tuple[float, ...] | None:
            """The frame's own value, or what all frames share, or what the file says outside of sequences."""
            inner = (item for holder in (*own, *shared) for item in holder.items(group)[:1])
            return next((v for item in (*inner, file) if (v := item.decimals(tag, count)) is not None), None)

        position = said(_PLACE, tags.POSITION, 3)
        turn = said(_TURN, tags.ORIENTATION, 6)
        spacing = said(_MEASURES, tags.PIXEL_SPACING, 2)
        step = said(_MEASURES, tags.SLICE_STEP, 1) or said(_MEASURES, tags.SLICE_THICKNESS, 1) or (1.0,)
        slope, intercept = (
            said(_MEANING, tags.SLOPE, 1) or (1.0,),
            said(_MEANING, tags.INTERCEPT, 1) or (0.0,),
        )
        if spacing is not None and min(spacing) <= 0:
            raise ReadError(f"{file.path}: expected a spacing above zero, its header says {spacing} mm")
        found.append(
            Slice(
                file,
                form,
                number,
                None if position is None or turn is None else np.array(position),
                _axes(file.path, turn or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
                # PixelSpacing names the distance between rows first, which is along j.
                None if spacing is None else (spacing[1], spacing[0]),
                abs(step[0]) or 1.0,
                slope[0] or 1.0,
                intercept[0],
            )
        )
    return found


def _axes(path: Path, turn: Sequence[float]) -> NDArray[np.float64]:
    axes = np.array(turn).reshape(2, 3).T
    lengths = np.linalg.norm(axes, axis=0)
    if np.abs(lengths - 1).max() > 1e-2 or abs(axes[:, 0] @ axes[:, 1]) > 1e-2:
        raise ReadError(
            f"{path}: expected two directions at right angles for a slice, its header says {tuple(turn)}"
        )
    unit: NDArray[np.float64] = axes / lengths
    return unit


def placed(name: str, slices: list[Slice]) -> tuple[list[Slice], NDArray[np.float64], list[tuple[int, str]]]:
    """The slices in order along their normal, the voxel-to-world matrix `(4, 4)` (RAS+ mm), and what to say of them.

    A tilted gantry shows as shear in the matrix. Raises `ReadError` where the slices make no grid: of different sizes
    or orientations, missing, doubled, or unevenly spaced.
    """
    _check_alike(name, slices)
    first = slices[0]
    if first.position_mm is None or first.spacing_mm is None:
        return _unplaced(name, slices)
    normal = first.normal
    places = np.array([s.position_mm for s in slices], np.float64)
    heights = places @ normal
    order = np.argsort(heights, kind="stable")
    slices, heights, places = [slices[n] for n in order], heights[order], places[order]
    matrix = np.eye(4)
    matrix[:3, :2] = first.axes * first.spacing_mm
    matrix[:3, 2] = normal * first.thickness_mm
    matrix[:3, 3] = places[0]
    said: list[tuple[int, str]] = []
    if len(slices) > 1:
        _check_heights(name, slices, heights)
        step = (places[-1] - places[0]) / (len(slices) - 1)
        said = _check_line(name, slices, places, step, normal)
        matrix[:3, 2] = step
    return slices, flip_world(matrix), said


def _check_alike(name: str, slices: list[Slice]) -> None:
    sizes = Counter((s.form.columns, s.form.rows, s.form.samples) for s in slices)
    if len(sizes) > 1:
        listed = ", ".join(f"{n} of {x}x{y}" for (x, y, _), n in sizes.most_common(4))
        raise ReadError(f"{name}: expected slices of one size, got {listed}; keep those of one in a folder")
    first = slices[0]
    other = [s for s in slices if np.abs(s.axes - first.axes).max() > 1e-3]
    if other:
        raise ReadError(
            f"{name}: expected slices of one orientation, and {len(other)} of {len(slices)} (such as {other[0].name})"
            f" are turned against {first.name}; keep those of one in a folder"
        )
    other = [s for s in slices if s.spacing_mm != first.spacing_mm]
    if other:
        raise ReadError(
            f"{name}: expected pixels of one size, {first.name} has {first.spacing_mm} mm and {other[0].name}"
            f" {other[0].spacing_mm} mm"
        )
    if len(slices) > 1 and (first.spacing_mm is None or any(s.position_mm is None for s in slices)):
        raise ReadError(
            f"{name}: {len(slices)} slices do not say where they lie (ImagePositionPatient,"
            " ImageOrientationPatient, PixelSpacing); give one of them, or convert them to NIfTI"
        )


def _unplaced(
    name: str, slices: list[Slice]
) -> tuple[list[Slice], NDArray[np.float64], list[tuple[int, str]]]:
    spacing = slices[0].spacing_mm or (1.0, 1.0)
    size = "" if slices[0].spacing_mm else ", with pixels of 1 mm"
    sentence = f"its header does not say where it lies; it is taken to lie along the axes{size}"
    return slices, flip_world(np.diag([*spacing, 1.0, 1.0])), [(logging.WARNING, sentence)]


def _check_heights(name: str, slices: list[Slice], heights: NDArray[np.float64]) -> None:
    """Raise `ReadError` where slices lie on one another, or are missing."""
    gaps = np.diff(heights)
    step = float(np.median(gaps[gaps > 1e-3])) if (gaps > 1e-3).any() else 0.0
    close = gaps <= max(1e-3, 0.01 * step)
    if close.any():
        places, at = len(slices) - int(close.sum()), int(close.argmax())
        each = len(slices) // places
        hint = (
            f"it holds {each} volumes; keep the slices of one in a folder"
            if each > 1 and len(slices) == each * places
            else "keep one of each in a folder"
        )
        raise ReadError(
            f"{name}: its {len(slices)} slices lie at {places} places only ({slices[at].name} and"
            f" {slices[at + 1].name} at the same); {hint}"
        )
    missing = np.rint(gaps / step).astype(int) - 1
    if missing.any() and (np.abs(gaps / step - missing - 1) < 0.1).all():
        at, count = int((missing > 0).argmax()), int(missing.sum())
        raise ReadError(
            f"{name}: {count} {'slices are' if count > 1 else 'slice is'} missing: from {slices[at].name} to"
            f" {slices[at + 1].name} it is {gaps[at]:.4g} mm, elsewhere {step:.4g} mm"
        )


def _check_line(
    name: str,
    slices: list[Slice],
    places: NDArray[np.float64],
    step: NDArray[np.float64],
    normal: NDArray[np.float64],
) -> list[tuple[int, str]]:
    """What to say of slices that lie nearly on an even line; raises `ReadError` where they do not."""
    off = np.linalg.norm(places - (places[0] + np.arange(len(slices))[:, None] * step), axis=1)
    worst, length = int(off.argmax()), float(np.linalg.norm(step))
    said = []
    if off[worst] > max(_ROUNDING_MM, _MOST_STEPS * length):
        gaps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        raise ReadError(
            f"{name}: expected evenly spaced slices, and {slices[worst].name} is {off[worst]:.3g} mm off (steps of"
            f" {gaps.min():.4g} to {gaps.max():.4g} mm)"
        )
    if off[worst] > max(_ROUNDING_MM, _ROUNDING_STEPS * length):
        said.append(
            (logging.WARNING, f"its slices lie up to {off[worst]:.2g} mm off an even spacing, which is taken")
        )
    slide = step - (step @ normal) * normal
    if np.linalg.norm(slide) * (len(slices) - 1) > _TILT_MM:
        degrees = np.degrees(np.arctan2(np.linalg.norm(slide), step @ normal))
        said.append((logging.WARNING, f"its gantry was tilted by {degrees:.3g} degrees; the shear is kept"))
    return said
