"""The points of an image, found whatever its pose: looks from all sides, and one more in the pose that they tell."""

import itertools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image, find_foreground, normalise, resample, to_scalar
from inforeg.image.coarse import coarse_of, object_of
from inforeg.image.filters import downsample
from inforeg.methods.learnt import model_for
from inforeg.methods.result import Points, Quality
from inforeg.nets import KeypointNet, Keypoints
from inforeg.nets.canonical import Canonical
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform, closed_form

AT_ONCE = 6
"""Sides of an image that a network looks at in one go."""
# Poses that are looked at again, in the pose that they tell: the first look may take a head for one upside down.
_AGAIN = 3
# What is as likely as the mean of what was learnt from, less so many standard deviations, needs no other look.
_USUAL = 2.0
# Looks in the pose that the look before has told, until they move the points by less than this.
_LOOKS, _STILL_MM = 5, 0.5
# What an affine pose may stretch by, before a similarity is taken: more is no head, but points that are wrong.
_STRETCH = 1.6
# Points farther than this from where the model knows them, and objects of which less is among them, want a look.
_STRANGE_MM, _SURROUNDED = 4.0, 0.1


@dataclass(frozen=True, eq=False)
class Found:
    """Points of an image, `(k, d)`, in its world (RAS+ mm), float64, and weights `(k,)` that sum to one.

    `pose` takes the anatomy that the network was trained on to the image's world; None where the model does not say
    where its points are in it. `off_mm` is how far, root mean square, the points are from where this pose has them, and
    `nats` how likely the heat maps make these places, on average: less of the one and more of the other where the
    network has seen such an anatomy in such a pose.
    """

    points_mm: Tensor
    weights: Tensor
    pose: Linear | None = None
    off_mm: float | None = None
    nats: float = 0.0


def keypoint_model(model: str, image: Image) -> tuple[KeypointNet, Canonical]:
    """The network of a model, on an image's device, and the grid it sees. Raises as `model_for` does."""
    found = model_for(model, KeypointNet, "finds keypoints", image)
    assert isinstance(found.net, KeypointNet)
    return found.net, found.canonical


@torch.no_grad()
def find_points(net: KeypointNet, canonical: Canonical, image: Image) -> Found:
    """The points of an image in any pose.

    The network looks about the object's middle along the axes of the world, along the object's own, and along all
    quarter turns of the world's (4 in 2-D, 24 in 3-D), so that whatever the pose is, it sees one that is at most 45
    (63) degrees from what it knows best. Where its heat is likeliest, it looks again, in the pose that its points tell,
    and so on until this no longer changes. Sides are looked at until one is as likely as images usually are that the
    model has learnt from, which the first one is where headers are right; if none is, the likeliest three are looked at
    again. A model that does not say where its points are in the anatomy it knows has one look, along the world's axes.
    """
    found_object = object_of(image)
    grid = canonical.around(found_object.centre_mm)
    thin = _thinned(image, canonical.spacing_mm)
    seen = _seen(thin, grid)
    reference = net.reference_mm.double().cpu()
    if not bool(reference.any()):
        ((points, weights),) = _points(net(seen.data), [grid])
        return Found(points, weights)
    upright = canonical.around(torch.zeros(grid.ndim, dtype=torch.float64))

    def again(found: Found) -> Found:
        """What is seen in the pose of an earlier look."""
        assert found.pose is not None
        return found_in(net(_seen(thin, upright, found.pose).data), [upright], reference, found.pose)[0]

    mean, deviation = net.usual_nats.tolist()
    usual = mean - _USUAL * deviation if deviation > 0 else float("inf")
    turns = quarter_turns(grid.ndim)
    # As the image lies, as most do by their header; along its own axes; and then a few of the other sides at a time.
    sides = [turns[:1], _along(found_object.covariance_mm2, reference)]
    sides += [turns[n : n + AT_ONCE] for n in range(1, len(turns), AT_ONCE)]
    first: list[Found] = []
    second: list[Found] = []
    for some in sides:
        grids = [_turned(grid, turn) for turn in some]
        new = found_in(net(torch.cat([_from(seen, turn) for turn in some])), grids, reference)
        first += new
        second.append(again(max(new, key=_likely)))
        if second[-1].nats >= usual:
            break
    else:
        second += [again(found) for found in sorted(first, key=_likely)[-_AGAIN:]]
    best = max(second, key=_likely)
    for _ in range(_LOOKS):
        new_look = again(best)
        if new_look.nats < best.nats:
            break
        moved = float((new_look.points_mm - best.points_mm).square().sum(1).mean().sqrt())
        best = new_look
        if moved < _STILL_MM:
            break
    return best


