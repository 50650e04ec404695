"""The likelihood of a linear transform by a network that tells whether two patches are of one place.

The objective is the sum of the network's logits over patches (Sedghi et al., arXiv 1901.00040). Its slope is taken
through the network, by the voxels of every moving patch, and by how they move. The curvature is the outer product of
the patches' slopes (Berndt, Hall, Hall and Hausman 1974): Fisher's information where the network is right, and never
negative where it is not.
"""

from collections.abc import Callable, Iterator
from copy import copy
from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.interpolate import inside_grid
from inforeg.image.patches import cut, patch_lattice, patch_voxels
from inforeg.image.sample import in_mask
from inforeg.solve.information import Evaluation
from inforeg.transforms import Linear, LinearGroup

# Patches that are looked at together: their features stay within a few hundred megabytes.
_AT_ONCE = 256
Score = Callable[[Float[Tensor, "n two *patch"]], Float[Tensor, " n"]]


class PatchLikelihood:
    """The mean logit of pairs of patches, those of the fixed image about `centres_mm`, as a function of a transform.

    `score` gives the logits of patches of `patch` voxels of `spacing_mm` a side. Centres that a transform takes out of
    the moving image, or its mask, tell nothing and count as zero. Patches lie along the world's axes. The frame of the
    group's parameters is `centre_mm`, `radius_mm`. Features are computed in float32; where slopes are asked for, in
    `precision`, so that the value that comes with them is as exact as that.
    """

    def __init__(
        self,
        score: Score,
        patch: int,
        spacing_mm: float,
        fixed: Image,
        moving: Image,
        centres_mm: Float[Tensor, "n d"],
        group: LinearGroup,
        centre_mm: Float[Tensor, " d"],
        radius_mm: float,
        moving_mask: Image | None = None,
        precision: torch.dtype = torch.float32,
    ) -> None:
        self.precision = precision
        d, self.device = fixed.grid.ndim, moving.data.device
        self.score, self.moving, self.group, self.moving_mask = score, moving, group, moving_mask
        self.centre_mm, self.radius_mm = centre_mm, radius_mm
        self.centres = centres_mm[inside_grid(fixed.grid.to_voxel(centres_mm), fixed.grid.shape)]
        self.lattice = patch_lattice(patch, d, spacing_mm)
        self.shape = (patch,) * d
        eye = torch.eye(d + 1, dtype=torch.float64)
        self.fixed = cut(fixed, patch_voxels(fixed.grid, eye, self.centres, self.lattice, self.device))

    def split(self) -> tuple["PatchLikelihood", "PatchLikelihood"]:
        """The same on the even and on the odd patches."""
        halves = []
        for first in (0, 1):
            half = copy(self)
            half.centres, half.fixed = self.centres[first::2], self.fixed[first::2]
            halves.append(half)
        return halves[0], halves[1]

    @torch.no_grad()
    def told(self, transform: Linear) -> float:
        """The mean logit under a transform."""
        total = 0.0
        for part, voxel in self._parts(transform):
            total += float(self._logits(part, cut(self.moving, voxel)).double().sum())
        return total / max(1, len(self.centres))

    @torch.no_grad()
    def by_chance(self, transform: Linear, deals: int = 2) -> float:
        """The logarithm of the mean of `exp logit` over the same patches, dealt anew among one another, in nats.

        It is zero for the images that a network has learnt to tell apart, whose logits are logarithms of odds: the
        information that they tell is the mean logit less this (Donsker and Varadhan). Of images that it does not know
        logits may be anything, and this takes off what has nothing to do with where they lie.
        """
        parts = list(self._parts(transform))
        if not parts:
            return 0.0
        numbers = torch.cat([part for part, _ in parts])
        moving = torch.cat([cut(self.moving, voxel) for _, voxel in parts])
        found = []
        for deal in range(1, deals + 1):
            # As far from each other as can be: neighbours in number are neighbours in place.
            dealt = moving.roll(deal * len(moving) // (deals + 1) or 1, 0)
            chunks = zip(torch.split(numbers, _AT_ONCE), torch.split(dealt, _AT_ONCE), strict=True)
            found += [self._logits(part, values) for part, values in chunks]
        logits = torch.cat(found).double()
        return float(torch.logsumexp(logits, 0)) - log(len(logits))

    def __call__(self, transform: Linear) -> Evaluation:
        """The mean logit, its slope and curvature where a small step of the group comes before `transform`."""
        d, size = self.lattice.shape[1], self.group.size
        gradient, curvature = torch.zeros(size).double(), torch.zeros(size, size).double()
        total, seen = 0.0, 0
        to_voxel = (self.moving.grid.world_to_voxel @ transform.matrix)[:d, :d].float().to(self.device)
        generators = self.group.generators[:, :d].reshape(size, -1).float().to(self.device)
        lattice = self.lattice.float().to(self.device)
        for part, voxel in self._parts(transform):
            voxel.requires_grad_()
            rough = torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32)
            with torch.enable_grad(), rough:
                logits = self._logits(part, cut(self.moving, voxel))
                # No patch has a say in another's logit.
                (slopes,) = torch.autograd.grad(logits.sum(), voxel)
            # By places in the fixed world, each in the frame of the group: its products with homogeneous places.
            pulled = torch.einsum("nvp,vd->ndp", slopes, to_voxel) * self.radius_mm
            middles = ((self.centres[part] - self.centre_mm) / self.radius_mm).float().to(self.device)
            along = pulled.sum(2)
            by_place = pulled @ (lattice / self.radius_mm) + along[:, :, None] * middles[:, None, :]
            products = torch.cat((by_place, along[:, :, None]), dim=2).reshape(len(middles), -1)
            pulls = (products @ generators.T).double().cpu()
            gradient += pulls.sum(0)
            curvature += pulls.T @ pulls
            total += float(logits.detach().double().sum())
            seen += len(pulls)
        count = max(1, len(self.centres))
        return Evaluation(total / count, gradient / count, curvature / count, seen / count)

    def overlap(self, transform: Linear) -> float:
        """The share of centres that a transform takes into the moving image, and its mask."""
        return float(self._inside(transform(self.centres)).double().mean())

    def _inside(self, moved: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
        inside = inside_grid(self.moving.grid.to_voxel(moved), self.moving.grid.shape)
        return inside if self.moving_mask is None else inside & in_mask(self.moving_mask, moved).cpu()

    def _parts(self, transform: Linear) -> Iterator[tuple[Tensor, Tensor]]:
        """The patches whose centres stay inside, some at a time: their numbers, and where their voxels fall."""
        inside = self._inside(transform(self.centres))
        if not bool(inside.any()):
            return
        for part in torch.split(inside.nonzero()[:, 0], _AT_ONCE):
            centres = self.centres[part]
            yield (
                part,
                patch_voxels(self.moving.grid, transform.matrix, centres, self.lattice, self.device),
            )

    def _logits(self, part: Tensor, moving: Tensor) -> Tensor:
        pair = torch.stack((self.fixed[part], moving), dim=1)
        return self.score(pair.reshape(len(pair), 2, *self.shape))
