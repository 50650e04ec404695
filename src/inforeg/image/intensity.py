"""What is object and what is background, and intensities on a common scale."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.image import Image


@dataclass(frozen=True, eq=False)
class Foreground:
    """Where the object is: a mask on the image's grid, the background's level, and the object's place and size.

    `centre_mm` is the mean position of the masked voxels, `covariance_mm2` their spread, `radius_mm` the radius of
    the ball with the same root mean square distance from its centre, `volume_mm` their volume (area in 2-D).
    """

    mask: Tensor
    background: float
    centre_mm: Tensor
    covariance_mm2: Tensor
    radius_mm: float
    volume_mm: float

    @property
    def is_empty(self) -> bool:
        """Whether no object was found."""
        return not bool(self.mask.any())

    def within(self, allowed: Tensor, image: Image) -> "Foreground":
        """The part of the object inside a mask on the same grid."""
        return measure(self.mask & allowed.to(self.mask.device), image, self.background)


def to_scalar(image: Image) -> Image:
    """One channel from many: the projection on the first principal component of the channels.

    It is the single channel that keeps most of the contrast, which fixed luminance weights are not for stains.
    A single channel comes back as it is.
    """
    if image.channels == 1:
        return image
    flat = image.data.transpose(0, 1).reshape(image.channels, -1)
    centred = flat - flat.mean(dim=1, keepdim=True)
    _, vectors = torch.linalg.eigh((centred @ centred.T / centred.shape[1]).cpu().double())
    direction = vectors[:, -1].to(flat)
    # The sign of an eigenvector is arbitrary: bright stays bright.
    direction = direction * (1.0 if float(direction.sum()) >= 0 else -1.0)
    scalar = torch.einsum("c,bc...->b...", direction, image.data)[:, None]
    return Image(scalar, image.grid, image.name, image.dtype)


def quantiles(values: Float[Tensor, "..."], levels: tuple[float, ...]) -> list[float]:
    """Quantiles from at most a hundred thousand evenly drawn values: enough for scaling, and quick."""
    step = max(1, values.numel() // 100_000)
    ordered = values.reshape(-1)[::step].sort().values
    last = ordered.numel() - 1
    return [float(ordered[round(level * last)]) for level in levels]


def find_foreground(image: Image) -> Foreground:
    """The object in an image, by Otsu's threshold on the distance from the background's level.

    The background is the median of the outermost voxels, so dark air and white slide glass are both found. In an
    image that is all object (no air at its rim), everything that differs from the rim counts, and where little does,
    everything. Expects one channel and one image in the batch; meant for coarse images, where it takes milliseconds.
    """
    data = image.data[0, 0]
    rim = torch.cat([data.select(a, i).reshape(-1) for a in range(data.ndim) for i in (0, -1)])
    background = float(rim.median())
    distance = (data - background).abs()
    top = quantiles(distance, (0.995,))[0]
    if top <= 0:
        top = float(distance.max())
    if top <= 0:
        mask = torch.zeros_like(data, dtype=torch.bool)
    else:
        scaled = (distance / top).clamp(max=1.0)
        mask = scaled > _otsu(scaled)
    return measure(mask, image, background)


def measure(mask: Tensor, image: Image, background: float = 0.0) -> Foreground:
    """Place and size of a mask on an image's grid."""
    d = image.grid.ndim
    index = mask.nonzero().to(torch.float64).cpu()
    if index.shape[0] == 0:
        zero = torch.zeros(d, dtype=torch.float64)
        return Foreground(mask, background, image.grid.centre_mm, torch.diag(zero), 0.0, 0.0)
    points = image.grid.to_world(index)
    centre = points.mean(dim=0)
    centred = points - centre
    covariance = centred.T @ centred / points.shape[0]
    # A solid ball of radius r has a mean square distance of (d / (d + 2)) r^2 from its centre.
    radius = float((covariance.trace() * (d + 2) / d).sqrt())
    volume = index.shape[0] * float(torch.linalg.det(image.grid.voxel_to_world[:d, :d]).abs())
    return Foreground(
        mask, background, centre, covariance, max(radius, 0.5 * float(image.grid.spacing_mm.min())), volume
    )


def _otsu(scaled: Tensor) -> float:
    counts = torch.histc(scaled, bins=64, min=0.0, max=1.0).cpu().double()
    middles = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    weight = counts.cumsum(0) / counts.sum()
    mean = (counts * middles).cumsum(0) / counts.sum()
    between = (mean[-1] * weight - mean).square() / (weight * (1 - weight)).clamp(min=1e-12)
    # Between two clean levels all thresholds are equally good: the middle one is meant. Half of it keeps dim tissue
    # (bone, fluid in T1) with the object.
    good = between[:-1] >= 0.99 * between[:-1].max()
    return float(middles[:-1][good].mean()) * 0.5


def window(image: Image, low: float = 0.005, high: float = 0.995) -> tuple[float, float]:
    """The intensities between which nearly all of a one-channel image lies; apart, unless the image is constant."""
    a, b = quantiles(image.data, (low, high))
    if b <= a:
        a, b = float(image.data.min()), float(image.data.max())
    return a, b


def normalise(image: Image, low: float = 0.005, high: float = 0.995) -> Image:
    """Intensities scaled so that the given quantiles become 0 and 1, clipped slightly beyond, channel by channel.

    Robust against a few very bright voxels; a constant channel becomes zero.
    """
    data = image.data.clone()
    for volume in data:
        for channel in volume:
            a, b = window(Image(channel[None, None], image.grid), low, high)
            scale = 1.0 / (b - a) if b > a else 0.0
            channel.sub_(a).mul_(scale).clamp_(-0.1, 1.1)
    return Image(data, image.grid, image.name, image.dtype)
