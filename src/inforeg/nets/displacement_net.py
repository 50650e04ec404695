"""The network that tells by which of some displacements two patches are apart: that of p-EMD."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from inforeg.errors import UsageError
from inforeg.nets.unet import convolution, draw
from inforeg.settings import Settings

Widths = Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]
_GAIN = 2**0.5


class DisplacementNetSettings(Settings):
    """See `DisplacementNet`."""

    ndim: Literal[2, 3] = 2
    """Axes of the images."""
    patch: Annotated[int, Field(ge=8)] = 72
    """Voxels a side of the patches."""
    reach: Annotated[float, Field(gt=0)] = 38.0
    """The largest displacement along each axis, in voxels."""
    labels: Annotated[int, Field(ge=3)] = 5
    """Displacements along each axis, from `-reach` to `reach`; an odd number, so that none is one of them."""
    widths: Widths = (16, 24, 24, 16)
    """Features of each block that looks at one patch."""
    strides: Widths = (2, 2, 1, 1)
    """By how much each of these blocks thins its patch."""
    classifier: Widths = (64, 64)
    """Features of each block that looks at what both patches came to, before the labels'."""
    scale: Annotated[float, Field(gt=0)] = 1.0
    """By what logits are multiplied to be probabilities; as published 0.1, with which they take long to grow."""

    @model_validator(mode="after")
    def _fits(self) -> "DisplacementNetSettings":
        if self.labels % 2 == 0:
            raise ValueError(f"expected an odd number of labels along each axis, got {self.labels}")
        if len(self.widths) != len(self.strides):
            raise ValueError(f"expected as many strides as widths, got {self.strides} for {self.widths}")
        if self.side < 2:
            raise ValueError(
                f"expected patches that strides of {self.strides} leave 2 voxels of, got {self.patch}"
            )
        return self

    @property
    def side(self) -> int:
        """Voxels a side of what a patch comes to."""
        side = self.patch
        for stride in self.strides:
            side = (side - 1) // stride + 1
        return side

    @property
    def classes(self) -> int:
        """How many displacements there are."""
        classes: int = self.displacements().shape[0]
        return classes

    @property
    def step(self) -> float:
        """Voxels from one displacement to the next along an axis."""
        return 2 * self.reach / (self.labels - 1)

    def displacements(self) -> Float[Tensor, "k d"]:
        """All of them in voxels, the last axis fastest; float64."""
        line = torch.linspace(-self.reach, self.reach, self.labels, dtype=torch.float64)
        return torch.cartesian_prod(*[line] * self.ndim)

    def bytes_a_voxel(self) -> int:
        """Bytes for each voxel of a pair of patches, while it is looked at."""
        side, values = self.patch, sum(self.classifier) * self.side**self.ndim
        for width, stride in zip(self.widths, self.strides, strict=True):
            side = (side - 1) // stride + 1
            values += 2 * width * side**self.ndim
        # Before and after a rectifier, and its norm.
        return int(12 * values / self.patch**self.ndim) + 24


class DisplacementNet(nn.Module):
    """Two patches in, a logit for each displacement out, by two classifiers (Heinrich and Hansen, p-EMD).

    Displacement `d` says: what the middle of the fixed patch shows lies `d` voxels from the middle of the moving one.
    Both patches go through the same features; each classifier looks at both maps, and averages over them at the end.
    Where the classifiers were taught together and differ on images that they were not taught on, nobody knows: their
    difference is what adaptation to another modality goes by (`inforeg.train`).

    Blocks are a convolution over 3 voxels a side, instance normalisation and a rectifier with a slope of its own for
    what is below zero. The slides say how many weights there are and that maps are 18 x 18 x 16 of them; widths,
    strides and the size of patches are ours. Weights are drawn from `generator`, without one from one seeded with 0.
    """

    def __init__(self, settings: DisplacementNetSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = settings
        generator = generator or torch.Generator().manual_seed(0)
        d, blocks, into = settings.ndim, [], 1
        for out, stride in zip(settings.widths, settings.strides, strict=True):
            blocks.append(_block(d, into, out, stride, generator))
            into = out
        self.features = nn.Sequential(*blocks)
        self.classifiers = nn.ModuleList(self._classifier(2 * into, generator) for _ in range(2))

    def forward(
        self, fixed: Float[Tensor, " n *patch"], moving: Float[Tensor, " n *patch"]
    ) -> Float[Tensor, "two n k"]:
        """The logits of both classifiers. Raises `UsageError` for patches of another size."""
        maps = self.maps(fixed), self.maps(moving)
        return torch.stack([self.logits(*maps, which) for which in (0, 1)])

    def maps(self, patches: Float[Tensor, " n *patch"]) -> Float[Tensor, " n f *side"]:
        """What patches come to, each by itself; brought to a mean of 0 and a deviation of 1 before."""
        wanted = (self.settings.patch,) * self.settings.ndim
        if tuple(patches.shape[1:]) != wanted:
            raise UsageError(f"expected patches of shape {wanted}, got {tuple(patches.shape[1:])}")
        flat = patches.flatten(1)
        # A patch of one value has no contrast, and is to have none.
        even = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True).clamp(min=1e-6)
        found: Tensor = self.features(even.reshape(len(patches), 1, *wanted))
        return found

    def logits(
        self, fixed: Float[Tensor, " n f *side"], moving: Float[Tensor, " n f *side"], which: int
    ) -> Float[Tensor, "n k"]:
        """Those of one classifier, 0 or 1, from the maps of both patches."""
        found: Tensor = self.classifiers[which](torch.cat((fixed, moving), 1)).flatten(2).mean(2)
        return found

    def beliefs(self, logits: Float[Tensor, " *n k"]) -> Float[Tensor, " *n k"]:
        """How likely each displacement is, by logits."""
        return torch.softmax(self.settings.scale * logits, -1)

    def log_probabilities(
        self, fixed: Float[Tensor, " n *patch"], moving: Float[Tensor, " n *patch"]
    ) -> Tensor:
        """The logarithm of how likely each displacement is `(n, k)`, by both classifiers' logits on average."""
        return torch.log_softmax(self.settings.scale * self(fixed, moving).mean(0), -1)

    def _classifier(self, into: int, generator: torch.Generator) -> nn.Module:
        d, blocks = self.settings.ndim, []
        for out in self.settings.classifier:
            blocks.append(_block(d, into, out, 1, generator))
            into = out
        last = convolution(d, into, self.settings.classes)
        draw(last, 1.0, generator)
        return nn.Sequential(*blocks, last)


def _block(ndim: int, into: int, out: int, stride: int, generator: torch.Generator) -> nn.Module:
    conv = convolution(ndim, into, out)
    conv.stride = (stride,) * ndim
    draw(conv, _GAIN, generator)
    norm = nn.InstanceNorm2d if ndim == 2 else nn.InstanceNorm3d
    return nn.Sequential(conv, norm(out, affine=True), nn.PReLU(out))
