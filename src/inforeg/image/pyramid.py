"""The same image at several resolutions."""

from dataclasses import dataclass

from inforeg.image.filters import downsample, factors_for
from inforeg.image.image import Image


@dataclass(frozen=True, eq=False)
class Level:
    """One resolution of an image: voxels of about `spacing_mm` where the image has as many."""

    image: Image
    spacing_mm: float


def pyramid(image: Image, spacings_mm: list[float]) -> list[Level]:
    """The image thinned to the given spacings, which must grow; every level is made from the one before.

    An axis is thinned by whole factors, never beyond what is asked for by more than a fifth, and not at all where
    its voxels are already that large: slices 5 mm apart stay so until the others have come up to them.
    """
    levels: list[Level] = []
    for spacing in spacings_mm:
        last = levels[-1].image if levels else image
        factors = factors_for(last.grid, spacing)
        levels.append(Level(downsample(last, factors) if max(factors) > 1 else last, spacing))
    return levels


def spacings(finest_mm: float, coarsest_mm: float) -> list[float]:
    """Spacings from fine to coarse, doubling, the last one no finer than three quarters of `coarsest_mm`."""
    result = [finest_mm]
    while result[-1] < 0.75 * coarsest_mm:
        result.append(2 * result[-1])
    return result
