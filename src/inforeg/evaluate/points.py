"""Distances between where points land and where they belong."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.transforms import Transform


@dataclass(frozen=True)
class PointErrors:
    """A set of point errors in mm: how many, mean, median, root mean square, 90th percentile and largest."""

    count: int
    mean_mm: float
    median_mm: float
    rms_mm: float
    p90_mm: float
    max_mm: float


def tre_mm(
    transform: Transform | None, fixed_points_mm: Float[Tensor, "n d"], moving_points_mm: Float[Tensor, "m e"]
) -> Float[Tensor, " n"]:
    """Distance of each fixed point, taken through the transform, from its partner in the moving image, in mm.

    It is the target registration error, measured in the moving image's world; without a transform, the error
    before registration. Raises `UsageError` for point sets that do not pair up or are of another dimension.
    """
    if fixed_points_mm.shape != moving_points_mm.shape:
        raise UsageError(
            "expected as many fixed as moving points, of one dimension, got "
            f"{tuple(fixed_points_mm.shape)} and {tuple(moving_points_mm.shape)}"
        )
    if transform is not None and transform.ndim != fixed_points_mm.shape[-1]:
        raise UsageError(
            f"expected points of {transform.ndim} coordinates for this transform,"
            f" got {fixed_points_mm.shape[-1]}"
        )
    fixed, moving = fixed_points_mm.to(torch.float64), moving_points_mm.to(torch.float64)
    landed = fixed if transform is None else transform(fixed)
    errors: Tensor = (landed - moving).norm(dim=-1)
    return errors


def point_errors(errors_mm: Float[Tensor, " n"]) -> PointErrors:
    """The summary of a set of point errors; the mean is the FRE of synthetic perturbations.

    The FRE here is the mean distance over landmarks between the estimated and the true transform (Sedghi et
    al., arXiv 1901.00040), not the root mean square that other work means by the word: that is `rms_mm`.
    Raises `UsageError` for an empty set.
    """
    if errors_mm.numel() == 0:
        raise UsageError("expected at least one point error, got none")
    e = errors_mm.to(torch.float64)
    return PointErrors(
        count=e.numel(),
        mean_mm=float(e.mean()),
        median_mm=float(e.quantile(0.5)),
        rms_mm=float(e.square().mean().sqrt()),
        p90_mm=float(e.quantile(0.9)),
        max_mm=float(e.max()),
    )
