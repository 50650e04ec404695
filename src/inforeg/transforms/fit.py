"""Linear transforms from paired points (weighted least squares and Procrustes), with what is wrong with them said."""

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import UsageError
from inforeg.transforms import closed_form
from inforeg.transforms.linear import Linear


def paired_points(
    fixed_mm: Tensor, moving_mm: Tensor, weights: Tensor | None, least: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Both sets of points and weights of sum one, in float64 on the CPU.

    Raises `UsageError` for shapes that do not pair, fewer than `least`, numbers that are not finite, and weights below
    zero or without any above it.
    """
    if fixed_mm.shape != moving_mm.shape or fixed_mm.ndim != 2 or fixed_mm.shape[1] not in (2, 3):
        raise UsageError(
            "expected two (n, 2) or (n, 3) arrays of paired points,"
            f" got {tuple(fixed_mm.shape)} and {tuple(moving_mm.shape)}"
        )
    if fixed_mm.shape[0] < least:
        raise UsageError(f"expected at least {least} point pairs, got {fixed_mm.shape[0]}")
    fixed_mm, moving_mm = fixed_mm.to("cpu", torch.float64), moving_mm.to("cpu", torch.float64)
    w = (
        torch.ones(fixed_mm.shape[0], dtype=torch.float64)
        if weights is None
        else weights.to("cpu", torch.float64)
    )
    if not all(bool(torch.isfinite(given.detach()).all()) for given in (fixed_mm, moving_mm, w)):
        raise UsageError("expected finite points and weights, got NaN or infinity")
    if bool((w < 0).any()) or float(w.detach().sum()) <= 0:
        raise UsageError("expected weights of at least zero, not all of them zero")
    return fixed_mm, moving_mm, w / w.sum()


def fit_translation(
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    weights: Float[Tensor, " n"] | None = None,
) -> Linear:
    """The shift that brings fixed points nearest to moving points, in the weighted mean square."""
    p, q, w = paired_points(fixed_points_mm, moving_points_mm, weights, 1)
    return Linear.translation(w @ (q - p))


def fit_rigid(
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    weights: Float[Tensor, " n"] | None = None,
) -> Linear:
    """Rotation and shift nearest in the weighted mean square (Kabsch); never a reflection.

    Each weight enters once, in the covariance. Raises `UsageError` for fewer than `d` pairs.
    """
    return _procrustes(fixed_points_mm, moving_points_mm, weights, with_scale=False)


def fit_similarity(
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    weights: Float[Tensor, " n"] | None = None,
) -> Linear:
    """Rotation, one scale and shift nearest in the weighted mean square (Umeyama 1991)."""
    return _procrustes(fixed_points_mm, moving_points_mm, weights, with_scale=True)


def _procrustes(fixed: Tensor, moving: Tensor, weights: Tensor | None, with_scale: bool) -> Linear:
    d = fixed.shape[-1]
    p, q, w = paired_points(fixed, moving, weights, d)
    spread = w.sqrt()[:, None] * (p - w @ p).detach()
    if d == 3 and float(torch.linalg.svdvals(spread)[1]) <= 1e-9 * float(spread.abs().max()):
        raise UsageError(
            "expected points that do not all coincide or lie on one line, which leaves a rotation open"
        )
    if with_scale and float(spread.square().sum()) <= 0:
        raise UsageError("expected points that do not all coincide")
    solve = closed_form.similarity if with_scale else closed_form.rigid
    return Linear(solve(p[None], q[None], w[None])[0])


def fit_affine(
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    weights: Float[Tensor, " n"] | None = None,
    ridge: float = 0.0,
    *,
    symmetric: bool = False,
) -> Linear:
    """The affine transform nearest in the weighted mean square, with an optional ridge towards the rigid fit.

    `ridge` is relative to the mean spread of the points; with it, coplanar points give a transform that does
    nothing but turn across their plane instead of failing. Without it, raises `UsageError` for fewer than `d + 1` pairs
    or pairs that do not span the space. Swapping the point sets does not give the inverse, unless `symmetric`: then it
    is the geometric mean of the fit and of the inverse of the fit back.
    """
    d = fixed_points_mm.shape[-1]
    p, q, w = paired_points(fixed_points_mm, moving_points_mm, weights, 1 if ridge > 0 else d + 1)
    for points in (p, q) if symmetric else (p,):
        away = (points - w @ points).detach()
        scatter = away.T @ (w[:, None] * away)
        if ridge > 0 and float(scatter.trace()) <= 0:
            return fit_translation(p, q, w)
        penalty = ridge * scatter.trace() / d * torch.eye(d, dtype=torch.float64)
        if float(torch.linalg.cond(scatter + penalty)) > 1e12:
            raise UsageError(
                "expected points that span the space; these lie in one plane or line: give more, or a ridge"
            )
    solve = closed_form.symmetric_affine if symmetric else closed_form.affine
    return Linear(solve(p[None], q[None], w[None], ridge)[0])
