"""Where the object of an image is, looked for in a coarse version of it."""

from inforeg.image.filters import downsample
from inforeg.image.image import Image
from inforeg.image.intensity import Foreground, find_foreground, to_scalar

# The object is looked for in an image of about so many voxels along its longest side.
COARSE = 48


def coarse_of(image: Image) -> Image:
    """An image on the CPU in one channel, of about 48 voxels along its longest side: enough to find its object."""
    scalar = to_scalar(image)
    longest = max(scalar.grid.shape)
    factors = [max(1, min(n, longest) // COARSE) for n in scalar.grid.shape]
    return downsample(scalar, factors) if max(factors) > 1 else scalar


def object_of(image: Image) -> Foreground:
    """The object of an image on the CPU, from a coarse version; the whole field of view where there is none."""
    found = find_foreground(coarse_of(image))
    if not found.is_empty:
        return found
    half = float(image.grid.extent_mm.min()) / 2
    return Foreground(found.mask, found.background, image.grid.centre_mm, found.covariance_mm2, half, 0.0)
