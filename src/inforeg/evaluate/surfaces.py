"""How far the surfaces of labelled regions lie from each other, in mm."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from inforeg.errors import UsageError
from inforeg.evaluate.label_pairs import check_one_grid
from inforeg.image import Labels

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SurfaceDistance:
    """How far two surfaces lie from each other; NaN where there are no two, and then `missing` says why.

    `hd95_mm` is the larger of the two directed 95th percentiles, `assd_mm` the mean over the voxels of both surfaces.
    """

    hd95_mm: float
    assd_mm: float
    missing: str | None = None


def surface_distances(
    fixed: Labels, warped: Labels, labels: Iterable[int] | None = None, *, background: int | None = 0
) -> dict[int, SurfaceDistance]:
    """HD95 and ASSD of each label in mm, measured in the world, whatever the grid's spacing, angles and shear.

    The surface of a label is made of its voxels with a face neighbour of another id, and of those at the grid's edge,
    where nobody knows how it goes on; an axis of one voxel has neither. From the centre of every surface voxel the
    distance to the nearest one of the other map's surface is taken, in both directions. HD95 is the 95th percentile
    (linear between ranks) of each direction, and the larger of the two: the ranked Hausdorff distance of Huttenlocher
    et al. (IEEE TPAMI 1993). Others take the percentile of both directions' distances in one list, which is commonly
    smaller. ASSD is the sum of all distances over the number of surface voxels of both maps (Heimann et al., IEEE TMI
    2009).

    Both maps must lie on one grid. Without `labels`, every id that occurs in either map is measured, except
    `background`. A label that one map lacks has NaN for distances and says which: it is never left out. Raises
    `UsageError` for maps on different grids, or for several maps in one batch.
    """
    check_one_grid(fixed, warped)
    if len(fixed.data) != 1:
        raise UsageError(f"expected one label map on each side, got a batch of {len(fixed.data)}")
    wanted = None if labels is None else [int(label) for label in labels]
    ours, theirs = (_surfaces(each, wanted, background) for each in (fixed, warped))
    return {
        label: _distance(ours.get(label), theirs.get(label))
        for label in (sorted(ours.keys() | theirs.keys()) if wanted is None else wanted)
    }


def _surfaces(labels: Labels, wanted: list[int] | None, background: int | None) -> dict[int, Points]:
    """The centres of each label's surface voxels in mm, up to one shift for the whole map."""
    ids = labels.data[0, 0].cpu().numpy()
    surface = np.zeros(ids.shape, dtype=bool)
    for axis in range(ids.ndim):
        if ids.shape[axis] == 1:
            continue
        lined, marks = np.moveaxis(ids, axis, 0), np.moveaxis(surface, axis, 0)
        differs = lined[1:] != lined[:-1]
        marks[1:] |= differs
        marks[:-1] |= differs
        marks[[0, -1]] = True
    if max(ids.shape) == 1:
        surface[:] = True
    surface &= np.isin(ids, wanted) if wanted is not None else ids != background
    d = ids.ndim
    to_mm = labels.grid.voxel_to_world[:d, :d].numpy()
    found, index = ids[surface], np.argwhere(surface)
    if not len(found):
        return {}
    order = np.argsort(found, kind="stable")
    each, starts = np.unique(found[order], return_index=True)
    parts = np.split(index[order] @ to_mm.T, starts[1:])
    return dict(zip(each.tolist(), parts, strict=True))


def _distance(ours: Points | None, theirs: Points | None) -> SurfaceDistance:
    if ours is None or theirs is None:
        absent = [name for name, points in (("fixed", ours), ("warped", theirs)) if points is None]
        missing = f"not in the {absent[0]} map" if len(absent) == 1 else "in neither map"
        return SurfaceDistance(float("nan"), float("nan"), missing)
    there, back = _nearest_mm(ours, theirs), _nearest_mm(theirs, ours)
    return SurfaceDistance(
        hd95_mm=float(max(np.percentile(there, 95), np.percentile(back, 95))),
        assd_mm=float((there.sum() + back.sum()) / (len(there) + len(back))),
    )


def _nearest_mm(points: Points, others: Points) -> Points:
    from scipy.spatial import cKDTree

    # A tree of points knows any grid; a distance transform knows right angles only.
    distances: Points = cKDTree(others).query(points, workers=torch.get_num_threads())[0]
    return distances
