"""What is seen in a head: the brain, its tissues, and a made-up contrast of it; and images at other spacings."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from inforeg.bench.deformable.warps import regular
from inforeg.errors import UsageError
from inforeg.image import Image, Labels, downsample, resample, resample_labels, smooth
from inforeg.image.tissues import CSF, DEEP, GREY, SIGNALS, TISSUES, WHITE

# How much of T1's own texture is kept, and how large shading and noise are.
TEXTURE, SHADING, NOISE = 0.5, 0.1, 0.015


def brain_of(image: Image) -> Tensor:
    """The voxels of a skull-stripped image that are brain, holes filled and specks left out."""
    from scipy.ndimage import binary_fill_holes, binary_opening

    inside = binary_fill_holes(binary_opening(image.data[0, 0].numpy() > 0))
    return torch.from_numpy(np.ascontiguousarray(inside))


def tissues(image: Image, brain: Tensor) -> Labels:
    """Fluid, grey and white matter (1, 2, 3) of a T1 image: three means of its intensities in the brain."""
    from scipy.cluster.vq import kmeans2

    values = image.data[0, 0][brain].numpy()
    low, high = np.quantile(values, (0.001, 0.999))
    clipped = np.clip(values, low, high).astype(np.float64)
    means, _ = kmeans2(clipped[::7], np.quantile(clipped, (0.1, 0.45, 0.8)), minit="matrix")
    means = np.sort(means)
    data = torch.zeros(brain.shape, dtype=torch.int64)
    data[brain] = 1 + torch.from_numpy(np.searchsorted((means[1:] + means[:-1]) / 2, clipped)).long()
    return Labels(data[None, None], image.grid)


def in_contrast(t1: Image, labels: Labels, contrast: str, generator: torch.Generator) -> Image:
    """A head in another contrast, from its tissue classes and the texture of its T1.

    Classes come from the labels, which all structures of a class share, so that no border between two of them shows
    that T1 does not show; what is not labelled is fluid where T1 is darker than between its fluid and grey matter,
    and grey matter elsewhere. Classes are smoothed by 0.7 mm. What T1 differs from its own class means is added, by
    the slope between fluid and white matter, in half; then a smooth shading of some 10 % (40 mm) and noise of 1.5 %.
    """
    values, ids = t1.data[0, 0], labels.data[0, 0]
    head = values > 0
    classes = torch.full(ids.shape, -1, dtype=torch.int64)
    for number, members in enumerate((CSF, WHITE, DEEP, GREY)):
        classes[torch.isin(ids, torch.tensor(members))] = number
    own = [float(values[(classes == n) & head].median()) for n in range(4)]
    rest = head & (classes < 0)
    classes[rest] = torch.where(values[rest] < (own[0] + own[3]) / 2, 0, 3)
    classes[~head] = -1
    wanted = [SIGNALS[contrast][tissue] for tissue in TISSUES]
    mean, own_mean = (smooth(_painted(classes, means, t1), 0.7) for means in (wanted, own))
    slope = (wanted[1] - wanted[0]) / (own[1] - own[0])
    signal = mean.data + TEXTURE * slope * (t1.data - own_mean.data)
    coarse = regular(t1.grid, 8.0, margin_mm=16.0)
    light = smooth(Image(torch.randn((1, 1, *coarse.shape), generator=generator), coarse), 40.0)
    shading = resample(Image(SHADING * light.data / light.data.std(), coarse), t1.grid)
    noise = NOISE * torch.randn(signal.shape, generator=generator)
    shown = torch.where(head, (signal * shading.data.exp() + noise).clamp(min=0.01), 0.0)
    return Image(1000 * shown, t1.grid, f"{contrast} of {t1.name}")


def at_spacing(image: Image, spacing_mm: float) -> Image:
    """The image at another spacing over the same field of view: thinned without aliasing, or cubic between voxels."""
    own = float(image.grid.spacing_mm.mean())
    if abs(own - spacing_mm) < 0.01 * own:
        return image
    if spacing_mm > own:
        factor = round(spacing_mm / own)
        if abs(factor * own / spacing_mm - 1) > 0.01:
            raise UsageError(
                f"expected a spacing that is a multiple of the images' {own:g} mm, got {spacing_mm:g}"
            )
        return downsample(image, [factor] * image.grid.ndim)
    finer = resample(image, regular(image.grid, spacing_mm), mode="bspline")
    return within(finer, image)


def labels_at(labels: Labels, like: Image) -> Labels:
    """Labels on the grid of an image."""
    return labels if labels.grid.same_as(like.grid) else resample_labels(labels, like.grid)


def mask_at(mask: Tensor, source: Image, like: Image) -> Tensor:
    """A mask on the grid of `source`, on that of another image."""
    whole = labels_at(Labels(mask[None, None].long(), source.grid), like)
    return whole.data[0, 0] > 0


def within(image: Image, source: Image) -> Image:
    """The image, clipped to the range of another one: cubic interpolation overshoots at edges."""
    values = image.data.clamp(float(source.data.min()), float(source.data.max()))
    return Image(values, image.grid, source.name, source.dtype)


def _painted(classes: Tensor, means: Sequence[float], like: Image) -> Image:
    table = torch.tensor([*means, 0.0])
    return Image(table[classes][None, None], like.grid)
