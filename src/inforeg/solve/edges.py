"""Where an image has edges: Canny's detector, in 2-D and 3-D."""

from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

# What OpenCV weighs the channels of a colour picture with when it makes it grey.
_LUMINANCE = (0.299, 0.587, 0.114)


def grey(values: Float[Tensor, "c ..."]) -> Float[Tensor, "..."]:
    """One channel of brightness: the usual weights for three channels, the mean of any other number."""
    weights = torch.tensor(_LUMINANCE) if len(values) == 3 else torch.full((len(values),), 1 / len(values))
    brightness: Tensor = torch.tensordot(weights.to(values), values, dims=1)
    return brightness


def canny(
    values: Float[Tensor, "*shape"], *, sigma: float = 3.5, low: float = 0.0, high: float = 30.0
) -> Bool[Tensor, "*shape"]:
    """Edges one voxel thin, of brightness on the scale 0 to 255 in 2-D or 3-D (Canny, PAMI 1986).

    A Gaussian of `sigma` voxels, cut at ten, smooths first and the result is rounded to whole numbers, as pictures of
    eight bits would be. `low` and `high` are OpenCV's thresholds: of the sum of the absolute derivatives along the
    axes, eight times the change per voxel. A voxel is an edge if its slope exceeds `low` and is the greatest along
    the one of the directions to its neighbours (4 in 2-D, 13 in 3-D) that is nearest to its gradient, and if a chain
    of such voxels leads to one above `high`. Differs from OpenCV in 3-D, which it does not know, and in the choice
    among equal slopes on a diagonal.
    """
    # scipy's filters take their borders as OpenCV does, by name.
    from scipy.ndimage import gaussian_filter, generate_binary_structure, label, sobel

    picture = values.detach().cpu().double().numpy()
    if sigma > 0:
        reach = max(1, round(10 * sigma / 3.5))
        picture = gaussian_filter(picture, sigma, mode="mirror", truncate=reach / sigma)
    picture = np.rint(picture).clip(0, 255)
    d = picture.ndim
    # Every axis across widens the filter by the weights 1, 2, 1: in 3-D once more than the thresholds mean.
    share = 4.0 ** (2 - d)
    slopes = [share * sobel(picture, axis=axis, mode="nearest") for axis in range(d)]
    size = np.sum([np.abs(slope) for slope in slopes], axis=0)
    crest = _crests(slopes, size, size > low)
    pieces, count = label(crest, structure=generate_binary_structure(d, d))
    strong = np.zeros(count + 1, dtype=bool)
    strong[pieces[crest & (size > high)]] = True
    return torch.from_numpy(strong[pieces])


def _crests(
    slopes: list[NDArray[np.float64]], size: NDArray[np.float64], candidates: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The candidates whose slope is the greatest among the two neighbours along their gradient."""
    d = size.ndim
    # A rim of zeros: beyond the image nothing is steeper.
    rim = np.pad(size, 1)
    steps = np.array(rim.strides) // rim.itemsize
    flat, at = rim.reshape(-1), np.nonzero(candidates)
    here = np.ravel_multi_index([index + 1 for index in at], rim.shape)
    gradient = [slope[candidates] for slope in slopes]
    best, offset = np.full(len(here), -1.0), np.zeros(len(here), dtype=np.int64)
    # Half of the neighbours: the others lie opposite.
    for way in (w for w in product((-1, 0, 1), repeat=d) if w > (0,) * d):
        along = np.abs(sum(w * g for w, g in zip(way, gradient, strict=True) if w)) / np.linalg.norm(way)
        better = along > best
        best[better] = along[better]
        offset[better] = int(np.dot(way, steps))
    kept = (flat[here] > flat[here - offset]) & (flat[here] >= flat[here + offset])
    crest = np.zeros_like(candidates)
    crest[tuple(index[kept] for index in at)] = True
    return crest
