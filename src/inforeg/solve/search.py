"""A search over all rotations, and over shifts where a field of view may be cut, scored by mutual information.

Rotations are spread evenly over SO(3) (super-Fibonacci spirals, Alexa, CVPR 2022). Every pose is scored at a coarse
resolution with a histogram of a thousand and some samples; the best are refined and compared again at finer levels.
"""

from math import pi, sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.sample import covers

# Poses are scored in blocks whose working memory stays within the processor's cache, about.
_BLOCK = 1 << 18


def rotations_3d(count: int) -> Float[Tensor, "count 3 3"]:
    """`count` rotations that cover SO(3) evenly; the first is not special, so add the identity where it matters."""
    s = torch.arange(count, dtype=torch.float64) + 0.5
    t = s / count
    alpha = 2 * pi * s / sqrt(2)
    beta = 2 * pi * s / 1.533751168755204288118041
    x, y = t.sqrt() * alpha.sin(), t.sqrt() * alpha.cos()
    z, w = (1 - t).sqrt() * beta.sin(), (1 - t).sqrt() * beta.cos()
    rows = [
        (1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        (2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        (2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def rotations_2d(count: int) -> Float[Tensor, "count 2 2"]:
    """`count` rotations of the plane, evenly spaced, the identity first."""
    angle = torch.arange(count, dtype=torch.float64) * (2 * pi / count)
    c, s = angle.cos(), angle.sin()
    return torch.stack((torch.stack((c, -s), -1), torch.stack((s, c), -1)), dim=-2)


def rotation_angle_deg(a: Tensor, b: Tensor) -> Tensor:
    """The angle between rotations `a` and `b`, in degrees; uniform scales are ignored."""
    relative = (a.transpose(-1, -2) @ b).diagonal(dim1=-2, dim2=-1).sum(-1)
    d = a.shape[-1]
    relative = relative / (torch.linalg.det(a) * torch.linalg.det(b)).abs() ** (1 / d)
    cosine = relative / 2 if d == 2 else (relative - 1) / 2
    return torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))


class PoseScore:
    """The coarse mutual information of many poses at once.

    `points_mm` are fixed positions `(n, d)` with intensities `values` (0..1); the moving image is read at the nearest
    voxel of a coarse, smooth version of itself. Positions outside it, or its mask, add nothing, as in
    `SampledInformation`.
    """

    def __init__(
        self, points_mm: Tensor, values: Tensor, moving: Image, bins: int = 12, mask: Image | None = None
    ) -> None:
        device = moving.data.device
        self.bins = bins
        self.points = points_mm.to(device, torch.float32)
        self.fixed_bin = (values.clamp(0, 1) * (bins - 1) + 0.5).to(device, torch.int32)
        self.grid = moving.grid
        code = (moving.data[0, 0].clamp(0, 1) * (bins - 1) + 0.5).to(torch.int32)
        if mask is not None:
            code = torch.where(covers(mask, moving.grid).reshape(code.shape), code, bins)
        # One voxel of "outside" all round, so that leaving the field of view is one more code and not a branch.
        d = code.ndim
        self.codes = torch.nn.functional.pad(code, (1, 1) * d, value=bins).reshape(-1).contiguous()
        self.shape = [n + 2 for n in code.shape]

    def __call__(self, matrices: Float[Tensor, "c e e"]) -> Float[Tensor, " c"]:
        """Information in nats per sample drawn, for each `(d+1, d+1)` world matrix (fixed to moving)."""
        n = self.points.shape[0]
        block = max(1, _BLOCK // n)
        to_voxel = (self.grid.world_to_voxel @ matrices).to(self.points.device, torch.float32)
        return torch.cat([self._block(to_voxel[i : i + block]) for i in range(0, len(to_voxel), block)]).cpu()

    def _block(self, to_voxel: Tensor) -> Tensor:
        c, d, bins = len(to_voxel), self.points.shape[1], self.bins
        index: Tensor | None = None
        for axis in range(d):
            row = to_voxel[:, axis]
            # The half for rounding and the one for the padding in one shift.
            place = torch.addmm(row[:, d:] + 1.5, row[:, :d], self.points.T)
            place = place.clamp_(0, self.shape[axis] - 1).to(torch.int32)
            index = place if index is None else index.mul_(self.shape[axis]).add_(place)
        assert index is not None
        code = torch.index_select(self.codes, 0, index.reshape(-1)).reshape(c, -1)
        width = bins + 1
        cell = code.add_(self.fixed_bin * width)
        cell.add_((torch.arange(c, device=cell.device, dtype=torch.int32) * (bins * width))[:, None])
        counts = torch.bincount(cell.reshape(-1), minlength=c * bins * width)
        joint = counts.reshape(c, bins, width)[:, :, :bins].to(torch.float32)
        return information_of_counts(_blur(joint), self.points.shape[0])


def _blur(joint: Tensor) -> Tensor:
    """A [1 2 1] window along the moving intensities: a poor man's Parzen window that costs nothing."""
    padded = torch.nn.functional.pad(joint, (1, 1))
    return 0.25 * padded[..., :-2] + 0.5 * joint + 0.25 * padded[..., 2:]


def information_of_counts(joint: Float[Tensor, "*c a b"], drawn: int) -> Float[Tensor, "*c"]:
    """Mutual information of tables of counts, times the share of the drawn samples they hold."""
    total = joint.sum((-1, -2), keepdim=True).clamp(min=1e-6)

    def plogp(p: Tensor) -> Tensor:
        result: Tensor = torch.special.xlogy(p, p)
        return result

    p = joint / total
    mutual = plogp(p).sum((-1, -2)) - plogp(p.sum(-1)).sum(-1) - plogp(p.sum(-2)).sum(-1)
    return mutual * total[..., 0, 0] / drawn
