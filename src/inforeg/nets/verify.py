"""Whether a model does what a model has to do, tried on a pair that is made up."""

from time import perf_counter

import torch

from inforeg.errors import ReadError
from inforeg.nets.files import ModelFile


@torch.no_grad()
def tried(model: ModelFile) -> dict[str, float]:
    """Let a network look at two noisy balls, one of them larger; raises `ReadError` where what it says is no field.

    Returns the seconds it took, how far it moves things on average and at most, in mm, and its number of parameters.
    """
    settings, canonical = model.net.settings, model.canonical
    lines = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in canonical.shape], indexing="ij")
    radius = torch.stack(lines).square().sum(0).sqrt()
    generator = torch.Generator().manual_seed(0)
    device = next(model.net.parameters()).device
    seen = []
    for size, channels in zip((0.5, 0.6), settings.channels, strict=True):
        ball = torch.sigmoid((size - radius) * 20)
        noise = 0.1 * torch.rand((1, channels, *canonical.shape), generator=generator)
        seen.append((ball * (0.8 + noise)).to(device))
    began = perf_counter()
    belief = model.net(*seen)
    moved = belief.displaced(belief.mean) * canonical.spacing_mm
    seconds = perf_counter() - began
    if not bool(torch.isfinite(moved).all()) or not bool(torch.isfinite(belief.log_variance).all()):
        raise ReadError(
            f"the model in {model.path} says NaN or infinity of a plain pair of images; train it again"
        )
    length = moved.norm(dim=1)
    view_mm = min(canonical.shape) * canonical.spacing_mm
    if float(length.max()) > view_mm:
        raise ReadError(
            f"the model in {model.path} moves a plain pair of images by {float(length.max()):.3g} mm, out of the"
            f" {view_mm:.3g} mm it sees; train it again"
        )
    return {
        "seconds": seconds,
        "mean_mm": float(length.mean()),
        "largest_mm": float(length.max()),
        "parameters": float(model.parameters),
    }
