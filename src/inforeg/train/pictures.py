"""Grey pictures of what a network does, for logs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from inforeg.image.sample import stretched


def middle_slice(volume: Float[Tensor, "..."]) -> Float[Tensor, "n m"]:
    """A 2-D image as it is, and of a volume the middle slice."""
    return volume if volume.ndim == 2 else volume[:, :, volume.shape[2] // 2]


def three_times(flat: Float[Tensor, "n m"]) -> Float[Tensor, "k l"]:
    """Three pixels for each."""
    return stretched(flat[None, None], [3 * n for n in flat.shape])[0, 0]


def beside(tiles: Sequence[Float[Tensor, "n m"]]) -> NDArray[np.uint8]:
    """Tiles of 0 to 1, of one height, side by side; the first axis goes to the right, the second upwards."""
    shown = [tile.clamp(0, 1).T.flip(0).cpu().numpy() for tile in tiles]
    return np.asarray(np.round(255 * np.concatenate(shown, axis=1)), dtype=np.uint8)


def marked(
    image: Float[Tensor, "..."], voxel: Float[Tensor, "k d"], weights: Float[Tensor, " k"]
) -> Float[Tensor, "n m"]:
    """The middle slice of an image, darkened, three pixels a voxel, with points near it as squares: brighter ones weigh
    more, and those of a volume farther from the slice are smaller."""
    found = 0.6 * three_times(middle_slice(image)).clamp(0, 1)
    near = image.shape[-1] / 8
    bright = 0.6 + 0.4 * weights / weights.max()
    for place, shade in zip(voxel.tolist(), bright.tolist(), strict=True):
        away = abs(place[2] - image.shape[2] // 2) if len(place) == 3 else 0.0
        if away > near:
            continue
        i, j = (round(3 * p + 1) for p in place[:2])
        reach = 2 if away < near / 2 else 1
        found[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1] = shade
    return found
