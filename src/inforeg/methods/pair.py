"""A pair as a method sees it: scalar, at all resolutions, with its objects found."""

from dataclasses import dataclass

import torch

from inforeg.errors import PairError
from inforeg.image import Foreground, Image, find_foreground, normalise, to_scalar
from inforeg.image.intensity import window
from inforeg.image.pyramid import pyramid, spacings
from inforeg.image.sample import covers
from inforeg.solve.start import View


@dataclass(frozen=True, eq=False)
class Pair:
    """Both images, scalar, at all resolutions (fine to coarse), and where their objects are.

    `images` are the two as they came.
    """

    fixed: list[Image]
    moving: list[Image]
    spacings_mm: list[float]
    coarse: int
    fixed_view: View
    moving_view: View
    fixed_mask: Image | None
    moving_mask: Image | None
    images: tuple[Image, Image]

    @property
    def notes(self) -> list[str]:
        """What is worth telling where a method compares the scalar images in place of colours."""
        return [
            f"{name} has {image.channels} channels and is compared by their first principal component"
            for name, image in zip(("the fixed image", "the moving image"), self.images, strict=True)
            if image.channels > 1
        ]


def prepare_pair(fixed: Image, moving: Image, fixed_mask: Image | None, moving_mask: Image | None) -> Pair:
    """Scales, thins and looks over both images; raises `PairError` where there is no object in one of them."""
    given = fixed, moving
    fixed, moving = to_scalar(fixed), to_scalar(moving)
    d = fixed.grid.ndim
    # Beyond the coarser image's own resolution there is nothing to compare.
    finest = max(float(fixed.grid.spacing_mm.min()), float(moving.grid.spacing_mm.min()))
    longest = max(float(fixed.grid.extent_mm.max()), float(moving.grid.extent_mm.max()))
    steps = spacings(finest, longest / (20 if d == 3 else 60))
    levels = [[level.image for level in pyramid(image, steps)] for image in (fixed, moving)]
    objects = [
        _object(images[-1], mask, name)
        for images, mask, name in zip(levels, (fixed_mask, moving_mask), ("fixed", "moving"), strict=True)
    ]
    radius = min(o.radius_mm for o in objects)
    wanted = radius / (9 if d == 3 else 30)
    coarse = min(range(len(steps)), key=lambda k: abs(torch.log(torch.tensor(steps[k] / wanted)).item()))
    views = []
    for images, mask, name in zip(levels, (fixed_mask, moving_mask), ("fixed", "moving"), strict=True):
        scaled, finer = normalise(images[coarse]), normalise(images[max(coarse - 1, 0)])
        views.append(View(scaled, finer, _object(scaled, mask, name), window(images[coarse]), mask))
    return Pair(levels[0], levels[1], steps, coarse, views[0], views[1], fixed_mask, moving_mask, given)


def _object(image: Image, mask: Image | None, name: str) -> Foreground:
    found = find_foreground(image)
    if mask is not None:
        found = found.within(covers(mask, image.grid).reshape(image.grid.shape), image)
    if found.is_empty:
        what = "inside its mask" if mask is not None else "that differs from the background"
        raise PairError(f"expected something to register in the {name} image, found nothing {what}")
    return found
