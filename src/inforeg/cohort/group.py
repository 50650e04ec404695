"""Many images brought to the mean of their keypoints, none of them before the others."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import PairError, UsageError, did_you_mean
from inforeg.image import Image
from inforeg.image.coarse import object_of
from inforeg.methods.keymorph import Kind
from inforeg.methods.keypoints import Found, find_points, keypoint_model, strange
from inforeg.space import Grid
from inforeg.transforms import Displacement, Linear, Transform, closed_form, fit_thin_plate

# Rounds of fitting all to the mean and taking the mean again, and how little it moves at the end.
_ROUNDS, _STILL_MM = 50, 1e-3
# Around what is common to the members, and between the nodes of a thin plate's field.
_MARGIN_MM, _NODES_MM = 10.0, 4.0


@dataclass(frozen=True, eq=False)
class Member:
    """An image of a group: the transform from points of the group's space to its own (RAS+ mm), and its points.

    `left_mm` is how far, root mean square and by weight, the group's points land from its own.
    """

    name: str
    image: Image
    transform: Transform
    points: Found
    left_mm: float


@dataclass(frozen=True, eq=False)
class Group:
    """Images and the space between them: mean points `(k, d)`, in mm, and the grid on which all are to be seen."""

    members: Sequence[Member]
    mean_mm: Tensor
    weights: Tensor
    grid: Grid
    fit: str
    rounds: int
    notes: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """What asks for a look before the group is used."""

    @property
    def ok(self) -> bool:
        """Whether nothing asks for a look."""
        return not self.doubts


def align_group(
    images: Sequence[Image],
    model: str,
    fit: str = "affine",
    *,
    smoothing: float = 0.1,
    spacing_mm: float | None = None,
    names: Sequence[str] | None = None,
) -> Group:
    """Bring any number of images, of any contrasts and poses, to the mean of their keypoints.

    Each image is looked at once (`find_points`). From there it is a generalised Procrustes analysis (Gower 1975): every
    set of points is fitted to the mean (rigid, similarity or affine), the mean is taken of what all sets are in its
    space, and so on, until it rests. For `fit="tps"` that is done with affine fits, and thin plates then lead from the
    mean to each set, by displacements on nodes 4 mm apart.

    The group's space has the pose of the model's own anatomy, upright along the world's axes, and its size and shape
    are between those of the members: what the linear parts stretch by is nothing on average (of its logarithms).
    `spacing_mm` is that of the grid, by default the finest of the images'. BrainMorph (Wang et al. 2024) does the same
    in five rounds; we go on to the end, weigh the points, and keep size and shape.

    Raises `UsageError` for fewer than two images, and for a fit that is not known; `PairError` for an image of another
    dimension than the model's.
    """
    known = get_args(Kind)
    if fit not in known:
        hint = did_you_mean(fit, known, f"expected {', '.join(known)}")
        raise UsageError(f"unknown transform {fit!r} for a group; {hint}")
    if len(images) < 2:
        raise UsageError(f"expected at least two images, got {len(images)}")
    called = list(names) if names is not None else [i.name or f"{n}" for n, i in enumerate(images, 1)]
    net, canonical = keypoint_model(model, images[0])
    for name, image in zip(called, images, strict=True):
        if image.grid.ndim != images[0].grid.ndim:
            raise PairError(f"expected images of {images[0].grid.ndim} axes as the first one has, got {name}")
    found = [find_points(net, canonical, image) for image in images]
    sets = torch.stack([each.points_mm for each in found])
    weights = torch.stack([each.weights for each in found])
    upright = net.reference_mm.cpu() if bool(net.reference_mm.any()) else sets[0]
    kind = "affine" if fit == "tps" else fit
    mean, matrices, rounds = mean_of(sets, weights, upright, kind)
    shared = weights.log().mean(0).exp()
    grid = _grid(images, matrices, spacing_mm)
    members, doubts = [], []
    for name, image, each, points, share, matrix in zip(
        called, images, found, sets, weights, matrices, strict=True
    ):
        transform: Transform = Linear(matrix)
        if fit == "tps":
            plate = fit_thin_plate(mean, points, smoothing, share)
            transform = Displacement.of(plate, _coarser(grid, _NODES_MM))
            folds = int((torch.linalg.det(transform.jacobian(transform.grid.points_mm())) <= 0).sum())
            if folds:
                doubts.append(
                    f"{name}: the thin plates fold space at {folds} nodes; smooth them more, or fit affine"
                )
        if each.off_mm is not None and (said := strange(each.off_mm)):
            doubts.append(f"{name}: its points are {said}")
        left = (share * (transform(mean) - points).square().sum(1)).sum() / share.sum()
        members.append(Member(name, image, transform, each, float(left.sqrt())))
    notes = [f"{len(mean)} points in {len(images)} images; the mean was at rest after {rounds} rounds"]
    return Group(members, mean, shared / shared.sum(), grid, fit, rounds, notes, doubts)


def mean_of(
    sets: Float[Tensor, "n k d"],
    weights: Float[Tensor, "n k"],
    upright: Float[Tensor, "k d"],
    kind: str,
) -> tuple[Float[Tensor, "k d"], Float[Tensor, "n e e"], int]:
    """The mean of sets of points in the pose of `upright`, the transforms from it to each set, and the rounds taken.

    Transforms are `rigid`, `similarity` or `affine`.
    """
    solve, d = closed_form.LINEAR[kind], sets.shape[2]
    mean, rounds, moved = upright, 0, float("inf")
    while rounds < _ROUNDS and moved >= _STILL_MM:
        rounds += 1
        matrices = solve(mean.expand_as(sets), sets, weights)
        back = torch.linalg.inv(matrices)
        there = sets @ back[:, :d, :d].mT + back[:, None, :d, d]
        new = (weights[..., None] * there).sum(0) / weights.sum(0)[:, None]
        # Means of what is brought to the mean shrink it, and nothing holds its pose: it is stretched so that the
        # members' stretches are none on average, and turned to where it belongs.
        own = solve(new.expand_as(sets), sets, weights)[:, :d, :d]
        squares, axes = torch.linalg.eigh(own.mT @ own)
        logarithm = (axes * (0.5 * squares.log())[:, None]) @ axes.mT
        new = (new - new.mean(0)) @ torch.linalg.matrix_exp(logarithm.mean(0))
        pose = closed_form.rigid(new[None], upright[None])[0]
        new = new @ pose[:d, :d].T + pose[:d, d]
        moved = float((new - mean).square().sum(1).mean().sqrt())
        mean = new
    return mean, solve(mean.expand_as(sets), sets, weights), rounds


def _grid(images: Sequence[Image], matrices: Tensor, spacing_mm: float | None) -> Grid:
    """A grid along the world's axes around all objects in the group's space."""
    spacing = spacing_mm or min(float(image.grid.spacing_mm.min()) for image in images)
    low, high = [], []
    for image, matrix in zip(images, matrices, strict=True):
        seen = object_of(image)
        middle = Linear(matrix).inverse()(seen.centre_mm[None])[0]
        # The ball of the same spread does not reach the ends of what is long.
        reach = 1.6 * seen.radius_mm + _MARGIN_MM
        low.append(middle - reach)
        high.append(middle + reach)
    first, last = torch.stack(low).amin(0), torch.stack(high).amax(0)
    shape = [max(1, int(n)) for n in ((last - first) / spacing).ceil().tolist()]
    return _starting_at(first, shape, spacing)


def _coarser(grid: Grid, spacing_mm: float) -> Grid:
    """A grid with nodes this far apart over the same field of view, and a node more on every side."""
    size = max(spacing_mm, float(grid.spacing_mm.max()))
    first = grid.to_world(torch.zeros(grid.ndim, dtype=torch.float64)) - size
    shape = [int(extent / size) + 3 for extent in grid.extent_mm.tolist()]
    return _starting_at(first, shape, size)


def _starting_at(first_mm: Float[Tensor, " d"], shape: Sequence[int], spacing_mm: float) -> Grid:
    grid = Grid.from_spacing(shape, spacing_mm)
    matrix = grid.voxel_to_world.clone()
    matrix[:-1, -1] = first_mm
    return Grid(grid.shape, matrix)
