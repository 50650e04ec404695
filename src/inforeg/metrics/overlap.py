"""What a pair costs when the moving image covers the fixed one only in part."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.metrics.metric import FixedValues, Metric, WarpedValues, Weight

Inside = Weight | Bool[Tensor, "b *n"]


def overlap_fraction(inside: Inside, weight: Weight | None = None) -> Float[Tensor, " b"]:
    """The share of the fixed image's samples (by `weight`) that lie inside the moving image; 0 where there
    are none."""
    seen = inside.to(torch.float32) if inside.dtype == torch.bool else inside
    weight = torch.ones_like(seen) if weight is None else weight
    total = weight.flatten(1).sum(dim=1)
    return (weight * seen).flatten(1).sum(dim=1) / torch.where(total > 0, total, 1.0)


def with_overlap(
    metric: Metric,
    fixed: FixedValues,
    warped: WarpedValues,
    inside: Inside,
    weight: Weight | None = None,
) -> Float[Tensor, ""]:
    """The metric over all samples of the fixed image, at a neutral price for those not covered.

    `inside` says which samples lie inside the moving image (and its mask), or how much each does; `weight` is
    of the fixed image alone. The cost is `o * metric(inside) + (1 - o) * metric.neutral(fixed)` with the
    overlap `o`, averaged over the batch. For information metrics this is the information per sample *drawn*,
    that is their total log-likelihood: a sample outside tells nothing. A mean over the samples inside alone
    would fall as the overlap shrinks to where both images are dull, and reward sliding them apart.

    As `inside` is mostly yes or no, the cost has small steps, of one sample each; its gradient has not.
    Raises `UsageError` where shapes do not fit.
    """
    shape = (fixed.shape[0], *fixed.shape[2:])
    if inside.shape != shape:
        raise UsageError(
            f"expected to be told of each sample if it is inside, {shape}, got {tuple(inside.shape)}"
        )
    overlap = overlap_fraction(inside, weight)
    seen = inside.to(torch.promote_types(fixed.dtype, torch.float32))
    cost = metric.per_pair(fixed, warped, seen if weight is None else weight * seen)
    return (overlap * cost + (1 - overlap) * metric.neutral(fixed, weight)).mean()
