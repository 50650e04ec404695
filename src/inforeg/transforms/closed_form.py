"""Transforms from paired points in closed form: of whole batches, differentiable, and with nothing checked.

Points are `(b, n, d)` in mm, weights `(b, n)` of at least zero (equal if none are given; their mean does not matter),
and matrices `(b, d + 1, d + 1)`, homogeneous, from fixed points to moving points. Everything is done in float64.
`fit_rigid` and its like are the same for one set of points, and say what is wrong with it.
"""

import torch
from jaxtyping import Float
from torch import Tensor

# Of an affine fit, unless said otherwise: points that span the space do not feel it.
RIDGE = 1e-6


def rigid(
    fixed: Float[Tensor, "b n d"], moving: Float[Tensor, "b n d"], weights: Float[Tensor, "b n"] | None = None
) -> Float[Tensor, "b e e"]:
    """Rotation and shift nearest in the weighted mean square (Kabsch), never a reflection; each weight enters once."""
    p, q, p_mean, q_mean, w = _centred(fixed, moving, weights)
    return _about(nearest_rotation(_cross(q, p, w)), p_mean, q_mean)


def similarity(
    fixed: Float[Tensor, "b n d"], moving: Float[Tensor, "b n d"], weights: Float[Tensor, "b n"] | None = None
) -> Float[Tensor, "b e e"]:
    """Rotation, one scale and shift nearest in the weighted mean square (Umeyama 1991)."""
    p, q, p_mean, q_mean, w = _centred(fixed, moving, weights)
    cross = _cross(q, p, w)
    turn = nearest_rotation(cross)
    # The trace of the singular values, with the sign that makes a rotation of them.
    scale = (turn * cross).sum((1, 2)) / (w[..., None] * p.square()).sum((1, 2))
    return _about(scale[:, None, None] * turn, p_mean, q_mean)


def symmetric_similarity(
    fixed: Float[Tensor, "b n d"], moving: Float[Tensor, "b n d"], weights: Float[Tensor, "b n"] | None = None
) -> Float[Tensor, "b e e"]:
    """As `similarity`, but for the scale: the ratio of both spreads (Horn 1987), whose inverse is the fit back."""
    p, q, p_mean, q_mean, w = _centred(fixed, moving, weights)
    turn = nearest_rotation(_cross(q, p, w))
    of_p, of_q = ((w[..., None] * points.square()).sum((1, 2)) for points in (p, q))
    return _about((of_q / of_p).sqrt()[:, None, None] * turn, p_mean, q_mean)


def affine(
    fixed: Float[Tensor, "b n d"],
    moving: Float[Tensor, "b n d"],
    weights: Float[Tensor, "b n"] | None = None,
    ridge: float = RIDGE,
) -> Float[Tensor, "b e e"]:
    """The affine transform nearest in the weighted mean square; swapping the points does not give its inverse.

    `ridge`, relative to the mean spread of the fixed points, pulls towards the rigid fit, which is what coplanar points
    get across their plane, and any number of points at all.
    """
    p, q, p_mean, q_mean, w = _centred(fixed, moving, weights)
    cross, scatter = _cross(q, p, w), _cross(p, p, w)
    pull = ridge * _spread(scatter)
    turn = nearest_rotation(cross)
    eye = torch.eye(p.shape[-1], dtype=p.dtype, device=p.device)
    linear = torch.linalg.solve(scatter + pull * eye, (cross + pull * turn).mT).mT
    return _about(linear, p_mean, q_mean)


def symmetric_affine(
    fixed: Float[Tensor, "b n d"],
    moving: Float[Tensor, "b n d"],
    weights: Float[Tensor, "b n"] | None = None,
    ridge: float = RIDGE,
) -> Float[Tensor, "b e e"]:
    """The affine transform between both directions' least squares: swapping the points gives exactly its inverse.

    It is the geometric mean of the fit forward, `A`, and of the inverse of the fit back, `B`: `A (B A)^(-1/2)`. (An
    arithmetic mean, as SynthMorph takes, is not symmetric.) That mean is `S_q R S_p^(-1)`, with `S` any square roots of
    the points' covariances and `R` the rotation nearest to one set, so made round, from the other. `ridge` as in
    `affine`, relative to the spread of both.
    """
    p, q, p_mean, q_mean, w = _centred(fixed, moving, weights)
    cross, of_p, of_q = _cross(q, p, w), _cross(p, p, w), _cross(q, q, w)
    pull = 0.5 * ridge * (_spread(of_p) + _spread(of_q))
    turn = nearest_rotation(cross)
    eye = torch.eye(p.shape[-1], dtype=p.dtype, device=p.device)
    root_p, root_q = (torch.linalg.cholesky(scatter + pull * eye) for scatter in (of_p, of_q))
    # Both divided by their roots: L_q^-1 C L_p^-T.
    half = torch.linalg.solve_triangular(root_q, cross + pull * turn, upper=False)
    white = torch.linalg.solve_triangular(root_p, half.mT, upper=False).mT
    between = nearest_rotation(white)
    linear = torch.linalg.solve_triangular(root_p, root_q @ between, upper=False, left=False)
    return _about(linear, p_mean, q_mean)


LINEAR = {"rigid": rigid, "similarity": symmetric_similarity, "affine": symmetric_affine}
"""The fits of a registration, by the name of what they give: all symmetric."""


