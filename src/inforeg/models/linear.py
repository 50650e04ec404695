"""The unknowns of a linear transform."""

import torch
from torch import Tensor, nn

from inforeg.transforms import Linear, LinearGroup


class LinearUnknowns(nn.Module):
    """Parameters of a linear group about a centre, applied before a given start; zero is the start itself.

    `forward()` returns the transform, differentiable in `parameters`, also at zero.
    """

    def __init__(self, group: LinearGroup, start: Linear, centre_mm: Tensor, radius_mm: float) -> None:
        super().__init__()
        self.group, self.start = group, start
        self.centre_mm, self.radius_mm = centre_mm, radius_mm
        self.parameters_ = nn.Parameter(torch.zeros(group.size, dtype=torch.float64))

    def at(self, parameters: Tensor) -> Linear:
        """The transform of given parameters."""
        return Linear(self.start.matrix @ self.group.exp(parameters, self.centre_mm, self.radius_mm).matrix)

    def forward(self) -> Linear:
        """The transform of the present parameters."""
        return self.at(self.parameters_)
