"""Intensities that belong together, as places in a table."""

import torch
from torch import Tensor


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def related(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Two images without borders between intensities, one darker where the other is brighter."""
    fixed = 15.5 + 4 * torch.randn(shape, generator=generator(0))
    warped = 26 - 0.7 * fixed + 3 * torch.randn(shape, generator=generator(1))
    return fixed.clamp(1, 30), warped.clamp(1, 30)
