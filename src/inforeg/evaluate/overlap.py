"""How much labelled regions overlap."""

from collections.abc import Iterable

import torch
from torch import Tensor

from inforeg.evaluate.label_pairs import check_one_grid
from inforeg.image import Labels

# Ids up to this span are counted in a table; wider ones are made consecutive first.
_TABLE = 1 << 20


def dice(
    fixed: Labels, warped: Labels, labels: Iterable[int] | None = None, *, background: int | None = 0
) -> dict[int, float]:
    """Dice overlap of each label: twice the common voxels over the sum of both regions, 0 to 1.

    Both maps must lie on one grid. Without `labels`, every id that occurs in either map is measured, except
    `background`. A label that is in neither map has no overlap to speak of: NaN, not 1. Raises `UsageError`
    for maps on different grids.
    """
    check_one_grid(fixed, warped)
    x, y, ids = _consecutive(fixed.data.reshape(-1), warped.data.reshape(-1))
    count = len(ids)
    in_fixed, in_warped = torch.bincount(x, minlength=count), torch.bincount(y, minlength=count)
    common = torch.bincount(x[x == y], minlength=count)
    place = {int(id_): n for n, id_ in enumerate(ids.tolist()) if in_fixed[n] + in_warped[n] > 0}
    wanted = [id_ for id_ in place if id_ != background] if labels is None else [int(id_) for id_ in labels]
    result: dict[int, float] = {}
    for id_ in wanted:
        n = place.get(id_)
        result[id_] = float("nan") if n is None else 2 * float(common[n]) / float(in_fixed[n] + in_warped[n])
    return result


def _consecutive(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both maps with small numbers in place of ids, and the id of each number."""
    low, high = int(min(x.min(), y.min())), int(max(x.max(), y.max()))
    if high - low < _TABLE:
        return x - low, y - low, torch.arange(low, high + 1)
    ids, numbers = torch.unique(torch.cat((x, y)), return_inverse=True)
    return numbers[: len(x)], numbers[len(x) :], ids
