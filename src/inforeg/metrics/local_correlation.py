"""The squared correlation in the window around each voxel, with its exact derivatives, in slabs of an image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image.windows import slabs, window_sums
from inforeg.metrics.at_once import Slopes, with_slopes

# A window of which less is seen (at a corner of a mask) says nothing: two voxels always correlate.
_LEAST_SEEN = 0.1
# Variance, relative to the whole image's, below which a window counts as flat.
_FLAT = 1e-4


def squared_local_correlation(
    fixed: Float[Tensor, "b c ..."],
    warped: Float[Tensor, "b c ..."],
    weight: Float[Tensor, "b ..."],
    window_voxels: int,
) -> Float[Tensor, " b"]:
    """The weighted mean over voxels and channels of the squared correlation in the window around each voxel.

    See `LNCC` for what counts at borders and in flat windows. The derivatives by all three inputs are exact, and are
    computed with the value where they will be asked for.
    """

    def mean(slopes: Slopes, fixed: Tensor, warped: Tensor, weight: Tensor) -> Tensor:
        images = _Images.of(fixed, warped, weight[:, None], window_voxels)
        of_weight = slopes[2]
        value = images.add_up([*slopes[:2], None if of_weight is None else of_weight[:, None]])
        if of_weight is not None:
            # The weights are divided by their sum.
            of_weight -= value.reshape(-1, *[1] * (weight.ndim - 1)) / images.total[:, 0]
        return value

    return with_slopes(mean, fixed, warped, weight)


@dataclass(frozen=True)
class _Images:
    """Two images with weights `(b, 1, ...)`, and what their windows are measured by; all of it `(b, c, 1, ...)`."""

    fixed: Tensor
    warped: Tensor
    weight: Tensor
    window: int
    total: Tensor
    """Sum of the weights; 1 where there are none."""
    means: tuple[Tensor, Tensor]
    variances: tuple[Tensor, Tensor]
    least: Tensor
    """How much weight a window has to hold."""

    @classmethod
    def of(cls, fixed: Tensor, warped: Tensor, weight: Tensor, window: int) -> "_Images":
        axes = tuple(range(2, fixed.ndim))
        total = weight.sum(dim=axes, keepdim=True)
        total = torch.where(total > 0, total, 1.0)

        def mean(values: Tensor, centre: Tensor | None) -> Tensor:
            rows = slabs(values, 0)
            found = values.new_zeros((*values.shape[:2], *[1] * len(axes)))
            for a, b in rows:
                part = values[:, :, a:b] if centre is None else (values[:, :, a:b] - centre).square()
                found += (weight[:, :, a:b] * part).sum(dim=axes, keepdim=True)
            return found / total

        means = mean(fixed, None), mean(warped, None)
        variances = mean(fixed, means[0]), mean(warped, means[1])
        full = window ** len(axes)
        least = _LEAST_SEEN * full * weight.amax(dim=axes, keepdim=True)
        return cls(fixed, warped, weight, window, total, means, variances, least)

    def add_up(self, slopes: Slopes) -> Tensor:
        """The value `(b,)`; its derivatives are added to what of `slopes` is not None, in the shape of the inputs."""
        value = self.fixed.new_zeros(self.fixed.shape[0])
        # How the value changes with what is added to flat windows.
        by_flat = [torch.zeros_like(v) for v in self.variances]
        for start, end in slabs(self.fixed, self.window // 2):
            value += self._slab(start, end, slopes, by_flat)
        for start, end in slabs(self.fixed, 0):
            rows = slice(start, end)
            w = self.weight[:, :, rows]
            for which, image in enumerate((self.fixed, self.warped)):
                centred = image[:, :, rows] - self.means[which]
                share = _FLAT * by_flat[which] / self.total
                own, of_weight = slopes[which], slopes[2]
                if own is not None:
                    own[:, :, rows] += 2 * share * w * centred
                if of_weight is not None:
                    by_weight = share * (centred.square() - self.variances[which])
                    of_weight[:, :, rows] += by_weight.sum(dim=1, keepdim=True)
        return value

    def _slab(self, start: int, end: int, slopes: Slopes, by_flat: list[Tensor]) -> Tensor:
        """What the voxels of some rows add to the value and to its derivatives."""
        half = self.window // 2
        low, high = max(0, start - half), min(self.fixed.shape[2], end + half)
        before, after = half - (start - low), half - (high - end)
        w = self.weight[:, :, low:high]
        x = self.fixed[:, :, low:high] - self.means[0]
        y = self.warped[:, :, low:high] - self.means[1]

        def seen(values: Tensor) -> Tensor:
            return window_sums(values, self.window, before, after)

        def spread(values: Tensor) -> Tensor:
            """To every voxel of the input, what the windows that hold it have."""
            return window_sums(values, self.window, half + start - low, half + high - end)

        wx, wy = w * x, w * y
        count = seen(w)
        share = torch.where(count > 0, count, 1.0)
        # Centred on the whole image's mean: the variance of a window is a difference, exact only of small numbers.
        x_mean, y_mean = seen(wx) / share, seen(wy) / share
        xx = (seen(wx * x) / share).sub_(x_mean.square())
        yy = (seen(wy * y) / share).sub_(y_mean.square())
        xy = (seen(wx * y) / share).sub_(x_mean * y_mean)
        x_flat, y_flat = (_FLAT * v + torch.finfo(v.dtype).eps ** 2 for v in self.variances)
        x_spread, y_spread = xx.clamp(min=0) + x_flat, yy.clamp(min=0) + y_flat
        slope = xy / (x_spread * y_spread)
        squared = xy * slope
        middle = w[:, :, start - low : end - low]
        factor = torch.where(count >= self.least, middle / (self.total * x.shape[1]), 0.0)
        axes = tuple(range(1, x.ndim))
        value = (factor * squared).sum(dim=axes)
        if all(wanted is None for wanted in slopes):
            return value
        # By covariance (a) and variances (b), per weight in the window.
        b_x, b_y = -factor * squared / x_spread, -factor * squared / y_spread
        for known, b in zip(by_flat, (b_x, b_y), strict=True):
            known += b.sum(dim=axes[1:], keepdim=True)
        a = 2 * factor * slope / share
        b_x = torch.where(xx >= 0, b_x / share, 0.0)
        b_y = torch.where(yy >= 0, b_y / share, 0.0)
        of_fixed, of_warped, of_weight = slopes
        a_all = spread(a)
        parts: dict[str, tuple[Tensor, Tensor]] = {}
        if of_fixed is not None or of_weight is not None:
            parts["x"] = spread(b_x), spread(a * y_mean + 2 * b_x * x_mean)
        if of_warped is not None or of_weight is not None:
            parts["y"] = spread(b_y), spread(a * x_mean + 2 * b_y * y_mean)
        if of_fixed is not None:
            b, c = parts["x"]
            of_fixed[:, :, low:high] += w * (y * a_all + 2 * x * b - c)
        if of_warped is not None:
            b, c = parts["y"]
            of_warped[:, :, low:high] += w * (x * a_all + 2 * y * b - c)
        if of_weight is not None:
            (b, c), (e, f) = parts["x"], parts["y"]
            rest = a * (x_mean * y_mean - xy) + b_x * (x_mean.square() - xx) + b_y * (y_mean.square() - yy)
            each = x * y * a_all + x * (x * b - c) + y * (y * e - f) + spread(rest)
            of_weight[:, :, low:high] += each.sum(dim=1, keepdim=True)
            own = torch.where(count >= self.least, squared, 0.0).sum(dim=1, keepdim=True)
            of_weight[:, :, start:end] += own / (self.total * x.shape[1])
        return value
