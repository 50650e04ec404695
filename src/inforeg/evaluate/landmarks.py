"""Landmark errors without a unit: the measures in which work on pictures reports."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.evaluate.points import tre_mm
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform


def naed(
    transform: Transform | None,
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    frame: Grid,
) -> Float[Tensor, " n"]:
    """Distance of each landmark from its partner, where the frame is 1 long along each axis; their mean is the NAED.

    Points are in RAS+ mm. `frame` is a grid in the moving image's world, commonly the moving image's own: each
    coordinate of an error is divided by the length of its field of view along that axis. Without a transform it is the
    error before registration. Raises `UsageError` for points that do not pair up or are of another dimension.

    The normalised average Euclidean distance is the measure of Nan et al. (MIDL 2020), who do not say what they divide
    by: width and height are our reading of "between 0 and 1". They take moving landmarks to the fixed image; our
    transforms take fixed points to the moving one, so the error is measured there.
    """
    _check(frame, fixed_points_mm, moving_points_mm)
    scale = torch.eye(frame.ndim + 1, dtype=torch.float64)
    scale.diagonal()[: frame.ndim] = 1 / torch.tensor(frame.shape, dtype=torch.float64)
    unit = Linear(scale @ frame.world_to_voxel)
    return tre_mm(
        unit if transform is None else unit @ transform,
        fixed_points_mm,
        unit(moving_points_mm.to(torch.float64)),
    )


def rtre(
    transform: Transform | None,
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    frame: Grid,
) -> Float[Tensor, " n"]:
    """Distance of each landmark from its partner over the diagonal of the frame: the relative TRE.

    As ANHIR defines it (Borovec et al., IEEE TMI 2020), which reports the median over the landmarks of a pair; it is
    measured in the moving image's world. The arguments, and what is raised, are those of `naed`.
    """
    _check(frame, fixed_points_mm, moving_points_mm)
    relative: Tensor = tre_mm(transform, fixed_points_mm, moving_points_mm) / frame.extent_mm.norm()
    return relative


def _check(frame: Grid, *points_mm: Tensor) -> None:
    for points in points_mm:
        if points.shape[-1] != frame.ndim:
            raise UsageError(f"expected points of {frame.ndim} coordinates, got {points.shape[-1]}")
