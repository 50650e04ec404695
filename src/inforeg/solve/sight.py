"""An image as a statistics network is shown it: intensities and local contrast, with their slopes."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.interpolate import inside_grid, vectors_and_gradients, vectors_at
from inforeg.solve.placing import along, place
from inforeg.transforms import Linear

# Two levels of a pyramid: a neighbourhood four times as wide.
WIDER = 2
# Beyond so many standard deviations, intensities are clipped.
_MOST = 4.0


@dataclass(frozen=True, eq=False)
class Sight:
    """One image at one resolution. Every channel is read twice: as it is, and less its surroundings.

    What a place is brighter by than its surroundings (`surround`, the same image two levels coarser) does not change
    with lighting or with a coil's shading, and tells apart what one intensity cannot: the rim of a nucleus from its
    middle. It doubles the channels a histogram would need, which a network does not mind. A network learns fastest
    from numbers of mean 0 and standard deviation 1: `mean`, `spread` and `contrast` make them so.
    """

    image: Image
    surround: Image
    mean: Float[Tensor, " c"]
    spread: Float[Tensor, " c"]
    contrast: Float[Tensor, " c"]

    @property
    def channels(self) -> int:
        """How many numbers the network sees of a place."""
        return 2 * self.image.channels

    def values(
        self, frame: Float[Tensor, "e e"], points: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n c"], Bool[Tensor, " n"]]:
        """Values at points, and which of them lie inside; `frame` takes points to this image's world."""
        values, voxel = _values(self.image, frame, points)
        around, _ = _values(self.surround, frame, points)
        return self._scaled(values, around).clamp(-_MOST, _MOST), inside_grid(voxel, self.image.grid.shape)

    def at(
        self, transform: Linear, frame: Float[Tensor, "e e"], points: Float[Tensor, "n d"]
    ) -> tuple[Float[Tensor, "n c"], Float[Tensor, "n c d"], Bool[Tensor, " n"], Tensor]:
        """Values, their slopes by the points, which points lie inside, and the voxels they fall on.

        `frame` takes points to the world, `transform` on to this image's world.
        """
        values, slopes, voxel = _read(self.image, transform, frame, points)
        around, bends, _ = _read(self.surround, transform, frame, points)
        shown = self._scaled(values, around)
        slopes = torch.cat((slopes / self.spread[:, None], (slopes - bends) * self.contrast[:, None]), dim=1)
        # What is clipped has no slope.
        clipped = shown.clamp(-_MOST, _MOST)
        slopes = torch.where((clipped == shown)[..., None], slopes, 0.0)
        return clipped, slopes, inside_grid(voxel, self.image.grid.shape), voxel

    def _scaled(self, values: Tensor, around: Tensor) -> Tensor:
        return torch.cat(((values - self.mean) / self.spread, (values - around) * self.contrast), dim=1)


def sights(levels: list[Image]) -> list[Sight]:
    """How each level of a pyramid (fine to coarse) is shown; the last two only serve as others' surroundings."""
    # All levels are scaled alike, so that one network serves them all.
    middle = levels[min(WIDER, len(levels) - 1)]
    mean, spread = middle.data[0].flatten(1).mean(1), middle.data[0].flatten(1).std(1)
    spread = torch.where(spread > 0, spread, 1.0)
    found = []
    for image, surround in zip(levels[:-WIDER], levels[WIDER:], strict=True):
        d = image.grid.ndim
        share = torch.rand((20_000, d), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        points = image.grid.to_world(share * (torch.tensor(image.grid.shape) - 1)).to(
            image.data.device, torch.float32
        )
        world = torch.eye(d + 1, dtype=torch.float64)
        (values, _), (around, _) = (_values(side, world, points) for side in (image, surround))
        differs = (values - around).std(dim=0)
        contrast = torch.where(differs > 1e-6 * spread, 1 / differs, 0.0)
        found.append(Sight(image, surround, mean, spread, contrast))
    return found


def _values(image: Image, frame: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    voxel, _ = place(image.grid, Linear.identity(points.shape[1]), frame, points)
    return vectors_at(image.data[0], voxel), voxel


def _read(image: Image, transform: Linear, frame: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    voxel, jacobian = place(image.grid, transform, frame, points)
    values, slopes = vectors_and_gradients(image.data[0], voxel)
    n, c, d = slopes.shape
    if jacobian.ndim == 2:
        return values, slopes @ jacobian, voxel
    return (
        values,
        along(slopes.reshape(n * c, d), jacobian.repeat_interleave(c, dim=0)).reshape(n, c, d),
        voxel,
    )
