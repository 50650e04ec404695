"""What is compared of a pair on each of its levels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Foreground, Image, resample
from inforeg.solve.dense.level import Likeness
from inforeg.solve.dense.mind import Descriptors, described
from inforeg.transforms import Linear


@dataclass(frozen=True)
class Lengths:
    """What counts as near, in mm: for local contrast, for blocks with tables of their own, for windows of correlation,
    for voxels that are paired by chance.
    """

    contrast_mm: float
    places_mm: float
    window_mm: float
    neighbourhood_mm: float


@dataclass(frozen=True, eq=False)
class Scene:
    """What a comparison may know of a pair: coarse levels of both images, their objects, the intensities between which
    nearly all of each image lies, lengths and randomness."""

    fixed: Image
    moving: Image
    fixed_object: Foreground
    moving_object: Foreground
    windows: tuple[tuple[float, float], tuple[float, float]]
    lengths: Lengths
    generator: torch.Generator


@dataclass(frozen=True, eq=False)
class Sight:
    """One level of both images: `fixed` on its box, whose voxels weigh `weight`, the moving one with its mask if there
    is one, and the linear transform between them.
    """

    fixed: Image
    box: tuple[slice, ...]
    weight: Float[Tensor, "*box"]
    moving: Image
    moving_mask: Tensor | None
    linear: Linear


@dataclass(frozen=True, eq=False)
class Compared:
    """What is warped on a level, by which linear transform, and the likeness that is asked: `channels` of the image are
    compared, and one more, if there is one, is its mask.
    """

    likeness: Likeness
    moving: Image
    channels: int
    linear: Linear


@runtime_checkable
class Comparison(Protocol):
    """A metric, made for a pair."""

    def on(self, sight: Sight) -> Compared:
        """Its likeness on one level."""
        ...


@runtime_checkable
class Scale(Protocol):
    """Intensities as places in a table."""

    def places(self, image: Image, box: tuple[slice, ...] | None = None) -> Tensor:
        """In bins."""
        ...


class OfIntensities:
    """One number at every place of both images, and a likeness that `make`s of the fixed one in its box."""

    def __init__(self, scales: tuple[Scale, Scale], make: Callable[[Sight, Tensor], Likeness]) -> None:
        self.scales, self.make = scales, make

    def on(self, sight: Sight) -> Compared:
        """Both images on their scales."""
        fixed = self.scales[0].places(sight.fixed, sight.box)
        channels = [self.scales[1].places(sight.moving)]
        if sight.moving_mask is not None:
            channels.append(sight.moving_mask.to(channels[0]))
        moving = Image(torch.stack(channels)[None], sight.moving.grid)
        return Compared(self.make(sight, fixed), moving, 1, sight.linear)


class OfDescriptors:
    """The self-similarity context of both images, described on the fixed image's voxels.

    The moving image is brought there by the linear transform before it is described, so that distances and directions
    mean the same in both, whatever their voxels and however they lie. What the deformation turns and stretches besides
    is not turned in descriptors: they are warped as channels, and beyond the moving image is its `background`.
    """

    def __init__(self, background: float) -> None:
        self.background = background

    def on(self, sight: Sight) -> Compared:
        """Both descriptions."""
        grid, moving = sight.fixed.grid, sight.moving
        mask = torch.ones_like(moving.data[0, 0]) if sight.moving_mask is None else sight.moving_mask
        seen = resample(Image(mask.to(moving.data)[None, None], moving.grid), grid, sight.linear)
        brought = described(resample(moving, grid, sight.linear, outside=self.background))
        fixed = described(sight.fixed).data[0][(slice(None), *sight.box)].contiguous()
        channels = Image(torch.cat((brought.data, seen.data), 1), grid)
        return Compared(Descriptors(fixed, sight.weight), channels, len(fixed), Linear.identity(grid.ndim))