def nearest_rotation(matrices: Float[Tensor, "b d d"]) -> Float[Tensor, "b d d"]:
    """The rotation `R` with the largest trace of `R' M`: the orthogonal part of `M` without reflection.

    Its derivative needs sums of singular values, and not their differences as that of the decomposition does: points
    that spread alike in two directions are no trouble.
    """
    found: Tensor = _NearestRotation.apply(matrices)  # type: ignore[no-untyped-call]
    return found


class _NearestRotation(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, matrices: Tensor) -> Tensor:
        u, s, vt = torch.linalg.svd(matrices)
        sign = torch.ones_like(s)
        sign[:, -1] = torch.where(torch.linalg.det(u @ vt) < 0, -1.0, 1.0)
        turn: Tensor = u @ (sign[..., None] * vt)
        context.save_for_backward(turn, s * sign, vt)
        return turn

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, slope: Tensor) -> Tensor:
        # R' dM - dM' R = W P + P W, with dR = R W and P = R' M symmetric: solved in the basis where P is diagonal.
        turn, values, vt = context.saved_tensors  # type: ignore[attr-defined]
        inner = vt @ turn.mT @ slope @ vt.mT
        sums = values[..., None] + values[..., None, :]
        # Where two values cancel any turn about the third axis does as well, and none is better.
        least = 1e-9 * values.abs().amax(-1)[..., None, None].clamp(min=torch.finfo(values.dtype).tiny)
        inner = torch.where(sums.abs() > least, (inner - inner.mT) / sums, 0.0)
        found: Tensor = turn @ vt.mT @ inner @ vt
        return found


def thin_plate(
    fixed: Float[Tensor, "b n d"],
    moving: Float[Tensor, "b n d"],
    smoothing: float | Tensor = 0.0,
    weights: Float[Tensor, "b n"] | None = None,
) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b e e"]]:
    """The bends about the fixed points and the affine part of thin-plate splines, as `ThinPlate` has them.

    `smoothing` and `weights` as `fit_thin_plate` has them; the weights are above zero.
    """
    fixed, moving = fixed.double(), moving.double()
    batch, count, d = fixed.shape
    centre = fixed.mean(dim=1, keepdim=True)
    scale = (fixed - centre).square().sum(dim=2).mean(dim=1).sqrt()[:, None, None]
    p = (fixed - centre) / scale
    share = torch.ones_like(p[..., 0]) if weights is None else weights.double()
    ones = torch.cat((torch.ones_like(p[..., :1]), p), dim=2)
    soft = torch.diag_embed(smoothing * share.mean(dim=1, keepdim=True) / share)
    corner = p.new_zeros(batch, d + 1, d + 1)
    system = torch.cat(
        (
            torch.cat((kernel(distances(p, p), d) + soft, ones), dim=2),
            torch.cat((ones.mT, corner), dim=2),
        ),
        dim=1,
    )
    # The displacement is fitted, so that points that stay leave exactly the identity.
    solved = torch.linalg.solve(system, torch.cat((moving - fixed, corner[:, :, :d]), dim=1))
    bends, shift, slopes = solved[:, :count], solved[:, count], solved[:, count + 1 :].mT / scale
    if d == 2:
        # log(r / scale) is log(r) less a constant, whose part in the sum is a shift: bends sum to no line.
        shift = shift - scale[:, 0].log() * (bends * p.square().sum(dim=2, keepdim=True)).sum(dim=1)
    eye = torch.eye(d, dtype=p.dtype, device=p.device)
    linear = _about(eye + slopes, centre[:, 0], centre[:, 0] + shift)
    return bends / (scale if d == 3 else scale.square()), linear


def distances(a: Float[Tensor, "*b n d"], b: Float[Tensor, "*b m d"]) -> Float[Tensor, "*b n m"]:
    """Between all points of both; to the last digit also where they are near."""
    # The default takes them from a product of matrices, which leaves no digits there.
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def kernel(r: Tensor, ndim: int) -> Tensor:
    """The radial function of a thin plate, up to a factor: `r**2 log(r)` in 2-D, `-r` in 3-D."""
    if ndim == 3:
        return -r
    # Clamped for its gradient at 0.
    return r.square() * r.clamp(min=torch.finfo(r.dtype).tiny).log()


def _centred(
    fixed: Tensor, moving: Tensor, weights: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    p, q = fixed.double(), moving.double()
    w = torch.ones_like(p[..., 0]) if weights is None else weights.double()
    w = w / w.sum(dim=1, keepdim=True)
    p_mean, q_mean = (torch.einsum("bn,bnd->bd", w, points) for points in (p, q))
    return p - p_mean[:, None], q - q_mean[:, None], p_mean, q_mean, w


def _cross(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
    return torch.einsum("bni,bn,bnj->bij", a, w, b)


def _spread(scatter: Tensor) -> Tensor:
    return scatter.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None]


def _about(linear: Tensor, at: Tensor, to: Tensor) -> Tensor:
    """`x -> linear (x - at) + to`."""
    batch, d = at.shape
    matrix = linear.new_zeros(batch, d + 1, d + 1)
    matrix[:, :d, :d] = linear
    matrix[:, :d, d] = to - (linear @ at[..., None])[..., 0]
    matrix[:, d, d] = 1
    return matrix
