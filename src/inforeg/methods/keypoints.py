"""The points of an image, found whatever its pose: looks from all sides, and one more in the pose that they tell."""

import itertools
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image, find_foreground, resample
from inforeg.image.coarse import coarse_of, object_of
from inforeg.methods.result import Points, Quality
from inforeg.nets import KeypointNet
from inforeg.nets.canonical import Canonical, seen_on
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform, closed_form

# Images that a network looks at in one go.
_AT_ONCE = 8
# Looks in the pose that the look before has told: the second one moves points by a millimetre or two.
_UPRIGHT = 2
# What an affine pose may stretch by, before a similarity is taken: more is no head, but points that are wrong.
_STRETCH = 1.6
# Points farther than this from where the model knows them, and objects of which less is among them, want a look.
_STRANGE_MM, _SURROUNDED = 15.0, 0.1


@dataclass(frozen=True, eq=False)
class Found:
    """Points of an image, `(k, d)`, in its world (RAS+ mm), float64, and weights `(k,)` that sum to one.

    `pose` takes the anatomy that the network was trained on to the image's world; None where the model does not say
    where its points are in it. `off_mm` is how far, root mean square, the points are from where this pose has them:
    small where the network has seen such an anatomy before, and large where it guesses.
    """

    points_mm: Tensor
    weights: Tensor
    pose: Linear | None
    off_mm: float | None


@torch.no_grad()
def find_points(net: KeypointNet, canonical: Canonical, image: Image) -> Found:
    """The points of an image in any pose.

    The network looks about the object's middle along the axes of the world, and of all quarter turns of it (4 in 2-D,
    24 in 3-D), so that whatever the pose is, it sees one that is at most 45 (63) degrees from what it knows best. Of
    these the one is taken whose points fit the network's own anatomy best, and from the pose they tell it looks again.
    A model that does not say where its points are in that anatomy has one look, along the axes of the world.
    """
    grid = canonical.around(object_of(image).centre_mm)
    seen = seen_on(image, canonical, grid)
    reference = net.reference_mm.double().cpu()
    if not bool(reference.any()):
        points, weights = _look(net, [seen.data], [grid])
        return Found(points[0], weights[0], None, None)
    grids = [_turned(grid, turn) for turn in quarter_turns(grid.ndim)]
    points, weights = _look(net, [resample(seen, turned).data for turned in grids], grids)
    poses = closed_form.similarity(reference.expand_as(points), points, weights)
    off = [_off(reference, *each) for each in zip(poses, points, weights, strict=True)]
    best = min(range(len(off)), key=off.__getitem__)
    found = _posed(reference, points[best], weights[best])
    middle = canonical.around(torch.zeros(grid.ndim, dtype=torch.float64))
    for _ in range(_UPRIGHT):
        assert found.pose is not None and found.off_mm is not None
        again = seen_on(image, canonical, middle, found.pose)
        at, weight = _look(net, [again.data], [middle])
        new = _posed(reference, found.pose(at[0]), weight[0])
        assert new.off_mm is not None
        if new.off_mm > found.off_mm:
            break
        found = new
    return found


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


def _turned(grid: Grid, turn: Float[Tensor, "d d"]) -> Grid:
    """The grid, turned about its middle."""
    d = grid.ndim
    middle = grid.to_world((torch.tensor(grid.shape, dtype=torch.float64) - 1) / 2)
    matrix = grid.voxel_to_world.clone()
    matrix[:d, :d] = turn @ matrix[:d, :d]
    matrix[:d, d] = middle + turn @ (matrix[:d, d] - middle)
    return Grid(grid.shape, matrix)


def _look(net: KeypointNet, images: list[Tensor], grids: list[Grid]) -> tuple[Tensor, Tensor]:
    """What the network finds in images, each on its grid: points in the world, and weights."""
    points, weights = [], []
    for start in range(0, len(images), _AT_ONCE):
        found = net(torch.cat(images[start : start + _AT_ONCE]))
        for voxel, weight, grid in zip(
            found.voxel, found.weights, grids[start : start + _AT_ONCE], strict=True
        ):
            points.append(grid.to_world(voxel.double().cpu()))
            weights.append(weight.double().cpu())
    return torch.stack(points), torch.stack(weights)


def _posed(reference: Tensor, points: Tensor, weights: Tensor) -> Found:
    """Points with the affine pose that fits them, or a similarity, where that would stretch too much to be one."""
    pair = reference[None], points[None], weights[None]
    fit = closed_form.affine(*pair)[0]
    d = reference.shape[1]
    sizes = torch.linalg.svdvals(fit[:d, :d])
    if bool((sizes > _STRETCH).any() | (sizes < 1 / _STRETCH).any()):
        fit = closed_form.similarity(*pair)[0]
    return Found(points, weights, Linear(fit), _off(reference, fit, points, weights))


def _off(reference: Tensor, matrix: Tensor, points: Tensor, weights: Tensor) -> float:
    """How far points are from where a pose has them, in mm."""
    d = reference.shape[1]
    apart = reference @ matrix[:d, :d].T + matrix[:d, d] - points
    return float((weights * apart.square().sum(1)).sum().sqrt())


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
    if points.off_mm is not None and max(points.off_mm) > _STRANGE_MM:
        which = "fixed" if points.off_mm[0] > points.off_mm[1] else "moving"
        reasons.append(
            f"the points found in the {which} image are {max(points.off_mm):.0f} mm from where they are in an anatomy"
            " that the model knows: it may never have seen such images"
        )
    if points.coverage < _SURROUNDED:
        reasons.append(f"the points surround only {100 * points.coverage:.0f} % of the fixed object")
    if len(reasons) == len(quality.reasons):
        return quality
    return replace(
        quality, reasons=reasons, verdict="check" if quality.verdict == "good" else quality.verdict
    )


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
