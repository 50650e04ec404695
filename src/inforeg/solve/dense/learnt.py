"""A learnt metric of patches as a likelihood of every voxel."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image
from inforeg.solve.dense.compared import Compared, Scene, Sight
from inforeg.solve.dense.tables import Told

# Over so many voxels a side curvatures are averaged: what one draw of signs tells of each is noise.
_AVERAGED = 5


@dataclass(frozen=True)
class PatchScore:
    """One network: the logits of all patches of a pair of images `(1, 2, *shape)`, one at every other voxel, the voxels
    a side of a patch, and those it is meant for, in mm."""

    dense: Callable[[Tensor], Tensor]
    patch: int
    spacing_mm: float


class PatchLogits:
    """The logits of patches about every other voxel, of the fixed image and the warped one; the more, the likelier.

    The slope by a warped voxel is exact, the sum over all patches that hold it. Its curvature is the sum of their
    squared slopes, Fisher's information (Berndt et al. 1974), told without bias by one more look: the square of a sum
    with random signs. Patches overlap, so both count every voxel many times; how many voxels are worth one is measured
    by the level that asks (`Look`). `nats` is per patch.
    """

    def __init__(
        self,
        fixed: Float[Tensor, "*box"],
        weight: Float[Tensor, "*box"],
        score: PatchScore,
        generator: torch.Generator,
    ) -> None:
        self.score, self.generator = score, generator
        self.pads = [score.patch // 2, score.patch // 2 + 1] * fixed.ndim
        self.fixed, self.weight = self._padded(fixed), weight[(slice(None, None, 2),) * fixed.ndim]

    def __call__(self, warped: Float[Tensor, "*box"], inside: Float[Tensor, "*box"]) -> Told:
        """What the images tell where the moving one, scaled to 0..1, is warped so."""
        seen = self.weight * inside[(slice(None, None, 2),) * inside.ndim]
        moved = warped.detach().requires_grad_()
        with torch.enable_grad():
            logits = self.score.dense(torch.stack((self.fixed, self._padded(moved)))[None])[0]
            logits = logits[tuple(slice(0, n) for n in seen.shape)]
            (slope,) = torch.autograd.grad((logits * seen).sum(), moved, retain_graph=True)
            signs = torch.randint(2, seen.shape, generator=self.generator).to(seen) * 2 - 1
            (drawn,) = torch.autograd.grad((logits * signs * seen.sqrt()).sum(), moved)
        pool = functional.avg_pool2d if warped.ndim == 2 else functional.avg_pool3d
        curvature = pool(drawn.square()[None, None], _AVERAGED, 1, _AVERAGED // 2)[0, 0]
        nats = float((logits.detach() * seen).sum() / seen.sum().clamp(min=1e-12))
        return Told(slope, curvature, nats)

    def chance(self, samples: float) -> float:
        """Unrelated images tell less than nothing."""
        return 0.0

    def _padded(self, image: Tensor) -> Tensor:
        padded: Tensor = functional.pad(image[None, None], self.pads, mode="replicate")[0, 0]
        return padded


class OfPatches:
    """A comparison by networks: on every level the one that is meant for voxels nearest to the level's."""

    def __init__(self, scores: Sequence[PatchScore], scene: Scene) -> None:
        self.scores, self.scene = scores, scene

    def on(self, sight: Sight) -> Compared:
        """Both images, scaled to 0..1 as the networks know them."""
        spacing = float(sight.fixed.grid.spacing_mm.mean())
        score = min(self.scores, key=lambda one: abs(log(one.spacing_mm / spacing)))
        fixed, moving = (
            ((image.data[0, 0] - low) / ((high - low) or 1.0)).clamp(-0.1, 1.1)
            for image, (low, high) in zip((sight.fixed, sight.moving), self.scene.windows, strict=True)
        )
        channels = [moving]
        if sight.moving_mask is not None:
            channels.append(sight.moving_mask.to(moving))
        likeness = PatchLogits(fixed[sight.box].contiguous(), sight.weight, score, self.scene.generator)
        return Compared(likeness, Image(torch.stack(channels)[None], sight.moving.grid), 1, sight.linear)
