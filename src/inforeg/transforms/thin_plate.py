"""Thin-plate splines: the transforms through given points that bend least."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import NotInvertible, UsageError
from inforeg.transforms import closed_form
from inforeg.transforms.base import Transform, in_chunks
from inforeg.transforms.fit import paired_points
from inforeg.transforms.linear import Linear

# Pairs of a point and a control point that are looked at at a time.
_CHUNK_PAIRS = 1 << 21
# Nearer ones, of points that are one apart, leave too few digits in two dimensions.
_COINCIDENT = 1e-6


@dataclass(frozen=True, eq=False)
class ThinPlate(Transform):
    """`x -> A x + sum_k w_k U(|x - c_k|)`: an affine transform and a bend about each control point.

    `control_points_mm` and `weights` are `(k, d)`, kept in float64; control points lie in the fixed image's world
    (RAS+). `U(r)`, r in mm, is what minimises the bending energy in that space, up to a factor: `r**2 log(r)` in 2-D,
    with weights per mm, and `-r` in 3-D, with weights without a unit. Evaluating it takes time in proportion to points
    times control points, and no more memory for more of them. Raises `UsageError` for shapes that do not fit, and for
    numbers that are not finite. `fit_thin_plate` makes one from pairs of points.
    """

    control_points_mm: Tensor
    weights: Tensor
    affine: Linear

    def __post_init__(self) -> None:
        points, weights = (
            torch.as_tensor(given).to("cpu", torch.float64)
            for given in (self.control_points_mm, self.weights)
        )
        if points.shape != weights.shape or points.ndim != 2 or points.shape[1] != self.affine.ndim:
            raise UsageError(
                f"expected control points and weights of shape (k, {self.affine.ndim}), as the affine part has it,"
                f" got {tuple(points.shape)} and {tuple(weights.shape)}"
            )
        for what, values in (("control points", points), ("weights", weights)):
            if not bool(torch.isfinite(values.detach()).all()):
                raise UsageError(f"expected finite {what}, got NaN or infinity")
        object.__setattr__(self, "control_points_mm", points)
        object.__setattr__(self, "weights", weights)

    @property
    def ndim(self) -> int:
        return self.affine.ndim

    def __call__(self, points_mm: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        moved = in_chunks(self._moved, points_mm.reshape(-1, self.ndim), self._chunk)
        return moved.reshape(points_mm.shape)

    def jacobian(self, points_mm: Float[Tensor, "n d"]) -> Float[Tensor, "n d d"]:
        return in_chunks(self._derivatives, points_mm, self._chunk)

    def inverse(self) -> "Transform":
        raise NotInvertible(
            "a thin-plate spline has no exact inverse; approximate_inverse gives one on a grid with its error in mm"
        )

    @property
    def _chunk(self) -> int:
        return max(1, _CHUNK_PAIRS // max(1, len(self.weights)))

    def _moved(self, points: Tensor) -> Tensor:
        exact = points.to(torch.float64)
        apart = closed_form.distances(exact, self.control_points_mm.to(points.device))
        bent = closed_form.kernel(apart, self.ndim)
        return (self.affine(exact) + bent @ self.weights.to(points.device)).to(points.dtype)

    def _derivatives(self, points: Tensor) -> Tensor:
        exact = points.to(torch.float64)
        apart = exact[:, None] - self.control_points_mm.to(points.device)
        r = apart.norm(dim=-1, keepdim=True)
        # At a control point itself, where the one in 3-D has a kink, the slope is taken for none.
        tiny = torch.finfo(r.dtype).tiny
        slopes = -apart / r.clamp(min=tiny) if self.ndim == 3 else (2 * r.clamp(min=tiny).log() + 1) * apart
        bent = torch.einsum("nkj,ki->nij", slopes, self.weights.to(points.device))
        return (self.affine.jacobian(exact) + bent).to(points.dtype)


def fit_thin_plate(
    fixed_points_mm: Float[Tensor, "n d"],
    moving_points_mm: Float[Tensor, "m e"],
    smoothing: float = 0.0,
    weights: Float[Tensor, " n"] | None = None,
) -> ThinPlate:
    """The thin-plate spline from fixed points to moving points (Bookstein, IEEE PAMI 1989), in float64.

    With `smoothing` 0 it passes through all of them; above, it gives way in the weighted mean square for less bending
    (Wahba 1990). `smoothing` has no unit: it is added to the diagonal of the kernel matrix of the fixed points, scaled
    to a root-mean-square distance of 1 from their centroid, so that the same number does the same to millimetres and to
    metres; 0.01 to 1 smooth more and more, and from 10 on little but the affine fit is left. `weights` (their mean does
    not matter) divide it for each pair, and leave a pair of weight 0 out; without smoothing they do nothing else.

    Raises `UsageError` for fewer than `d + 1` pairs, for fixed points that do not span the space, and for two that
    coincide where there is no smoothing. Differentiable in the points and the weights.
    """
    fixed, moving, share = paired_points(fixed_points_mm, moving_points_mm, weights, 1)
    if not 0 <= smoothing < float("inf"):
        raise UsageError(f"expected a smoothing of at least zero, got {smoothing}")
    kept = share > 0
    fixed, moving, share = fixed[kept], moving[kept], share[kept]
    count, d = fixed.shape
    if count < d + 1:
        raise UsageError(f"expected at least {d + 1} point pairs with a weight above zero, got {count}")
    centre = fixed.mean(dim=0)
    scale_mm = (fixed - centre).square().sum(dim=1).mean().sqrt()
    extents = torch.linalg.svdvals((fixed - centre).detach())
    if not float(extents[-1]) > 1e-6 * float(extents[0]):
        what = "line" if d == 2 else "plane"
        raise UsageError(
            f"expected fixed points that span the space; these {count} lie on one {what}, or coincide: give more"
        )
    if smoothing == 0:
        _refuse_coincident(closed_form.distances(fixed, fixed).detach() / scale_mm.detach())
    bends, affine = closed_form.thin_plate(fixed[None], moving[None], smoothing, share[None])
    return ThinPlate(fixed, bends[0], Linear(affine[0]))


def _refuse_coincident(apart: Tensor) -> None:
    """Raises `UsageError` where two points are nearer than can be told apart."""
    nearest = apart.clone().fill_diagonal_(torch.inf).min(dim=1)
    first = int(nearest.values.argmin())
    if float(nearest.values[first]) <= _COINCIDENT:
        raise UsageError(
            f"expected fixed points that differ; number {first} and number {int(nearest.indices[first])} (from 0)"
            " coincide: give each once, or a smoothing above 0"
        )
