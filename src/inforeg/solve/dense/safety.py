"""No folds, and an inverse that fits: what a velocity field must keep, and how it backs off."""

from itertools import product
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.image import Image
from inforeg.image.filters import smooth
from inforeg.image.sample import sample_displaced
from inforeg.solve.dense.lattice import Lattice
from inforeg.transforms.velocity import exponential

# Determinants below this are taken for folds: between nodes a field is only as good as its corners.
_LEAST = 0.05
# By how much a field is made smaller while smoothing alone has not made it safe.
_BACK = 0.9


def smallest_determinant(displacement: Float[Tensor, "d ..."], spacing_mm: float) -> float:
    """The least Jacobian determinant at the corners of all cells of a lattice, of `x + u(x)` linear between its nodes.

    Inside a cell the derivative along an axis is a mean of those along the cell's edges, so that corners, where each
    derivative is an edge's own, are where a fold shows first.
    """
    d = displacement.ndim - 1
    shape = displacement.shape[1:]
    edges = []
    for axis in range(d):
        n = shape[axis]
        if n < 2:
            edges.append(torch.zeros_like(displacement))
            continue
        edges.append(torch.diff(displacement, dim=axis + 1) / spacing_mm)
    least = float("inf")
    cells = [max(1, n - 1) for n in shape]
    for corner in product((0, 1), repeat=d):
        columns = []
        for axis in range(d):
            index = [slice(None)]
            for other in range(d):
                start = corner[other] if other != axis and shape[other] > 1 else 0
                index.append(slice(start, start + cells[other]))
            columns.append(edges[axis][tuple(index)])
        least = min(least, float(_determinant(columns).min()))
    return least


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
    """How far from where it was any node ends by the exponentials of a field and of its negative in turn."""
    forth, back = (exponential(way[None], lattice.local) for way in (vectors, -vectors))
    worst = 0.0
    for first, then in ((forth, back), (back, forth)):
        left = first + sample_displaced(then, first / lattice.spacing_mm)
        worst = max(worst, float(left.norm(dim=1).max()))
    return worst


def made_safe(
    vectors: Float[Tensor, "d ..."], lattice: Lattice, most_mm: float
) -> tuple[Tensor, Lattice, list[str]]:
    """A field without folds, nor an inverse error beyond `most_mm`, the lattice it is on, and a note if it backed off.

    That is the field itself where it is safe. If not, the same field on nodes half as far apart, where its exponential
    is more exact; then smoothed, a little more each time, where sharp places give way first; and in the end made
    smaller, until it is safe.
    """
    if _is_safe(vectors, lattice, most_mm):
        return vectors, lattice, []
    finer = lattice.halved()
    vectors, lattice = lattice.moved_to(finer, vectors), finer
    given, sigma_mm, share = vectors, 0.5 * lattice.spacing_mm, 1.0
    while not _is_safe(vectors, lattice, most_mm):
        if sigma_mm < 4 * lattice.spacing_mm:
            vectors = smooth(Image(given[None], lattice.local), sigma_mm).data[0]
            sigma_mm *= 1.25
        else:
            share *= _BACK
            vectors = vectors * _BACK
    if vectors is given:
        return vectors, lattice, []
    away = float((vectors - given).norm(dim=0).max())
    note = (
        "the deformation was smoothed"
        + ("" if share == 1 else f" and taken back to {100 * share:.0f} %")
        + f", by up"
        f" to {away:.2g} mm, so that it does not fold and its inverse is exact to {most_mm:.2g} mm"
    )
    return vectors, lattice, [note]


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


def _is_safe(vectors: Tensor, lattice: Lattice, most_mm: float) -> bool:
    if largest_inverse_error_mm(vectors, lattice) > most_mm:
        return False
    return all(
        smallest_determinant(exponential(way[None], lattice.local)[0], lattice.spacing_mm) > _LEAST
        for way in (vectors, -vectors)
    )
