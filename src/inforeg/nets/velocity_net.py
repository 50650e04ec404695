"""The network that looks at two images and says what velocity field brings one to the other, and how sure it is."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from inforeg.image.sample import doubled, halved
from inforeg.nets.unet import UNet, convolution
from inforeg.penalties import velocity_prior
from inforeg.settings import Settings
from inforeg.space import Grid
from inforeg.transforms import exponential

SQUARINGS = 7
Widths = tuple[Annotated[int, Field(ge=1)], ...]

# What the heads start with: hardly any velocity, and hardly any doubt.
_MEAN_SD, _VARIANCE_SD, _LOG_VARIANCE = 1e-5, 1e-10, -10.0


class VelocityNetSettings(Settings):
    """See `VelocityNet`."""

    ndim: Literal[2, 3] = 3
    """Axes of the images."""
    channels: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 1)
    """Channels of the fixed and of the moving image."""
    encoder: Widths = (16, 32, 32, 32)
    """Features of each level on the way in, fine to coarse."""
    decoder: Widths = (32, 32, 32, 32)
    """Features of each level on the way back."""
    extra: Widths = (32, 16, 16)
    """Features of the convolutions at the end."""
    half: bool = False
    """Leave out the last level: velocities come at half the resolution of the images, for a fifth of the work."""
    checkpointing: bool = False
    """Compute what is between blocks again for the gradient, and do not keep it: a third more work, less memory."""

    @property
    def multiple(self) -> int:
        """Of which images' sizes have to be multiples."""
        return 1 << len(self.encoder)

    def bytes_a_voxel(self) -> int:
        """What a look takes at most, in bytes for each voxel of the images; measured, it is from 0.97 of that down."""
        first, last = self.encoder[0], self.decoder[-1]
        if not self.half:
            return 4 * (2 * (first + last) + self.extra[0])
        below = (2 * (self.encoder[min(1, len(self.encoder) - 1)] + last) + self.extra[0]) / 2**self.ndim
        return int(4 * (3 * first + below))


@dataclass(frozen=True, eq=False)
class VelocityBelief:
    """A Gaussian of velocity fields, independent in every voxel: `(b, d, *shape)`, in voxels of the images.

    `voxel` is how many voxels of the images a voxel of the field is: 1, or 2 where the network left out a level.
    """

    mean: Tensor
    log_variance: Tensor
    voxel: int

    def draw(self, generators: "list[torch.Generator]") -> Float[Tensor, "b d *shape"]:
        """One field of each, `mean + exp(log_variance / 2)` times standard noise from the generator of each."""
        noise = [
            torch.randn(self.mean.shape[1:], generator=g, device=g.device).to(self.mean.device)
            for g in generators
        ]
        return self.mean + torch.exp(0.5 * self.log_variance) * torch.stack(noise)

    def prior(self, strength: float) -> Float[Tensor, ""]:
        """How far it is from smooth fields: `velocity_prior`, in voxels of the images as the networks' authors do."""
        grid = Grid.from_spacing(self.mean.shape[2:], float(self.voxel))
        return velocity_prior(self.mean, self.log_variance, grid, strength)

    def at_half(self, field: Float[Tensor, "b d *shape"]) -> Float[Tensor, "b d *half"]:
        """A field as of this belief at half the resolution of the images, where it is integrated."""
        return halved(field) if self.voxel == 1 else field

    def displaced(self, field: Float[Tensor, "b d *shape"]) -> Float[Tensor, "b d *whole"]:
        """The exponential of a field, as displacements of the images' voxels, in these voxels."""
        half = self.at_half(field)
        return doubled(exponential(half, Grid.from_spacing(half.shape[2:], 2.0), SQUARINGS))


class VelocityNet(nn.Module):
    """Fixed and moving image in, a `VelocityBelief` out: the network of VoxelMorph-diff, in 2-D and 3-D.

    A `UNet` on both images, and two convolutions: the mean, which starts near zero, and the logarithm of the variance,
    which starts at -10 (Dalca et al., MedIA 2019; for MINE, Snaauw et al., EMBC 2022). Velocities are in voxels along
    the images' axes; they are integrated at half the images' resolution in 7 squarings. We differ in that the scaling
    between resolutions is that of voxel centres, not of corners, and in that the first step of the integration is taken
    at its midpoint (`exponential`). Features may be computed in half precision under autocast; velocities never are.

    Weights are drawn from `generator`; without one, from one of its own, seeded with 0. Raises `UsageError` for
    widths that do not fit, and images that are not a multiple of `multiple` voxels along every axis.
    """

    def __init__(self, settings: VelocityNetSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = s = settings
        generator = generator or torch.Generator().manual_seed(0)
        self.body = UNet(
            s.ndim,
            sum(s.channels),
            s.encoder,
            s.decoder,
            s.extra,
            half=s.half,
            checkpointing=s.checkpointing,
            generator=generator,
        )
        self.mean = convolution(s.ndim, self.body.features, s.ndim)
        self.log_variance = convolution(s.ndim, self.body.features, s.ndim)
        with torch.no_grad():
            for head, sd, bias in (
                (self.mean, _MEAN_SD, 0.0),
                (self.log_variance, _VARIANCE_SD, _LOG_VARIANCE),
            ):
                head.weight.copy_(torch.empty(head.weight.shape).normal_(0, sd, generator=generator))
                assert head.bias is not None
                head.bias.fill_(bias)

    @property
    def multiple(self) -> int:
        """Of which images' sizes have to be multiples."""
        return self.body.multiple

    def forward(
        self, fixed: Float[Tensor, "b c *shape"], moving: Float[Tensor, "b k *shape"]
    ) -> VelocityBelief:
        features = self.body(torch.cat((fixed, moving), dim=1))
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            return VelocityBelief(
                self.mean(features), self.log_variance(features), 2 if self.settings.half else 1
            )
