"""No folds, and an inverse that fits: what a velocity field must keep, and how it backs off."""

from collections.abc import Iterator
from itertools import product
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.filters import smooth
from inforeg.image.sample import sample_displaced
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.sampler import dilate
from inforeg.transforms.velocity import exponential

# Determinants below this are taken for folds: between nodes a field is only as good as its corners.
_LEAST = 0.05
# What share of the inverse error that is allowed nodes and middles of cells may have: other places have a little more.
_WITHIN = 0.9
# How often it is smoothed about places that are not safe before it is made smaller as a whole.
_ROUNDS = 40
# By how much a field is made smaller each time then.
_BACK = 0.9


def smallest_determinant(displacement: Float[Tensor, "d ..."], spacing_mm: float) -> float:
    """The least Jacobian determinant at the corners of all cells of a lattice, of `x + u(x)` linear between its nodes.

    Inside a cell the derivative along an axis is a mean of those along the cell's edges, so that corners, where each
    derivative is an edge's own, are where a fold shows first.
    """
    return min(float(found.min()) for _, found in _at_corners(displacement, spacing_mm))


def _at_corners(displacement: Tensor, spacing_mm: float) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
    """For each corner of a cell, the determinants there in all cells, and the nodes which those corners are."""
    d = displacement.ndim - 1
    shape = displacement.shape[1:]
    edges = [
        torch.diff(displacement, dim=axis + 1) / spacing_mm
        if shape[axis] > 1
        else torch.zeros_like(displacement)
        for axis in range(d)
    ]
    cells = [max(1, n - 1) for n in shape]
    for corner in product((0, 1), repeat=d):
        starts = [way if n > 1 else 0 for way, n in zip(corner, shape, strict=True)]
        columns = []
        for axis in range(d):
            index = [slice(None)]
            for other in range(d):
                start = 0 if other == axis else starts[other]
                index.append(slice(start, start + cells[other]))
            columns.append(edges[axis][tuple(index)])
        nodes = tuple(slice(start, start + n) for start, n in zip(starts, cells, strict=True))
        yield nodes, _determinant(columns)


def _determinant(columns: list[Tensor]) -> Tensor:
    """That of the identity and columns `(d, *cells)`; written out, as a library's takes many times as long."""
    if len(columns) == 2:
        (a, c), (b, e) = columns
        flat: Tensor = (1 + a) * (1 + e) - b * c
        return flat
    (a, e, i), (b, f, j), (c, g, k) = columns
    f, k, a = 1 + f, 1 + k, 1 + a
    solid: Tensor = a * (f * k - g * j) - b * (e * k - g * i) + c * (e * j - f * i)
    return solid


def largest_inverse_error_mm(vectors: Float[Tensor, "d ..."], lattice: Lattice) -> float:
    """How far from where it was any node, or middle of a cell, ends by the exponentials of a field and its negative."""
    return max(float(left.max()) for left in _left_mm(*_both_ways(vectors, lattice), lattice))


def _both_ways(vectors: Tensor, lattice: Lattice) -> tuple[Tensor, Tensor]:
    """The exponentials of a field and of its negative."""
    forth, back = (exponential(way[None], lattice.local)[0] for way in (vectors, -vectors))
    return forth, back


def _left_mm(forth: Tensor, back: Tensor, lattice: Lattice) -> Iterator[Tensor]:
    """For each node how far it, or the middle of a cell it is a corner of, is from where it was after there and back.

    At nodes interpolation leaves no error in the first of both ways; in the middle of cells it leaves most.
    """
    d = len(forth)
    flat = [n == 1 for n in forth.shape[1:]]
    half = torch.tensor([0.0 if thin else 0.5 for thin in flat]).to(forth).reshape(-1, *[1] * d)
    for first, then in ((forth, back), (back, forth)):
        left = (first + sample_displaced(then[None], first[None] / lattice.spacing_mm)[0]).norm(dim=0)
        # The last places along an axis, past the last nodes, are those of the edge, and are left out.
        middle = sample_displaced(first[None], half.expand_as(first)[None])
        returned = sample_displaced(then[None], half + middle / lattice.spacing_mm)
        inner = tuple(slice(None) if thin else slice(-1) for thin in flat)
        between = (middle + returned)[0].norm(dim=0)[inner]
        for corner in product((0, 1), repeat=d):
            nodes = tuple(
                slice(None) if thin else slice(way, way + n)
                for thin, way, n in zip(flat, corner, between.shape, strict=True)
            )
            left[nodes] = torch.maximum(left[nodes], between)
        yield left


