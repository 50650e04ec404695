"""Mutual information of two images at sampled positions, with the derivatives a Newton step needs.

The joint table is counted once per evaluation on a fine moving-intensity axis, smoothed there with a cubic B-spline
(the Parzen window of Thevenaz and Unser, IEEE TIP 2000), and everything else is read from tables: the derivative of
mutual information by a sample's moving intensity is the derivative of `log p(f, m) / p(f) p(m)` along `m` at its
place in the table, because the terms through the table itself sum to zero. So one evaluation costs one gather of the
moving image and one count, whatever the number of bins.

The curvature is not the table's second derivative, which is not of one sign, but the Fisher information of the moving
intensity's place given the fixed one. It is what Gauss-Newton would use if each fixed intensity predicted a Gaussian
moving one, and it stays positive for any other shape.
"""

from copy import copy
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.interpolate import inside_grid, value_and_gradient
from inforeg.image.sample import in_mask, sample
from inforeg.solve.placing import along, lift, place
from inforeg.transforms import Linear, LinearGroup

FINE = 256


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Information (nats per sample drawn, larger is better) at one transform, its slope, curvature and overlap."""

    information: float
    gradient: Tensor
    curvature: Tensor
    overlap: float


def parzen_window(bins: int) -> Float[Tensor, "fine bins"]:
    """Cubic B-spline weights of every fine intensity on every bin; rows sum to one."""
    fine = (torch.arange(FINE, dtype=torch.float64) + 0.5) / FINE
    # Two bins of margin on either side, so that no window is cut at the ends.
    place = 2.0 + fine * (bins - 5)
    x = (place[:, None] - torch.arange(bins, dtype=torch.float64)).abs()
    inner = 2 / 3 - x.square() + x**3 / 2
    outer = (2 - x).clamp(min=0) ** 3 / 6
    window = torch.where(x < 1, inner, outer)
    return (window / window.sum(dim=1, keepdim=True)).to(torch.float32)


class SampledInformation:
    """Mutual information between a fixed image at given positions and a moving image, as a function of the transform.

    Its value is the information per sample *drawn*: positions that fall outside the moving image (or its mask) add
    nothing, which is what the likelihood says of them, so shrinking the overlap never pays.

    `fixed` and `moving` have one channel; the windows are the intensities that count as 0 and 1, and what lies beyond
    is clipped. `points_mm` are `(n, d)` world positions. `group` says
    along which directions slope and curvature are given; the frame of its parameters is `centre_mm`, `radius_mm`.
    """

    def __init__(
        self,
        fixed: Image,
        moving: Image,
        points_mm: Float[Tensor, "n d"],
        group: LinearGroup,
        centre_mm: Float[Tensor, " d"],
        radius_mm: float,
        *,
        bins: int = 32,
        fixed_window: tuple[float, float] = (0.0, 1.0),
        moving_window: tuple[float, float] = (0.0, 1.0),
        moving_mask: Image | None = None,
    ) -> None:
        device = moving.data.device
        self.group = group
        self.frame = group.frame(centre_mm, radius_mm)
        self.moving = moving
        self.moving_mask = moving_mask
        values, inside = sample(fixed, points_mm.to(device, torch.float32)[None])
        keep = inside[0]
        points = (points_mm.to(torch.float64) - centre_mm) / radius_mm
        self.points = points[keep.cpu()].to(device, torch.float32).contiguous()
        self.fixed_values = _scaled(values[0, 0][keep], fixed_window)
        self.gain: Tensor | None = None
        self.moving_window = moving_window
        self.count = int(self.points.shape[0])
        self.bins = bins
        self.fixed_bin = self.bin_of(self.fixed_values)
        self.window = parzen_window(bins).to(device)
        self._slope = (self.window[2:] - self.window[:-2]) * (FINE / 2)
        self._directions = _directions(group).to(device, torch.float32)

    def split(self) -> tuple["SampledInformation", "SampledInformation"]:
        """The same objective on the even and on the odd samples."""
        halves = []
        for first in (0, 1):
            half = copy(self)
            half.points = self.points[first::2].contiguous()
            half.fixed_bin = self.fixed_bin[first::2].contiguous()
            half.fixed_values = self.fixed_values[first::2].contiguous()
            half.gain = None if self.gain is None else self.gain[first::2].contiguous()
            half.count = int(half.points.shape[0])
            halves.append(half)
        return halves[0], halves[1]

    def with_gains(self, fixed: Float[Tensor, " n"], moving: Float[Tensor, " n"]) -> "SampledInformation":
        """The same objective with every sample's intensities multiplied by gains of its own."""
        other = copy(self)
        other.fixed_bin = self.bin_of(self.fixed_values * fixed)
        other.gain = moving
        return other

    def without_gains(self) -> "SampledInformation":
        """The same objective with the intensities as they are."""
        other = copy(self)
        other.fixed_bin, other.gain = self.bin_of(self.fixed_values), None
        return other

    def bin_of(self, values: Float[Tensor, " n"]) -> Tensor:
        """The bin of scaled intensities."""
        return (values.clamp(0, 1) * (self.bins - 1) + 0.5).to(torch.int64)

    def moving_at(self, transform: Linear) -> tuple[Tensor, Tensor]:
        """The moving image's scaled intensities at the samples, and which of them lie inside it."""
        voxel, inside, _ = self._place(transform)
        values, _ = value_and_gradient(self.moving.data[0, 0], voxel)
        return _scaled(values, self.moving_window), inside

    def score(self, held_bin: Tensor, values: Tensor) -> tuple[float, Tensor, Tensor]:
        """Information between bins and scaled intensities, with its slope and curvature by every intensity."""
        cell = held_bin * FINE + _fine(values)
        counts = torch.bincount(cell, minlength=self.bins * FINE).reshape(self.bins, FINE).to(torch.float32)
        information, score, fisher, _ = self._tables(counts)
        return information, score.reshape(-1)[cell], fisher[held_bin]

    def _place(self, transform: Linear) -> tuple[Tensor, Tensor, Tensor]:
        """Voxels of the moving image the samples fall on, whether inside, and how voxels move with frame positions.

        The last is `(d, d)` for an affine transform and `(n, d, d)` for a projective one.
        """
        voxel, jacobian = place(self.moving.grid, transform, self.frame, self.points)
        inside = inside_grid(voxel, self.moving.grid.shape)
        if self.moving_mask is not None:
            inside = inside & in_mask(self.moving_mask, self.moving.grid.to_world(voxel))
        return voxel, inside, jacobian

    def __call__(self, transform: Linear) -> Evaluation:
        """Information, slope and curvature where a small step of the group comes before `transform`."""
        voxel, inside, jacobian = self._place(transform)
        values, slopes = value_and_gradient(self.moving.data[0, 0], voxel)
        values = _scaled(values, self.moving_window)
        slopes = slopes / _width(self.moving_window)
        if self.gain is not None:
            values, slopes = values * self.gain, slopes * self.gain[:, None]
        nowhere = self.bins * FINE
        cell = torch.where(inside, self.fixed_bin * FINE + _fine(values), nowhere)
        counts = (
            torch.bincount(cell, minlength=nowhere + 1)[:nowhere].reshape(self.bins, FINE).to(torch.float32)
        )
        information, score, fisher, total = self._tables(counts)
        score = torch.cat((score.reshape(-1), score.new_zeros(1)))
        fisher = torch.cat((fisher.expand(FINE, -1).T.reshape(-1), fisher.new_zeros(1)))
        lifted = lift(along(slopes, jacobian), self.points)
        pull = (score[cell] @ lifted) / self.count
        spread = (lifted * fisher[cell][:, None]).T @ lifted / self.count
        gradient = self._directions @ pull
        curvature = self._directions @ spread @ self._directions.T
        return Evaluation(
            information * total / self.count,
            gradient.double().cpu(),
            curvature.double().cpu(),
            total / self.count,
        )

    def _tables(self, counts: Tensor) -> tuple[float, Tensor, Tensor, float]:
        """From counts: information per sample inside, and per table cell its score and Fisher information."""
        total = float(counts.sum())
        if total < 1:
            return 0.0, torch.zeros_like(counts), counts.new_zeros(self.bins), 0.0
        joint = (counts @ self.window).double() / total
        rows, columns = joint.sum(1, keepdim=True), joint.sum(0, keepdim=True)
        # A hundredth of a sample in every cell: empty cells must not send scores to infinity.
        floor = 0.01 / total
        ratio = (joint + floor * rows) / (rows * columns + floor * rows).clamp(min=1e-30)
        log_ratio = torch.where(joint > 0, ratio.clamp(min=1e-30).log(), 0.0)
        information = float((joint * log_ratio).sum())
        dense = torch.where(rows > 0, ratio.clamp(min=1e-30).log(), 0.0).to(counts.dtype)
        score = torch.zeros_like(counts)
        score[:, 1:-1] = dense @ self._slope.T
        fisher = (counts * score.square()).sum(1) / counts.sum(1).clamp(min=1.0)
        return information, score, fisher, total


def _fine(values: Tensor) -> Tensor:
    return (values * FINE).clamp(0, FINE - 1).to(torch.int64)


def _width(window: tuple[float, float]) -> float:
    return window[1] - window[0] or 1.0


def _scaled(values: Tensor, window: tuple[float, float]) -> Tensor:
    return (values - window[0]) / _width(window)


def _directions(group: LinearGroup) -> Tensor:
    return group.generators.reshape(group.size, -1)
