"""Heads that are deformed in a way that is known, and the method that is to find it."""

import torch
from phantoms import field_of_view, phantom
from torch import Tensor

from inforeg.image import Image
from inforeg.methods.deformable import Deformable
from inforeg.space import Grid
from inforeg.transforms import Transform, Velocity

SPACING_MM = {2: 2.5, 3: 6.0}


def smooth(ndim: int, size_mm: float, seed: int = 0) -> Velocity:
    """A random smooth way to deform the head, by about so much; still beyond it."""
    nodes = Grid.from_spacing([9] * ndim, 35.0)
    generator = torch.Generator().manual_seed(seed)
    vectors = size_mm * torch.randn(ndim, *nodes.shape, generator=generator, dtype=torch.float64)
    inside = nodes.points_mm().norm(dim=1).reshape(nodes.shape) < 95
    return Velocity(vectors * inside, nodes)


def pair(ndim: int, truth: Transform | None = None, contrast: str = "t2") -> tuple[Image, Image]:
    """A T1, and another contrast where `truth` takes it."""
    grid = field_of_view(ndim, SPACING_MM[ndim])
    return phantom(grid), phantom(grid, contrast, truth, seed=5)  # type: ignore[arg-type]


def brief(**settings: object) -> Deformable:
    """From where the headers put the images: a deformation and nothing else."""
    return Deformable.from_dict({"stages": [], "init": "header", **settings})


def off_mm(found: Transform, truth: Transform, points: Tensor) -> float:
    return float((found(points) - truth(points)).norm(dim=1).mean())


def moved_mm(transform: Transform, points: Tensor) -> Tensor:
    return (transform(points) - points).norm(dim=1)
