"""Images and label maps on a grid, and what is done to them before they are compared."""

from inforeg.image.descriptors import mind, mind_ssc
from inforeg.image.filters import downsample, smooth
from inforeg.image.image import Image, Labels
from inforeg.image.intensity import Foreground, find_foreground, normalise, to_scalar
from inforeg.image.sample import resample, resample_labels, sample

__all__ = [
    "Foreground",
    "Image",
    "Labels",
    "downsample",
    "find_foreground",
    "mind",
    "mind_ssc",
    "normalise",
    "resample",
    "resample_labels",
    "sample",
    "smooth",
    "to_scalar",
]
