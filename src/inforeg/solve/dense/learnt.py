"""A learnt metric of patches in the deformable solver: what each patch tells of where it lies as a whole."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image
from inforeg.solve.dense.compared import Compared, Scene, Sight
from inforeg.solve.dense.told import Pulled

# Patches are moved by so many voxels either way: by less their logits are noisy, by more they are past the peak.
_ASIDE = 2
# Over so many patches a side curvatures are averaged: what a single one tells of them is noise.
_AVERAGED = 9
# Patches that lie this share of a patch apart count as independent ones.
_APART = 1 / 3


@dataclass(frozen=True)
class PatchScore:
    """A network: the logits of all patches of a pair of images `(1, 2, *shape)`, one at every other voxel, and the
    voxels a side of a patch."""

    dense: Callable[[Tensor], Tensor]
    patch: int


class PatchLogits:
    """The logits of patches about every other voxel, of the fixed image and the warped one; the more, the likelier.

    A displacement is told by patches as wholes, as the network was taught: each is moved along every axis a little to
    either side, and the parabola through its three logits has the force and the stiffness. The exact slope, voxel by
    voxel, would bend what is within a patch until the network likes it better, which has little to do with where things
    lie. `nats` is per patch.
    """

    def __init__(
        self,
        fixed: Float[Tensor, "*box"],
        weight: Float[Tensor, "*box"],
        score: PatchScore,
        spacing_mm: Float[Tensor, " d"],
    ) -> None:
        self.score, self.spacing_mm, self.ndim = score, spacing_mm, fixed.ndim
        self.fixed = self._padded(fixed, 0)
        self.every = (slice(None, None, 2),) * fixed.ndim
        self.weight = weight[self.every]

    @torch.no_grad()
    def __call__(self, warped: Float[Tensor, "*box"], inside: Float[Tensor, "*box"]) -> Pulled:
        """What the images tell where the moving one, scaled to 0..1, is warped so."""
        d = self.ndim
        seen = self.weight * inside[self.every]
        wide = self._padded(warped, _ASIDE)
        here = self._logits(wide, [0] * d, seen)
        force, stiffness = warped.new_zeros(2, d, *warped.shape)
        for axis in range(d):
            way = [_ASIDE * (a == axis) for a in range(d)]
            after, before = self._logits(wide, way, seen), self._logits(wide, [-n for n in way], seen)
            step = _ASIDE * float(self.spacing_mm[axis])
            slope = (after - before) / (2 * step)
            bend = _averaged((2 * here - after - before) / step**2)
            # Off the peak logits bend the other way: there their slopes say how firm they are (Berndt et al. 1974).
            force[axis][self.every] = slope
            stiffness[axis][self.every] = torch.maximum(bend, _averaged(slope.square()))
        independence = min(1.0, 2 / (_APART * self.score.patch)) ** d
        return Pulled(force, stiffness, independence, float(here.sum() / seen.sum().clamp(min=1e-12)))

    def chance(self, samples: float) -> float:
        """Unrelated images tell less than nothing."""
        return 0.0

    def _logits(self, wide: Tensor, way: list[int], seen: Tensor) -> Tensor:
        """Of patches of the warped image so many voxels off, weighed by where they are seen."""
        moved = wide[
            tuple(slice(_ASIDE + w, _ASIDE + w + n) for w, n in zip(way, self.fixed.shape, strict=True))
        ]
        logits = self.score.dense(torch.stack((self.fixed, moved))[None])[0]
        return logits[tuple(slice(0, n) for n in seen.shape)] * seen

    def _padded(self, image: Tensor, more: int) -> Tensor:
        half = self.score.patch // 2 + more
        room = [half, half + 1] * self.ndim
        padded: Tensor = functional.pad(image[None, None], room, mode="replicate")[0, 0]
        return padded


def _averaged(values: Tensor) -> Tensor:
    pool = functional.avg_pool2d if values.ndim == 2 else functional.avg_pool3d
    found: Tensor = pool(values[None, None], _AVERAGED, 1, _AVERAGED // 2)[0, 0]
    return found


class OfPatches:
    """A comparison by a network, on every level by the same: patches are as many voxels, and cover more of a coarser
    one."""

    def __init__(self, score: PatchScore, scene: Scene) -> None:
        self.score, self.scene = score, scene

    def on(self, sight: Sight) -> Compared:
        """Both images, scaled to 0..1 as the network knows them."""
        fixed, moving = (
            ((image.data[0, 0] - low) / ((high - low) or 1.0)).clamp(-0.1, 1.1)
            for image, (low, high) in zip((sight.fixed, sight.moving), self.scene.windows, strict=True)
        )
        channels = [moving]
        if sight.moving_mask is not None:
            channels.append(sight.moving_mask.to(moving))
        spacing = sight.fixed.grid.spacing_mm
        likeness = PatchLogits(fixed[sight.box].contiguous(), sight.weight, self.score, spacing)
        return Compared(likeness, Image(torch.stack(channels)[None], sight.moving.grid), 1, sight.linear)
