"""Random changes of known size: of place and shape, and of light."""

from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from inforeg.image import Image
from inforeg.transforms import Linear, group


@dataclass(frozen=True)
class Amounts:
    """The most that a random transform does, drawn evenly from minus to plus.

    `shift` is in mm, or, with `relative`, a share of the image's length along each axis; `scale` is about 1, along
    each axis for itself; `perspective` is what a point on the image's rim is divided by beyond 1.
    """

    shift: float
    turn_rad: float
    scale: float = 0.05
    shear: float = 0.03
    perspective: float = 0.05
    relative: bool = True


# Categories S and A of FIRE, the pairs on which Nan et al. report: much overlap, small turns.
PICTURE = Amounts(shift=0.1, turn_rad=0.1745)
# The ranges of Sedghi et al. (arXiv 1901.00040).
HEAD = Amounts(shift=20.0, turn_rad=0.15, shear=0.01, relative=False)


def generator_for(*what: object) -> torch.Generator:
    """A generator whose numbers depend on these words and numbers alone."""
    digest = sha256("/".join(map(str, what)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


def random_transform(
    kind: str, centre_mm: Tensor, extent_mm: Tensor, amounts: Amounts, generator: torch.Generator
) -> Linear:
    """A rigid, affine or projective transform about a point; the sizes are those of `amounts`."""
    d = len(centre_mm)

    def draw(count: int, most: float) -> Tensor:
        return most * (2 * torch.rand(count, generator=generator, dtype=torch.float64) - 1)

    shift = draw(d, amounts.shift) * (extent_mm if amounts.relative else 1.0)
    turns = draw(1 if d == 2 else 3, amounts.turn_rad)
    origin = torch.zeros(d, dtype=torch.float64)
    turn = group("rigid", d).exp(torch.cat((origin, turns)), origin, 1.0)
    linear = turn.matrix[:d, :d]
    if kind != "rigid":
        shear = torch.eye(d, dtype=torch.float64)
        rows, columns = torch.triu_indices(d, d, offset=1)
        shear[rows, columns] = draw(len(rows), amounts.shear)
        linear = linear @ shear @ torch.diag(1 + draw(d, amounts.scale))
    moved = Linear.about(linear, centre_mm, shift)
    if kind != "projective":
        return moved
    tilt = torch.eye(d + 1, dtype=torch.float64)
    tilt[d, :d] = draw(d, amounts.perspective) / (extent_mm / 2)
    to_centre = Linear.translation(-centre_mm)
    return Linear(moved.matrix @ to_centre.inverse().matrix @ tilt @ to_centre.matrix)


def relit(image: Image, generator: torch.Generator) -> Image:
    """The picture (0 to 255) in another light: per channel another gamma and gain, a smooth field over all, noise.

    Gamma is within 0.8 to 1.25, gain within 0.7 to 1, the field within a factor of 1.1 of 1, and the noise has a
    deviation of 1.5; what comes out is whole numbers again.
    """

    def draw(count: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, generator=generator)

    shape = [image.channels, *[1] * image.grid.ndim]
    gamma = torch.exp(draw(image.channels, -0.223, 0.223)).reshape(shape)
    gain = draw(image.channels, 0.7, 1.0).reshape(shape)
    light = torch.exp(0.1 * _field(image.grid.shape, generator))
    values = (image.data / 255).clamp(0, 1) ** gamma * gain * light
    noise = torch.randn(image.data.shape, generator=generator)
    return Image((255 * values + 1.5 * noise).round().clamp(0, 255), image.grid, image.name, image.dtype)


def _field(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A random polynomial of second order over an image, from -1 to 1 or less."""
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape), indexing="ij")
    terms = [*axes, *(a * b for i, a in enumerate(axes) for b in axes[i:])]
    weights = torch.randn(len(terms), generator=generator)
    field = sum((w * term for w, term in zip(weights, terms, strict=True)), torch.zeros(shape))
    field = field - (field.max() + field.min()) / 2
    return field / field.abs().max()
