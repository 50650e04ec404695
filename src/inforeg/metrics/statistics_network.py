"""The small network that scores pairs of intensities for MINE."""

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StatisticsNetwork(nn.Module):
    """Fixed and warped channels -> hidden -> hidden -> 1, with ReLU between (Nan et al., MIDL 2020).

    Linear layers start uniform in plus or minus one over the root of their inputs, drawn from `generator`.
    Computes in float32 or better, whatever its parameters or an autocast around it say: what comes out goes
    into an exponential.
    """

    def __init__(self, inputs: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.sizes = (inputs, hidden, hidden, 1)
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
        with torch.autocast(fixed.device.type, enabled=False):
            x = torch.cat((fixed, warped), dim=1).to(self.dtype)
            last = len(self.weights) - 1
            for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
                x = nn.functional.linear(x, weight.to(self.dtype), bias.to(self.dtype))
                if layer < last:
                    x = x.relu()
            return x[:, 0]
