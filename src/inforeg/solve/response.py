"""What a statistics network has learnt, as a picture: pointwise information over a grid of two intensities."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

# All pairs of this many samples stand for those that do not belong together.
_PARTNERS = 384


@torch.no_grad()
def response(
    network: Callable[[Tensor, Tensor], Tensor],
    fixed: Float[Tensor, "n c"],
    moving: Float[Tensor, "n k"],
    size: int = 64,
    *,
    fixed_scale: tuple[float, float] = (0.0, 1.0),
    moving_scale: tuple[float, float] = (0.0, 1.0),
) -> tuple[
    Float[Tensor, " s"], Float[Tensor, " s"], Float[Tensor, "s s"], Float[Tensor, " s"], Float[Tensor, " s"]
]:
    """Pointwise information in nats over a grid of both intensities: what `methods.Response` holds, in its order.

    `fixed` and `moving` are samples as the network was shown them, row by row from the same place. The grid has
    `size` values of each: from the least to the greatest intensity of one channel, or of the place along the first
    principal component of several. The network's score is known up to a constant; less the logarithm of the mean of
    its exponential over samples that do not belong together (all pairs of some hundreds, evenly chosen), it is the
    logarithm of a ratio: above zero, two intensities are met together more often than by chance.

    A scale is what the network's intensities 0 and 1 stand for, as `(intensity of 0, difference)`: intensities come
    back in the image's own units. Places along a principal component are counted from the mean. Everything comes
    back on the CPU.
    """
    sides = [_Axis(values, size, scale) for values, scale in ((fixed, fixed_scale), (moving, moving_scale))]
    i, j = torch.cartesian_prod(torch.arange(size), torch.arange(size)).T.to(fixed.device)
    score = network(sides[0].colours[i], sides[1].colours[j])
    few = [_evenly(values, _PARTNERS) for values in (fixed, moving)]
    i, j = torch.cartesian_prod(torch.arange(len(few[0])), torch.arange(len(few[1]))).T.to(fixed.device)
    chance = torch.logsumexp(network(few[0][i], few[1][j]), dim=0) - math.log(len(i))
    nats = (score - chance).reshape(size, size).cpu()
    return sides[0].intensities, sides[1].intensities, nats, sides[0].counts, sides[1].counts


class _Axis:
    """The intensities of one side of the picture, as colours for the network, and how many samples lie at each."""

    def __init__(self, values: Tensor, size: int, scale: tuple[float, float]) -> None:
        mean, direction = _line(values)
        along = (values - mean) @ direction
        low, high = (float(v) for v in torch.aminmax(along))
        places = torch.linspace(low, high, size, device=values.device)
        self.colours = mean + places[:, None] * direction
        nearest = ((along - low) * ((size - 1) / (high - low or 1.0))).round().long()
        self.counts = torch.bincount(nearest, minlength=size).cpu().to(torch.float32)
        self.intensities = (scale[1] * places + (scale[0] if values.shape[1] == 1 else 0.0)).cpu()


def _line(values: Tensor) -> tuple[Tensor, Tensor]:
    """The line the intensities are read along: the axis of one channel, else the first principal component."""
    if values.shape[1] == 1:
        return values.new_zeros(1), values.new_ones(1)
    mean = values.mean(dim=0)
    centred = values - mean
    _, vectors = torch.linalg.eigh((centred.T @ centred).cpu().double())
    direction = vectors[:, -1].to(values)
    # The sign of an eigenvector is arbitrary: bright stays bright.
    return mean, direction * (1.0 if float(direction.sum()) >= 0 else -1.0)


def _evenly(values: Tensor, count: int) -> Tensor:
    if len(values) <= count:
        return values
    chosen: Tensor = values[
        torch.linspace(0, len(values) - 1, count, dtype=torch.float64).round().long().to(values.device)
    ]
    return chosen
