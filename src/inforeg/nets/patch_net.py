"""The network that tells patches of registered images from patches thrown together: the metric of DITR."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.nets.unet import draw
from inforeg.settings import Settings

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)]
_GAIN = 2**0.5


class PatchNetSettings(Settings):
    """See `PatchNet`."""

    ndim: Literal[2, 3] = 3
    """Axes of the images."""
    widths: Widths = (16, 32, 64, 128)
    """Features of each convolution over 3 voxels a side; the first one takes every other voxel."""

    @property
    def patch(self) -> int:
        """Voxels a side of the patches: 17 for four convolutions."""
        # Two voxels are left of a patch, and each convolution but the first took one on either side.
        return 2 * (2 + 2 * (len(self.widths) - 1)) + 1


class PatchNet(nn.Module):
    """Pairs of patches in, one logit each out: above zero where both are of the same place (Sedghi et al., DITR).

    The two images are the channels of one input, as in Zagoruyko & Komodakis (CVPR 2015). Trained on as many patches of
    one place as of two, the logit is the pointwise information of a pair of patches, and its mean over registered ones
    their mutual information (`information_nats`); the sum over patches is the likelihood of an alignment.

    Nothing is padded, so that `dense`, over whole images at once, gives for every other voxel exactly what `forward`
    gives for the patch about it. The paper leaves widths, strides and padding open; ours are four convolutions of which
    the first halves, and the mean over what is left. Weights are drawn from `generator`, without one from one seeded
    with 0.
    """

    def __init__(self, settings: PatchNetSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = settings
        generator = generator or torch.Generator().manual_seed(0)
        make = nn.Conv2d if settings.ndim == 2 else nn.Conv3d
        self.blocks = nn.ModuleList()
        into = 2
        # What they draw by themselves is replaced, and global randomness left as it was.
        with torch.random.fork_rng(devices=[]):
            for number, out in enumerate(settings.widths):
                self.blocks.append(make(into, out, 3, stride=2 if number == 0 else 1))
                into = out
            self.head = make(into, 1, 1)
        for block in (*self.blocks, self.head):
            draw(block, _GAIN, generator)

    def forward(self, patches: Float[Tensor, "n two *patch"]) -> Float[Tensor, " n"]:
        """One logit for each pair of patches. Raises `UsageError` for patches of another size."""
        wanted = (2, *[self.settings.patch] * self.settings.ndim)
        if tuple(patches.shape[1:]) != wanted:
            raise UsageError(f"expected patches of shape {wanted}, got {tuple(patches.shape[1:])}")
        return self._logits(patches).flatten(1).mean(1)

    def dense(self, pair: Float[Tensor, " b two *shape"]) -> Float[Tensor, " b *places"]:
        """The logits of all patches that lie within the images, at every other voxel along each axis: place `i` is of
        the patch whose first voxel is `2 i`. Raises `UsageError` for images smaller than a patch."""
        size, d = self.settings.patch, self.settings.ndim
        if pair.ndim != d + 2 or pair.shape[1] != 2 or min(pair.shape[2:]) < size:
            raise UsageError(
                f"expected two channels of {d} axes with at least {size} voxels each, got shape {tuple(pair.shape)}"
            )
        pool = functional.avg_pool2d if d == 2 else functional.avg_pool3d
        found: Tensor = pool(self._logits(pair), 2, stride=1)[:, 0]
        return found

    def _logits(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = functional.relu(block(x))
        found: Tensor = self.head(x)
        return found


def information_nats(logits: Float[Tensor, " n"], share_of_one_place: float = 0.5) -> Float[Tensor, ""]:
    """What the logits of registered pairs of patches say of their mutual information, in nats.

    A classifier trained on pairs of which `share_of_one_place` are of one place adds the logarithm of these odds to
    every logit, which is taken off. As good as the classifier is, it is an estimate from below.
    """
    odds = torch.logit(torch.tensor(share_of_one_place, dtype=logits.dtype, device=logits.device))
    return logits.mean() - odds


class PatchStage(Settings):
    """One network of a cascade, in the paper's words IML(`coarser`, `dither_mm2`)."""

    coarser: Annotated[int, Field(ge=1)] = 1
    """By how much the images are thinned that it sees."""
    dither_mm2: Annotated[float, Field(ge=0)] = 0.0
    """The variance by which patches of one place were shifted when it was trained."""


class PatchMetricSettings(Settings):
    """See `PatchMetric`."""

    ndim: Literal[2, 3] = 3
    """Axes of the images."""
    widths: Widths = (16, 32, 64, 128)
    """Features of each convolution of each network."""
    spacing_mm: Annotated[float, Field(gt=0)] = 1.0
    """The voxels of images that are not thinned."""
    stages: Annotated[tuple[PatchStage, ...], Field(min_length=1)] = (PatchStage(),)
    """What each network was trained for, from coarse to fine."""

    @property
    def of_each(self) -> PatchNetSettings:
        """The settings that all networks have in common."""
        return PatchNetSettings(ndim=self.ndim, widths=self.widths)

    @property
    def spacings_mm(self) -> list[float]:
        """The voxels of the images that each network sees."""
        return [self.spacing_mm * stage.coarser for stage in self.stages]

    def bytes_a_voxel(self) -> int:
        """Bytes for each voxel of a pair of patches, while slopes are asked for."""
        side, values = self.of_each.patch, 0
        for number, width in enumerate(self.widths):
            side = (side - 1) // 2 if number == 0 else side - 2
            values += width * side**self.ndim
        # Features before and after a rectifier, and their slopes; images, voxels and the slopes of both.
        return int(12 * values / self.of_each.patch**self.ndim) + 8 * (2 + 2 * self.ndim)


class PatchMetric(nn.Module):
    """A learnt metric: one `PatchNet` for each stage of iterated maximum likelihood, from coarse to fine."""

    def __init__(self, settings: PatchMetricSettings) -> None:
        super().__init__()
        self.settings = settings
        self.nets = nn.ModuleList(PatchNet(settings.of_each) for _ in settings.stages)

    def of_stage(self, stage: int) -> PatchNet:
        """The network of a stage; -1 is the last one."""
        net = self.nets[stage]
        assert isinstance(net, PatchNet)
        return net
