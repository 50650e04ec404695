"""The U-Net that the networks here share, in 2-D and 3-D."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from inforeg.errors import UsageError

SLOPE = 0.2
"""Of the leaky rectifiers, for what is below zero."""


def convolution(ndim: int, into: int, out: int) -> nn.Conv2d | nn.Conv3d:
    """A convolution over 3 voxels a side, whose values are the caller's to set; global randomness is left as it was."""
    # `skip_init` would draw nothing, but takes half a second for what it imports.
    with torch.random.fork_rng(devices=[]):
        return (nn.Conv2d if ndim == 2 else nn.Conv3d)(into, out, 3, padding=1)


def check_shape(shape: Sequence[int], ndim: int, multiple: int) -> None:
    """Raise `UsageError` where images are not of so many axes, or their sizes no multiples."""
    if len(shape) != ndim or any(n % multiple or n < multiple for n in shape):
        raise UsageError(
            f"expected {ndim} axes with a multiple of {multiple} voxels each, got shape {tuple(shape)}"
        )


@torch.no_grad()
def draw(block: nn.Module, gain: float, generator: torch.Generator) -> None:
    """New random weights as He et al. have them (ICCV 2015, normal), `gain` over the root of their number; no bias."""
    assert isinstance(block, nn.Conv2d | nn.Conv3d) and block.bias is not None
    drawn = torch.empty(block.weight.shape)
    block.weight.copy_(drawn.normal_(0, gain * block.weight[0].numel() ** -0.5, generator=generator))
    block.bias.zero_()


class UNet(nn.Module):
    """Channels of images in, features out: the U-Net of VoxelMorph (Balakrishnan et al., IEEE TMI 2019).

    `encoder` has the features of each level, fine to coarse: one convolution over 3 voxels a side, then a maximum over
    2. `decoder` has those on the way back, one for each: a convolution, then nearest neighbours at twice the size, to
    which the encoder's features there are joined; `extra` are the convolutions at the end. With `half` the last level
    is left out, and features come at half the resolution for a fifth of the work. Sizes have to be multiples of
    `multiple`; what else comes raises `UsageError`.

    `checkpointing` keeps only what goes from block to block, and computes the rest again for the gradient. Weights
    start as He et al. have them (ICCV 2015, normal), drawn from `generator`; biases at zero.
    """

    def __init__(
        self,
        ndim: int,
        channels: int,
        encoder: Sequence[int] = (16, 32, 32, 32),
        decoder: Sequence[int] = (32, 32, 32, 32),
        extra: Sequence[int] = (32, 16, 16),
        *,
        half: bool = False,
        checkpointing: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(encoder) != len(decoder):
            raise UsageError(
                f"expected as many levels on the way back as on the way in, got {len(decoder)} and {len(encoder)}"
            )
        if not encoder or not extra:
            raise UsageError("expected at least one level and one convolution at the end")
        self.ndim, self.to_half, self.checkpointing = ndim, half, checkpointing
        self.multiple: int = 2 ** len(encoder)
        self.features: int = extra[-1]
        into = channels
        self.down = nn.ModuleList()
        for out in encoder:
            self.down.append(convolution(ndim, into, out))
            into = out
        self.up = nn.ModuleList()
        joined = list(reversed(encoder))[: len(decoder) - half]
        for number, out in enumerate(decoder):
            self.up.append(convolution(ndim, into, out))
            into = out + (joined[number] if number < len(joined) else 0)
        self.end = nn.ModuleList()
        for out in extra:
            self.end.append(convolution(ndim, into, out))
            into = out
        self.reset(generator or torch.Generator().manual_seed(0))

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """New random weights, the same for the same state of the generator."""
        gain = (2 / (1 + SLOPE**2)) ** 0.5
        for block in (*self.down, *self.up, *self.end):
            draw(block, gain, generator)

    def forward(self, x: Float[Tensor, "b c *shape"]) -> Float[Tensor, "b f *out"]:
        check_shape(x.shape[2:], self.ndim, self.multiple)
        pool = functional.max_pool2d if self.ndim == 2 else functional.max_pool3d
        seen = []
        for block in self.down:
            x = self._block(block, x)
            seen.append(x)
            x = pool(x, 2)
        for block in self.up:
            x = self._block(block, x)
            if self.to_half and len(seen) == 1:
                break
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = torch.cat((x, seen.pop()), dim=1)
        for block in self.end:
            x = self._block(block, x)
        return x

    def _block(self, block: nn.Module, x: Tensor) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            kept: Tensor = checkpoint(_act, block, x, use_reentrant=False)
            return kept
        return _act(block, x)


def _act(block: nn.Module, x: Tensor) -> Tensor:
    return functional.leaky_relu(block(x), SLOPE)
