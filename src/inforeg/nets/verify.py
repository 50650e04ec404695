"""Whether a model does what a model has to do, tried on images that are made up."""

from time import perf_counter

import torch
from torch import Tensor

from inforeg.errors import ReadError
from inforeg.nets.displacement_net import DisplacementNet
from inforeg.nets.files import ModelFile
from inforeg.nets.keypoint_net import KeypointNet
from inforeg.nets.patch_net import PatchMetric
from inforeg.nets.velocity_net import VelocityNet


@torch.no_grad()
def tried(model: ModelFile) -> dict[str, float]:
    """Let a network look at a noisy ball, or two of them; raises `ReadError` where what it says makes no sense.

    Returns the seconds it took, its number of parameters, and how far it moves things, or how far its points lie from
    the ball's middle, on average and at most, in mm; of a metric the logit of each of its networks, of
    displacements how far each classifier takes the balls to be apart, in voxels.
    """
    began = perf_counter()
    if isinstance(model.net, PatchMetric | DisplacementNet):
        net = model.net
        told = _tells(model, net) if isinstance(net, PatchMetric) else _places(model, net)
        return {**told, "seconds": perf_counter() - began, "parameters": float(model.parameters)}
    length = _moves(model, model.net) if isinstance(model.net, VelocityNet) else _points(model, model.net)
    return {
        "seconds": perf_counter() - began,
        "mean_mm": float(length.mean()),
        "largest_mm": float(length.max()),
        "parameters": float(model.parameters),
    }


def _moves(model: ModelFile, net: VelocityNet) -> Tensor:
    balls = [
        _ball(model, size, channels) for size, channels in zip((0.5, 0.6), net.settings.channels, strict=True)
    ]
    belief = net(*balls)
    moved = belief.displaced(belief.mean) * model.canonical.spacing_mm
    if not bool(torch.isfinite(moved).all()) or not bool(torch.isfinite(belief.log_variance).all()):
        raise ReadError(
            f"the model in {model.path} says NaN or infinity of a plain pair of images; train it again"
        )
    length: Tensor = moved.norm(dim=1)
    view_mm = min(model.canonical.shape) * model.canonical.spacing_mm
    if float(length.max()) > view_mm:
        raise ReadError(
            f"the model in {model.path} moves a plain pair of images by {float(length.max()):.3g} mm, out of the"
            f" {view_mm:.3g} mm it sees; train it again"
        )
    return length


def _points(model: ModelFile, net: KeypointNet) -> Tensor:
    found = net(_ball(model, 0.6, net.settings.channels))
    if not bool(torch.isfinite(found.voxel).all()) or not bool(torch.isfinite(found.weights).all()):
        raise ReadError(f"the model in {model.path} says NaN or infinity of a plain image; train it again")
    away: Tensor = model.canonical.about_middle_mm(found.voxel).norm(dim=-1)
    return away


def _tells(model: ModelFile, net: PatchMetric) -> dict[str, float]:
    """The logits of every network of two balls on one another."""
    pair = torch.cat([_ball(model, size, 1) for size in (0.5, 0.6)], dim=1)
    logits = torch.cat([net.of_stage(stage)(pair) for stage in range(len(net.nets))])
    if not bool(torch.isfinite(logits).all()):
        raise ReadError(
            f"the model in {model.path} says NaN or infinity of a plain pair of patches; train it again"
        )
    return {f"logit_{number}": float(logit) for number, logit in enumerate(logits, start=1)}


def _places(model: ModelFile, net: DisplacementNet) -> dict[str, float]:
    """How far both classifiers take two balls to be apart, in voxels."""
    pair = [_ball(model, size, 1)[:, 0] for size in (0.5, 0.6)]
    beliefs = net.beliefs(net(*pair)[:, 0])
    if not bool(torch.isfinite(beliefs).all()):
        raise ReadError(
            f"the model in {model.path} says NaN or infinity of a plain pair of patches; train it again"
        )
    means = beliefs.double() @ net.settings.displacements().to(beliefs.device)
    return {f"voxels_{number}": float(mean.norm()) for number, mean in enumerate(means, start=1)}


def _ball(model: ModelFile, size: float, channels: int) -> Tensor:
    shape = model.canonical.shape
    lines = torch.meshgrid(*[torch.linspace(-1, 1, n) for n in shape], indexing="ij")
    inside = torch.sigmoid((size - torch.stack(lines).square().sum(0).sqrt()) * 20)
    generator = torch.Generator().manual_seed(round(100 * size))
    noise = 0.1 * torch.rand((1, channels, *shape), generator=generator)
    return (inside * (0.8 + noise)).to(next(model.net.parameters()).device)
