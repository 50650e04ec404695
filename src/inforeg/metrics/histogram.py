"""Joint histograms with soft bins, and their exact derivatives, in memory that does not grow with the
samples."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

Window = Literal["nearest", "linear", "cubic"]

# Samples counted at a time: what is computed per sample and bin lives no longer than this.
_CHUNK = 1 << 15
# Values looked at to find a range.
_RANGE_SAMPLES = 1 << 14

# How many bins a window needs beyond either end of the range.
_MARGIN: dict[Window, int] = {"nearest": 0, "linear": 0, "cubic": 1}


def intensity_range(
    values: Float[Tensor, " n"], weight: Float[Tensor, " n"], clip: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The range that leaves out a share `clip` of the values at either end; no gradient flows through it.

    Only samples with weight count, and of many only an even selection. Where hardly anything varies, so that
    nothing would be left of the range, it is that of all values.
    """
    values = values.detach()
    seen = weight > 0
    if not bool(seen.all()):
        values = values[seen]
    if values.numel() == 0:
        return values.new_zeros(()), values.new_zeros(())
    if clip > 0:
        few = values[:: max(1, values.numel() // _RANGE_SAMPLES)].contiguous()
        skip = int(clip * few.numel())
        low, high = few.kthvalue(1 + skip).values, few.kthvalue(few.numel() - skip).values
        if bool(high > low):
            return low, high
    return values.min(), values.max()


def place(
    values: Float[Tensor, " n"], low: Float[Tensor, ""], high: Float[Tensor, ""], bins: int, window: Window
) -> Float[Tensor, " n"]:
    """Intensities as positions among `bins` bins, every window inside; what is beyond the range, at its ends.

    A range of no width is the middle bin.
    """
    margin = _MARGIN[window]
    last = bins - 1 - 2 * margin
    width = high - low
    empty = width <= 0
    scaled = (values - low) / torch.where(empty, 1.0, width)
    scaled = torch.where(empty, 0.5, scaled.clamp(0.0, 1.0))
    return scaled * last + margin


def bin_centres(
    low: Float[Tensor, ""], high: Float[Tensor, ""], bins: int, window: Window
) -> Float[Tensor, " bins"]:
    """The intensities in the middle of the bins, as `place` lays them."""
    margin = _MARGIN[window]
    index = torch.arange(bins, dtype=low.dtype, device=low.device)
    return low + (high - low) * (index - margin) / (bins - 1 - 2 * margin)


def joint_histogram(
    fixed_place: Float[Tensor, " n"],
    warped_place: Float[Tensor, " n"],
    weight: Float[Tensor, " n"],
    bins: int,
    fixed_window: Window,
    warped_window: Window,
) -> Float[Tensor, "bins bins"]:
    """How much weight falls on every pair of bins; rows are fixed.

    Each sample is spread with its window (B-splines of degree 0, 1 or 3; they sum to one, so all weight is
    counted). The derivatives by places and weights are exact; that by a place under the window `nearest` is
    zero. Memory beyond input and output does not grow with n, and the same input gives the same bytes.
    """
    table: Tensor = _JointHistogram.apply(  # type: ignore[no-untyped-call]
        fixed_place, warped_place, weight, bins, fixed_window, warped_window
    )
    return table


class _JointHistogram(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        fixed: Tensor,
        warped: Tensor,
        weight: Tensor,
        bins: int,
        fixed_window: Window,
        warped_window: Window,
    ) -> Tensor:
        ctx.save_for_backward(fixed, warped, weight)
        ctx.windows = (bins, fixed_window, warped_window)
        count = _count_by_index if fixed.device.type == "cpu" else _count_by_product
        # Counts of millions of samples lose their small change in float32; MPS has nothing better.
        exact = fixed.dtype if fixed.device.type == "mps" else torch.float64
        table = torch.zeros((bins, bins), dtype=exact, device=fixed.device)
        for x, y, w in _chunks(fixed, warped, weight):
            table += count(x, y, w, bins, fixed_window, warped_window)
        return table.to(fixed.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        fixed, warped, weight = ctx.saved_tensors
        bins, fixed_window, warped_window = ctx.windows
        flat = slope.reshape(-1)
        by_fixed, by_warped, by_weight = ctx.needs_input_grad[:3]
        wanted = (by_fixed, by_warped, by_weight)
        found: tuple[list[Tensor], ...] = ([], [], [])
        for x, y, w in _chunks(fixed, warped, weight):
            i, wx, dx = _taps(x, bins, fixed_window)
            j, wy, dy = _taps(y, bins, warped_window)
            corner = i * bins + j
            sums = [torch.zeros_like(w) for _ in range(3)]
            for b in range(len(wy)):
                along, across = torch.zeros_like(w), torch.zeros_like(w)
                for a in range(len(wx)):
                    value = flat.index_select(0, corner + (a * bins + b))
                    along.addcmul_(wx[a], value)
                    if by_fixed:
                        across.addcmul_(dx[a], value)
                if by_fixed:
                    sums[0].addcmul_(across, wy[b])
                if by_warped:
                    sums[1].addcmul_(along, dy[b])
                if by_weight:
                    sums[2].addcmul_(along, wy[b])
            for parts, total, factor in zip(found, sums, (w, w, None), strict=True):
                parts.append(total if factor is None else total * factor)
        slopes = [torch.cat(parts) if yes else None for yes, parts in zip(wanted, found, strict=True)]
        return (*slopes, None, None, None)


def _chunks(*tensors: Tensor) -> Any:
    return zip(*(torch.split(t, _CHUNK) for t in tensors), strict=True)


def _taps(place: Tensor, bins: int, window: Window) -> tuple[Tensor, tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The first bin each sample touches, its weights on that and on the next ones, and their slopes; all
    `(n,)`."""
    if window == "nearest":
        first = (place + 0.5).floor().clamp(max=bins - 1)
        return first.to(torch.int64), (torch.ones_like(place),), (torch.zeros_like(place),)
    if window == "linear":
        first = place.floor().clamp(max=bins - 2)
        t = place - first
        one = torch.ones_like(t)
        return first.to(torch.int64), (1 - t, t), (-one, one)
    middle = place.floor().clamp(max=bins - 3)
    t = place - middle
    s = 1 - t
    tt, ss = t * t, s * s
    weights = (ss * s / 6, (t / 2 - 1) * tt + 2 / 3, (s / 2 - 1) * ss + 2 / 3, tt * t / 6)
    slopes = (-ss / 2, (1.5 * t - 2) * t, (2 - 1.5 * s) * s, tt / 2)
    return middle.to(torch.int64) - 1, weights, slopes


def _count_by_index(
    fixed: Tensor, warped: Tensor, weight: Tensor, bins: int, fixed_window: Window, warped_window: Window
) -> Tensor:
    """One weighted count per pair of taps: quickest on a CPU, where it is also the same every time."""
    i, wx, _ = _taps(fixed, bins, fixed_window)
    j, wy, _ = _taps(warped, bins, warped_window)
    corner = i * bins + j
    # Counts are sums, and in float32 a full bin swallows part of what is added to it.
    columns = [w.double() for w in wy]
    table = torch.zeros(bins * bins, dtype=torch.float64, device=fixed.device)
    for a in range(len(wx)):
        row = (weight * wx[a]).double()
        for b, column in enumerate(columns):
            table += torch.bincount(corner + (a * bins + b), row * column, minlength=bins * bins)
    return table.reshape(bins, bins)


def _count_by_product(
    fixed: Tensor, warped: Tensor, weight: Tensor, bins: int, fixed_window: Window, warped_window: Window
) -> Tensor:
    """A product of two tall matrices of weights: no two threads write to one bin, so the order is always the
    same."""
    rows = _spread(fixed, bins, fixed_window) * weight[:, None]
    return rows.T @ _spread(warped, bins, warped_window)


def _spread(place: Tensor, bins: int, window: Window) -> Tensor:
    first, weights, _ = _taps(place, bins, window)
    columns = first[:, None] + torch.arange(len(weights), device=place.device)
    return place.new_zeros((place.shape[0], bins)).scatter_(1, columns, torch.stack(weights, dim=1))
