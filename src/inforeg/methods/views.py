"""A pair as a statistics network sees it: all channels, at all resolutions, with their surroundings."""

from dataclasses import dataclass, replace

import torch

from inforeg.image import Foreground, Image, normalise, resample
from inforeg.image.intensity import measure
from inforeg.image.pyramid import pyramid, spacings
from inforeg.methods.pair import Pair
from inforeg.solve.sampler import Stratified
from inforeg.solve.sight import WIDER, Sight, sights
from inforeg.solve.start import View
from inforeg.transforms import Linear

# Voxels along the longest side of the coarsest level that is looked at.
COARSEST = {2: 30, 3: 16}
# Pixels along the longest side of the level that poses are searched on by their local contrast.
_SEARCHED = {2: 60, 3: 24}


@dataclass(frozen=True, eq=False)
class Sights:
    """Both images at all levels, fine to coarse, with their spacings, and where samples are drawn."""

    fixed: list[Sight]
    moving: list[Sight]
    spacings_mm: list[float]
    sampler: Stratified
    centre_mm: torch.Tensor
    radius_mm: float


def sights_of(pair: Pair, fixed: Image, moving: Image) -> Sights:
    """What a network is shown of a pair."""
    d = fixed.grid.ndim
    longest = max(float(fixed.grid.extent_mm.max()), float(moving.grid.extent_mm.max()))
    steps = spacings(pair.spacings_mm[0], longest / COARSEST[d])
    steps += [2 ** (k + 1) * steps[-1] for k in range(WIDER)]
    shown = []
    for image, scalar in ((fixed, pair.fixed), (moving, pair.moving)):
        # Of an image with one channel the pair has the first levels already, at these very spacings.
        known = scalar if image.channels == 1 else []
        rest = pyramid(known[-1] if known else image, steps[len(known) :])
        shown.append(sights([*known, *(level.image for level in rest)]))
    seen = objects_of(pair)[0]
    sampler = Stratified.around(seen, pair.fixed_view.coarse, rim=1)
    if pair.fixed_mask is not None:
        sampler = sampler.within(pair.fixed_mask)
    return Sights(shown[0], shown[1], steps[:-WIDER], sampler, seen.centre_mm, seen.radius_mm)


def objects_of(pair: Pair) -> tuple[Foreground, Foreground]:
    """Both objects, or both whole fields of view where what was taken for background has structure in either image.

    A picture of the eye's ground fills its field of view, and a threshold finds only the brighter side of it.
    """
    found = pair.fixed_view.object, pair.moving_view.object
    levels = pair.fixed, pair.moving
    images = [contrast(side, pair.coarse) for side in levels]
    if not any(_structured(image, object_) for image, object_ in zip(images, found, strict=True)):
        return found
    whole = [
        measure(torch.ones_like(object_.mask), image, object_.background)
        for image, object_ in zip(images, found, strict=True)
    ]
    return whole[0], whole[1]


def _structured(image: Image, found: Foreground) -> bool:
    data, inside = image.data[0, 0], found.mask.to(image.data.device)
    return int((~inside).sum()) > 1 and float(data[~inside].std()) > 0.3 * float(data[inside].std())


def contrast(levels: list[Image], level: int) -> Image:
    """A level less its surroundings: itself two levels coarser."""
    image = levels[level]
    around = pyramid(image, [2 * float(image.grid.spacing_mm.max()), 4 * float(image.grid.spacing_mm.max())])
    smooth = resample(around[-1].image, image.grid, Linear.identity(image.grid.ndim))
    return Image(image.data - smooth.data, image.grid)


def by_contrast(pair: Pair) -> Pair:
    """The pair as a search sees it by local contrast instead of intensity, which no lighting changes."""
    longest = max(float(levels[0].grid.extent_mm.max()) for levels in (pair.fixed, pair.moving))
    wanted = longest / _SEARCHED[pair.fixed[0].grid.ndim]
    level = min(range(len(pair.spacings_mm)), key=lambda k: abs(pair.spacings_mm[k] / wanted - 1))
    views = []
    sides = zip((pair.fixed, pair.moving), (pair.fixed_view, pair.moving_view), objects_of(pair), strict=True)
    for levels, view, seen in sides:
        coarse = normalise(contrast(levels, level))
        finer = normalise(contrast(levels, max(level - 1, 0)))
        # The object was found on another level's lattice: read it off on this one.
        mask = resample(
            Image(seen.mask[None, None].to(torch.float32), levels[pair.coarse].grid),
            coarse.grid,
            Linear.identity(coarse.grid.ndim),
            mode="nearest",
        )
        found = measure(mask.data[0, 0] > 0.5, coarse, seen.background)
        views.append(View(coarse, finer, seen if found.is_empty else found, view.window, view.mask))
    return replace(pair, fixed_view=views[0], moving_view=views[1], coarse=level)
