"""The small network that scores pairs of intensities for MINE."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Activation = Literal["relu", "leaky_relu"]
_SLOPES: dict[Activation, float] = {"relu": 0.0, "leaky_relu": 0.2}

# Up to so many pairs are scored in one go.
_FEW = 1 << 16
# More are scored in blocks: on a CPU of what fits into its cache with all that becomes of it, elsewhere of what keeps
# the device busy.
_CPU_BLOCK, _BLOCK = 1 << 13, 1 << 18


class StatisticsNetwork(nn.Module):
    """Fixed and warped channels -> hidden -> hidden -> 1, with ReLU between (Nan et al., MIDL 2020).

    `layers` says how many hidden ones there are: with one, it is two convolutions over single voxels (Snaauw et al.,
    EMBC 2022). `activation` is `relu` or `leaky_relu` (0.2 of what is below zero).

    Linear layers start uniform in plus or minus one over the root of their inputs, drawn from `generator`.
    Computes in float32 or better, whatever its parameters or an autocast around it say: what comes out goes
    into an exponential.

    Many pairs are scored block by block, and what the hidden layers make of a block is computed again for the
    gradient: memory is that of the pairs and their scores, and not of some hundred numbers for each of them.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        generator: torch.Generator,
        layers: int = 2,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        self.sizes = (inputs, *[hidden] * layers, 1)
        self.slope = _SLOPES[activation]
        pairs = list(zip(self.sizes[:-1], self.sizes[1:], strict=True))
        # Not nn.Linear: its constructor draws from global randomness.
        self.weights = nn.ParameterList([torch.empty(out, into) for into, out in pairs])
        self.biases = nn.ParameterList([torch.empty(out) for _, out in pairs])
        self.reset(generator)

    @torch.no_grad()
    def reset(self, generator: torch.Generator) -> None:
        """New random parameters, the same for the same state of the generator on every device."""
        for weight, bias in zip(self.weights, self.biases, strict=True):
            bound = weight.shape[1] ** -0.5
            for parameter in (weight, bias):
                drawn = torch.empty(parameter.shape, device=generator.device)
                parameter.copy_(drawn.uniform_(-bound, bound, generator=generator))

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return torch.promote_types(self.weights[0].dtype, torch.float32)

    def forward(self, fixed: Float[Tensor, "n c"], warped: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
        parameters = (*self.weights, *self.biases)
        if fixed.shape[0] <= _FEW:
            return _scores(self.dtype, self.slope, fixed, warped, parameters)
        scores: Tensor = _InBlocks.apply(  # type: ignore[no-untyped-call]
            self.dtype, self.slope, fixed, warped, *parameters
        )
        return scores


def _scores(
    dtype: torch.dtype, slope: float, fixed: Tensor, warped: Tensor, parameters: tuple[Tensor, ...]
) -> Tensor:
    with torch.autocast(fixed.device.type, enabled=False):
        x = torch.cat((fixed, warped), dim=1).to(dtype)
        layers = len(parameters) // 2
        for layer, (weight, bias) in enumerate(zip(parameters[:layers], parameters[layers:], strict=True)):
            x = nn.functional.linear(x, weight.to(dtype), bias.to(dtype))
            if layer < layers - 1:
                x = x.relu() if slope == 0 else nn.functional.leaky_relu(x, slope)
        return x[:, 0]


class _InBlocks(torch.autograd.Function):
    """`_scores` of many pairs. Not torch's checkpoints: what each of them leaves behind keeps the memory between them
    from being used again."""

    @staticmethod
    def forward(
        ctx: Any, dtype: torch.dtype, slope: float, fixed: Tensor, warped: Tensor, *parameters: Tensor
    ) -> Tensor:
        ctx.save_for_backward(fixed, warped, *parameters)
        ctx.dtype, ctx.slope = dtype, slope
        scores = torch.empty(fixed.shape[0], dtype=dtype, device=fixed.device)
        for rows in _blocks(fixed):
            scores[rows] = _scores(dtype, slope, fixed[rows], warped[rows], parameters)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        wanted = ctx.needs_input_grad[2:]
        slopes = [torch.zeros_like(t) if yes else None for t, yes in zip(inputs, wanted, strict=True)]
        for rows in _blocks(inputs[0]):
            parts = [t[rows] if which < 2 else t for which, t in enumerate(inputs)]
            parts = [t.detach().requires_grad_(yes) for t, yes in zip(parts, wanted, strict=True)]
            with torch.enable_grad():
                scores = _scores(ctx.dtype, ctx.slope, parts[0], parts[1], tuple(parts[2:]))
            asked = [t for t, yes in zip(parts, wanted, strict=True) if yes]
            found = iter(torch.autograd.grad(scores, asked, upstream[rows]))
            for which, slope in enumerate(slopes):
                if slope is not None:
                    (slope[rows] if which < 2 else slope).add_(next(found))
        return (None, None, *slopes)


def _blocks(pairs: Tensor) -> Iterator[slice]:
    size = _CPU_BLOCK if pairs.device.type == "cpu" else _BLOCK
    for start in range(0, pairs.shape[0], size):
        yield slice(start, min(start + size, pairs.shape[0]))