def made_safe(
    vectors: Float[Tensor, "d ..."], lattice: Lattice, most_mm: float
) -> tuple[Tensor, Lattice, list[str]]:
    """A field without folds, nor an inverse error beyond `most_mm`, the lattice it is on, and a note if it backed off.

    That is the field itself where it is safe. If not, the same field on nodes half as far apart, where its exponential
    is more exact. Then it is smoothed about the nodes where it is not safe, further about them and a little more each
    time; and if that were not enough, made smaller as a whole, until it is safe.
    """
    if _unsafe(vectors, lattice, most_mm) is None:
        return vectors, lattice, []
    finer = lattice.halved()
    vectors, lattice = lattice.moved_to(finer, vectors), finer
    given, rounds, share = vectors, 0, 1.0
    while (bad := _unsafe(vectors, lattice, most_mm)) is not None:
        if rounds < _ROUNDS:
            vectors = _smoothed_about(vectors, bad, lattice, rounds)
            rounds += 1
        else:
            share *= _BACK
            vectors = vectors * _BACK
    if vectors is given:
        return vectors, lattice, []
    moved_mm = (vectors - given).norm(dim=0)
    touched = 100 * float((moved_mm > 0.1 * most_mm).float().mean())
    note = (
        f"the deformation was smoothed in {touched:.2g} % of the field of view"
        + ("" if share == 1 else f" and taken back to {100 * share:.0f} %")
        + f", by up to {float(moved_mm.max()):.2g} mm,"
        f" so that it does not fold and its inverse is exact to {most_mm:.2g} mm"
    )
    return vectors, lattice, [note]


def _unsafe(vectors: Tensor, lattice: Lattice, most_mm: float) -> Tensor | None:
    """The nodes where a field folds, or does not find its way back; None if there are none."""
    ways = _both_ways(vectors, lattice)
    bad = torch.zeros(vectors.shape[1:], dtype=torch.bool, device=vectors.device)
    for left in _left_mm(*ways, lattice):
        bad |= left > _WITHIN * most_mm
    for way in ways:
        for nodes, found in _at_corners(way, lattice.spacing_mm):
            bad[nodes] |= found <= _LEAST
    return bad if bool(bad.any()) else None


def _smoothed_about(vectors: Tensor, bad: Tensor, lattice: Lattice, rounds: int) -> Tensor:
    """The field smoothed where it is bad and, less and less, some nodes around."""
    reach = 3 + rounds // 4
    about = dilate(bad, reach)[None, None].to(vectors)
    share = smooth(Image(about, lattice.local), 0.5 * reach * lattice.spacing_mm).data[0].clamp(0, 1)
    sigma_mm = (1 + 0.15 * rounds) * lattice.spacing_mm
    return torch.lerp(vectors, smooth(Image(vectors[None], lattice.local), sigma_mm).data[0], share)


def with_room(vectors: Float[Tensor, "d ..."], lattice: Lattice) -> tuple[Tensor, Lattice]:
    """The field on as many nodes more at its rims, with the edges' vectors, as nothing inside needs to leave it.

    Beyond a field's outer faces nothing moves, for us as for every tool that reads it. What is carried past them would
    not find its way back.
    """
    beyond = 0.0
    for way in (vectors, -vectors):
        moved = exponential(way[None], lattice.local)[0]
        for axis, n in enumerate(lattice.grid.shape):
            nodes = torch.arange(n, device=moved.device).reshape(-1, *[1] * (len(moved) - 1 - axis))
            places = nodes + moved[axis] / lattice.spacing_mm
            beyond = max(beyond, float(-places.min()) - 0.5, float(places.max()) - (n - 0.5))
    more = ceil(beyond)
    if more < 1:
        return vectors, lattice
    wider = lattice.widened(more)
    return lattice.moved_to(wider, vectors), wider