def quarter_turns(ndim: int) -> list[Float[Tensor, "d d"]]:
    """All rotations that take axes to axes, the identity first."""
    turns = []
    for order in itertools.permutations(range(ndim)):
        for signs in itertools.product((1.0, -1.0), repeat=ndim):
            matrix = torch.zeros(ndim, ndim, dtype=torch.float64)
            for row, (column, sign) in enumerate(zip(order, signs, strict=True)):
                matrix[row, column] = sign
            if float(torch.linalg.det(matrix)) > 0:
                turns.append(matrix)
    return turns


def _along(spread_mm2: Float[Tensor, "d d"], reference: Float[Tensor, "k d"]) -> list[Float[Tensor, "d d"]]:
    """The rotations that lay the principal axes of the anatomy that the model knows on those of an object, given by its
    covariance: two in 2-D, four in 3-D, as axes have no sign."""
    own = torch.linalg.eigh(spread_mm2.double().cpu()).eigenvectors
    known = torch.linalg.eigh(torch.cov(reference.T)).eigenvectors
    turns = [
        own @ torch.diag(torch.tensor(signs, dtype=torch.float64)) @ known.T
        for signs in itertools.product((1.0, -1.0), repeat=len(own))
    ]
    return [turn for turn in turns if float(torch.linalg.det(turn)) > 0]


def _from(seen: Image, turn: Float[Tensor, "d d"]) -> Float[Tensor, "b c ..."]:
    """The image as the grid has it that is turned about its middle."""
    shape = seen.data.shape[2:]
    if len(set(shape)) > 1 or not bool(((turn == 0) | (turn.abs() == 1)).all()):
        return resample(seen, _turned(seen.grid, turn)).data
    # Whole axes change places.
    order = turn.abs().argmax(dim=0).tolist()
    against = [2 + axis for axis, source in enumerate(order) if float(turn[source, axis]) < 0]
    return seen.data.permute(0, 1, *(2 + source for source in order)).flip(against)


def _turned(grid: Grid, turn: Float[Tensor, "d d"]) -> Grid:
    """The grid, turned about its middle."""
    d = grid.ndim
    middle = grid.to_world((torch.tensor(grid.shape, dtype=torch.float64) - 1) / 2)
    matrix = grid.voxel_to_world.clone()
    matrix[:d, :d] = turn @ matrix[:d, :d]
    matrix[:d, d] = middle + turn @ (matrix[:d, d] - middle)
    return Grid(grid.shape, matrix)


def _thinned(image: Image, spacing_mm: float) -> Image:
    """One channel, of voxels no larger than what the network sees, and not much smaller: a look from there aliases
    little, and costs an eighth of one at half of the spacing."""
    scalar = to_scalar(image)
    factors = [max(1, int(spacing_mm / float(size) + 1e-6)) for size in scalar.grid.spacing_mm]
    return downsample(scalar, factors) if max(factors) > 1 else scalar


def _seen(thin: Image, grid: Grid, to_image: Linear | None = None) -> Image:
    """An image that has been thinned, as the network sees it: from 0 to 1 between the half-percent quantiles."""
    return normalise(resample(thin, grid, to_image))


