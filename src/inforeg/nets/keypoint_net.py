"""The network that finds the same points in every image of one anatomy: the centres of its heat maps."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from inforeg.nets.unet import UNet, check_shape, convolution, draw
from inforeg.settings import Settings

Widths = tuple[Annotated[int, Field(ge=1)], ...]
# A binomial of four, the outer and the inner ones: its middle lies between voxels, as that of a coarser voxel does.
_BLUR = (1 / 8, 3 / 8)
# Of weights before a rectifier.
_GAIN = 2**0.5
# Where a heat map is nothing at all, its centre is the middle of the field of view.
_FLOOR = 1e-6


class KeypointNetSettings(Settings):
    """See `KeypointNet`."""

    ndim: Literal[2, 3] = 3
    """Axes of the images."""
    channels: Annotated[int, Field(ge=1)] = 1
    """Channels of an image."""
    keypoints: Annotated[int, Field(ge=4)] = 64
    """How many points are found."""
    backbone: Literal["convolutions", "unet"] = "convolutions"
    """What the heat maps come from: convolutions down to an eighth of the resolution, or a U-Net that ends at half."""
    widths: Widths = (16, 32, 64, 64, 128, 128, 128)
    """Features of each convolution; every other one is followed by a halving, but not the last."""
    halvings: Annotated[int, Field(ge=0)] = 3
    """How many halvings there are at most: convolutions after them see the whole field of view at little cost."""
    packed: Annotated[int, Field(ge=1)] = 1
    """So many voxels along each axis are one to the convolutions, with a channel for each: a third of the time at 2."""
    encoder: Widths = (16, 32, 64, 64)
    """Features of each level of the U-Net on the way in."""
    decoder: Widths = (64, 64, 32, 32)
    """Features of each level of the U-Net on the way back; the last is left out."""
    norm: Literal["instance", "group", "none"] = "instance"
    """What features are brought to mean 0 and variance 1 over: each alone, eight together, or not at all."""
    blur: bool = True
    """Halve by a binomial filter, so that shifts by parts of a voxel are shifts later on, too; else by a maximum."""
    checkpointing: bool = False
    """Compute what is between convolutions again for the gradient, and do not keep it."""

    @property
    def multiple(self) -> int:
        """Of which images' sizes have to be multiples."""
        if self.backbone == "unet":
            return 1 << len(self.encoder)
        return self.packed << min(self.halvings, (len(self.widths) - 1) // 2)

    def bytes_a_voxel(self) -> int:
        """What a look takes at most, in bytes for each voxel of the images: three times the features of two layers."""
        first = self.encoder if self.backbone == "unet" else self.widths
        features = first[0] + first[min(1, len(first) - 1)]
        return max(4 * 4, 4 * 3 * features // (1 if self.backbone == "unet" else self.packed**self.ndim))


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Points `(b, k, d)` in voxels of the images, and weights `(b, k)` that sum to one in each image.

    `maps`, `(b, k, *map)`, are what they are the centres of; a voxel of theirs is `wide` voxels of the images wide.
    """

    voxel: Tensor
    weights: Tensor
    maps: Tensor
    wide: int = 1

    def likelihood(self, voxel: Float[Tensor, "b k d"]) -> Float[Tensor, "b k"]:
        """The logarithm of the share of each heat map at a place, given in voxels of the images: that of the nearest
        voxels of the map, by how near they are. Places outside count at the edge."""
        d = self.maps.ndim - 2
        share = (self.maps / self.maps.flatten(2).sum(2)[(..., *[None] * d)]).log()
        place = (voxel - (self.wide - 1) / 2) / self.wide
        for axis in reversed(range(d)):
            n = share.shape[2 + axis]
            line = torch.arange(n, device=share.device, dtype=share.dtype)
            at = place[..., axis, None].to(share).clamp(0, n - 1)
            share = torch.einsum("bk...n,bkn->bk...", share, (1 - (line - at).abs()).clamp(min=0))
        return share


class KeypointNet(nn.Module):
    """Images in, `Keypoints` out: the detector of KeyMorph (Yu et al., MIDL 2022; Wang et al., MedIA 2023).

    Every channel at the end is the heat map of one point, above zero by a softplus, and the point is its centre of
    mass: points correspond by their number, are found between voxels, and are where they are in the field of view, in
    voxel centres of the image, whatever the resolution of the map. Weights are how much there is in each map. It works
    in 2-D and 3-D.

    We differ: a softplus and a floor where the published rectifier may die and leave its point in a corner; binomial
    filters before halving (Zhang, ICML 2019); narrower layers. In the published code points are measured with voxels at
    both ends of the axis and used with ends half a voxel further out, so that translations are too long by 7 to 14 %.

    `reference_mm`, `(k, d)`, says where the points of the anatomy it was trained on are, in mm about its middle, in the
    pose that the network knows best; all at 0 in a network that was never trained. `usual_nats` are mean and standard
    deviation of how likely its heat maps make them there, over images that it has learnt from.

    Weights of the layers are drawn from `generator`; without one, from one of its own, seeded with 0. Raises
    `UsageError` for images that are not a multiple of `multiple` voxels along every axis.
    """

    reference_mm: Tensor
    usual_nats: Tensor

    def __init__(self, settings: KeypointNetSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = s = settings
        generator = generator or torch.Generator().manual_seed(0)
        self.register_buffer("reference_mm", torch.zeros(s.keypoints, s.ndim, dtype=torch.float64))
        self.register_buffer("usual_nats", torch.zeros(2, dtype=torch.float64))
        self.unet: UNet | None = None
        self.blocks = nn.ModuleList()
        into = s.channels
        if s.backbone == "unet":
            self.unet = UNet(
                s.ndim,
                s.channels,
                s.encoder,
                s.decoder,
                (s.decoder[-1],),
                half=True,
                checkpointing=s.checkpointing,
                generator=generator,
            )
            into = self.unet.features
        else:
            into *= s.packed**s.ndim
            for out in s.widths:
                self.blocks.append(convolution(s.ndim, into, out))
                into = out
        self.head = convolution(s.ndim, into, s.keypoints)
        for block in (*self.blocks, self.head):
            draw(block, _GAIN, generator)

    @property
    def multiple(self) -> int:
        """Of which images' sizes have to be multiples."""
        return self.settings.multiple

    def forward(self, images: Float[Tensor, "b c *shape"]) -> Keypoints:
        maps = self.heat(images)
        with torch.autocast(maps.device.type, enabled=False):
            return centres_of_mass(maps.float(), images.shape[2] // maps.shape[2])

    def heat(self, images: Float[Tensor, "b c *shape"]) -> Float[Tensor, "b k *map"]:
        """The heat maps, above zero."""
        check_shape(images.shape[2:], self.settings.ndim, self.multiple)
        if self.unet is not None:
            x = self.unet(images)
        else:
            x = _packed(images, self.settings.packed)
            for number, block in enumerate(self.blocks):
                x = self._block(block, x)
                halving = number % 2 == 1 and number < len(self.blocks) - 1
                if halving and number // 2 < self.settings.halvings:
                    x = self._halved(x)
        return functional.softplus(self.head(x)) + _FLOOR

    def _block(self, block: nn.Module, x: Tensor) -> Tensor:
        if self.settings.checkpointing and torch.is_grad_enabled():
            kept: Tensor = checkpoint(self._act, block, x, use_reentrant=False)
            return kept
        return self._act(block, x)

    def _act(self, block: nn.Module, x: Tensor) -> Tensor:
        x = block(x)
        if self.settings.norm == "instance":
            x = functional.instance_norm(x)
        elif self.settings.norm == "group":
            groups = max(1, x.shape[1] // 8)
            x = functional.group_norm(x, groups if x.shape[1] % groups == 0 else 1)
        return functional.relu(x)

    def _halved(self, x: Tensor) -> Tensor:
        d = self.settings.ndim
        if not self.settings.blur:
            return (functional.max_pool2d if d == 2 else functional.max_pool3d)(x, 2)
        for axis in range(2, 2 + d):
            n = x.shape[axis] // 2
            wide = torch.cat((x.narrow(axis, 0, 1), x, x.narrow(axis, x.shape[axis] - 1, 1)), dim=axis)
            taps = [wide[_every_other(axis, k, n)] for k in range(4)]
            x = _BLUR[0] * (taps[0] + taps[3]) + _BLUR[1] * (taps[1] + taps[2])
        return x


def centres_of_mass(maps: Float[Tensor, "b k *map"], voxel: int = 1) -> Keypoints:
    """Where the masses of heat maps above zero lie, in voxels of an image of which a voxel of the map is `voxel` wide.

    Voxel 0 of the map lies over voxels 0 to `voxel - 1` of the image: its centre is at `(voxel - 1) / 2`.
    """
    d = maps.ndim - 2
    total = maps.flatten(2).sum(2)
    places = []
    for axis, n in enumerate(maps.shape[2:]):
        others = [2 + a for a in range(d) if a != axis]
        marginal = maps.sum(others) if others else maps
        line = torch.arange(n, device=maps.device, dtype=maps.dtype)
        # About the middle, so that no digits are lost in large fields of view.
        middle = (n - 1) / 2
        places.append((marginal @ (line - middle)) / total + middle)
    voxels = voxel * torch.stack(places, dim=-1) + (voxel - 1) / 2
    return Keypoints(voxels, total / total.sum(dim=1, keepdim=True), maps, voxel)


def _packed(images: Float[Tensor, "b c *shape"], factor: int) -> Float[Tensor, "b f *out"]:
    """Blocks of voxels as channels."""
    if factor == 1:
        return images
    d = images.ndim - 2
    split = images.reshape(
        *images.shape[:2], *[n for size in images.shape[2:] for n in (size // factor, factor)]
    )
    order = (0, 1, *range(3, 2 * d + 2, 2), *range(2, 2 * d + 2, 2))
    return split.permute(order).reshape(images.shape[0], -1, *[n // factor for n in images.shape[2:]])


def _every_other(axis: int, first: int, count: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(first, first + 2 * count, 2))