def _points(heat: Keypoints, grids: list[Grid]) -> list[tuple[Tensor, Tensor]]:
    """Points in the world of each image's grid, and weights."""
    return [
        (grid.to_world(voxel.double().cpu()), weights.double().cpu())
        for voxel, weights, grid in zip(heat.voxel, heat.weights, grids, strict=True)
    ]


def found_in(
    heat: Keypoints, grids: list[Grid], reference: Tensor, seen_in: Linear | None = None
) -> list[Found]:
    """What each of some images shows, and how likely. `seen_in` takes the grids' world to that of the image."""
    views = _points(heat, grids)
    poses = [_pose(reference, *view) for view in views]
    places = torch.stack([grid.to_voxel(pose(reference)) for grid, pose in zip(grids, poses, strict=True)])
    nats = heat.likelihood(places.to(heat.voxel)).mean(dim=1).tolist()
    found = []
    for (points, weights), pose, likely in zip(views, poses, nats, strict=True):
        apart = (pose(reference) - points).square().sum(1)
        off_mm = float((weights * apart).sum().sqrt())
        if seen_in is not None:
            points, pose = seen_in(points), Linear(seen_in.matrix @ pose.matrix)
        found.append(Found(points, weights, pose, off_mm, likely))
    return found


def _pose(reference: Tensor, points: Tensor, weights: Tensor) -> Linear:
    """The affine pose of points, or a similarity, where that would stretch too much to be one."""
    pair = reference[None], points[None], weights[None]
    matrix = closed_form.affine(*pair)[0]
    sizes = torch.linalg.svdvals(matrix[:-1, :-1])
    if bool((sizes > _STRETCH).any() | (sizes < 1 / _STRETCH).any()):
        matrix = closed_form.similarity(*pair)[0]
    return Linear(matrix)


def _likely(found: Found) -> float:
    return found.nats


def pairs_of(fixed: Found, moving: Found, transform: Transform, image: Image) -> Points:
    """The points of both images as a result has them; `image` is the fixed one."""
    p, q = fixed.points_mm, moving.points_mm
    shared = fixed.weights * moving.weights
    off = None if fixed.off_mm is None or moving.off_mm is None else (fixed.off_mm, moving.off_mm)
    return Points(
        p,
        q,
        shared / shared.sum(),
        (transform(p) - q).norm(dim=1),
        off,
        _coverage(p, image),
    )


def judged(quality: Quality, points: Points) -> Quality:
    """A verdict that has heard of the points, too."""
    reasons = list(quality.reasons)
    if points.off_mm is not None and (said := strange(max(points.off_mm))):
        which = "fixed" if points.off_mm[0] > points.off_mm[1] else "moving"
        reasons.append(f"the points found in the {which} image are {said}")
    if points.coverage < _SURROUNDED:
        reasons.append(f"the points surround only {100 * points.coverage:.0f} % of the fixed object")
    if len(reasons) == len(quality.reasons):
        return quality
    return replace(
        quality, reasons=reasons, verdict="check" if quality.verdict == "good" else quality.verdict
    )


def strange(off_mm: float) -> str:
    """What to say of points so far from where the model knows them, after "they are"; nothing where that is near."""
    if off_mm <= _STRANGE_MM:
        return ""
    return f"{off_mm:.0f} mm from where they are in an anatomy that the model knows: it may never have seen such images"


def _coverage(points: Tensor, image: Image) -> float:
    """The share of an image's object within the convex hull of points; 0 where these span no space."""
    # Deferred: it takes half a second that nothing else needs.
    from scipy.spatial import ConvexHull, QhullError

    coarse = coarse_of(image)
    found = find_foreground(coarse)
    voxels = coarse.grid.to_world(found.mask.reshape(coarse.grid.shape).nonzero().double().cpu())
    if not len(voxels):
        return 0.0
    try:
        faces = torch.from_numpy(ConvexHull(points.numpy()).equations)
    except QhullError:
        return 0.0
    inside = (voxels @ faces[:, :-1].T + faces[:, -1] <= 0).all(dim=1)
    return float(inside.double().mean())
