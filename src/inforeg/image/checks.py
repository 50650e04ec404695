"""Whether two images can be registered at all: asked before anything is computed."""

from collections.abc import Callable

import torch
from torch import Tensor

from inforeg.errors import PairError
from inforeg.image.image import Image, Labels
from inforeg.space import Grid

Mask = Image | Labels

# Positions along each axis of a field of view that are tried for an overlap.
_TRIED = 17

# How many planes of a volume, and pixels along the side of a picture, are looked at for labels.
_PLANES, _SIDE = 8, 1024
# How often a voxel's neighbour has its own value, in the mean over the values: 0.74 to 0.82 in whole label maps of
# 47 to 139 structures at 1 mm, 0.4 and more at 4 mm, and below 0.2 in intensities, of few distinct values included.
_OWN_KIND = 0.3


def check_pair(
    fixed: Image, moving: Image, fixed_mask: Mask | None = None, moving_mask: Mask | None = None
) -> None:
    """Raise `PairError`, one line with numbers, if the two images cannot be registered.

    That is: one 2-D and one 3-D, an axis of one voxel, NaN or infinity, the same value everywhere, or a mask
    that is empty, of another dimension, or beside its image. Masks may lie on grids of their own;
    inside is above 0.5.
    """
    if fixed.grid.ndim != moving.grid.ndim:
        first, second = _called("fixed image", fixed), _called("moving image", moving)
        raise PairError(
            f"expected two volumes or two pictures, got {first} of {_shape(fixed.grid)} ({fixed.grid.ndim}-D)"
            f" and {second} of {_shape(moving.grid)} ({moving.grid.ndim}-D)"
        )
    for role, image, mask in (("fixed", fixed, fixed_mask), ("moving", moving, moving_mask)):
        name = _called(f"{role} image", image)
        _check_image(name, image)
        if mask is not None:
            _check_mask(_called(f"{role} mask", mask), mask, name, image.grid)


def check_overlap(fixed: Grid, moving: Grid, to_moving: Callable[[Tensor], Tensor] | None = None) -> None:
    """Raise `PairError` if no part of the fixed field of view meets the moving one, from a given start.

    `to_moving` takes fixed points to moving points, both `(n, d)` in mm; without it the headers are taken at
    their word. Meant for starts that are taken as they are (the header, a file), not for those that are
    searched.
    """
    voxel = [torch.linspace(-0.5, n - 0.5, _TRIED, dtype=torch.float64) for n in fixed.shape]
    points = fixed.to_world(torch.cartesian_prod(*voxel))
    moved = points if to_moving is None else to_moving(points)
    if bool(_inside(moving.to_voxel(moved), moving.shape).any()):
        return
    centre = fixed.centre_mm[None] if to_moving is None else to_moving(fixed.centre_mm[None])
    # A moving image smaller than the gaps between the tried points is found from its own side.
    if to_moving is None and bool(_inside(fixed.to_voxel(moving.centre_mm[None]), fixed.shape).any()):
        return
    apart = float((centre[0] - moving.centre_mm).norm())
    raise PairError(
        f"fixed and moving do not overlap: centres are {apart:.0f} mm apart, extents {_extent(fixed)} and"
        f" {_extent(moving)} mm; if the headers are wrong, start from --init centre"
    )


def looks_like_labels(image: Image) -> bool:
    """Whether an image of whole numbers is likely to be a label map: its values form patches, few or many.

    For every value but the commonest it asks how often a neighbour has the same value, and takes the mean over the
    values. In intensities only the extremes are flat; in label maps nearly every value is. An image whose file holds
    real numbers, or several channels, is none. Looks at a few planes: some 50 ms for a volume of 256 voxels a side.
    """
    if image.channels != 1 or not image.dtype.startswith(("int", "uint")):
        return False
    data = image.data[0, 0]
    if data.ndim == 3:
        count = min(_PLANES, data.shape[0])
        planes = data[[int((n + 0.5) * data.shape[0] / count) for n in range(count)]]
    else:
        first = [max(0, (n - _SIDE) // 2) for n in data.shape]
        planes = data[first[0] : first[0] + _SIDE, first[1] : first[1] + _SIDE][None]
    if not bool((planes == planes.round()).all()):
        return False
    index = _numbered(planes.cpu())
    count = int(index.max()) + 1
    pairs, alike = torch.zeros(count), torch.zeros(count)
    for axis in (1, 2):
        a, b = index.narrow(axis, 0, index.shape[axis] - 1), index.narrow(axis, 1, index.shape[axis] - 1)
        pairs += torch.bincount(a.flatten(), minlength=count) + torch.bincount(b.flatten(), minlength=count)
        alike += 2 * torch.bincount(a[a == b], minlength=count)
    voxels = torch.bincount(index.flatten(), minlength=count)
    # Most of an image is background, which is flat in any.
    others = pairs > 0
    others[voxels.argmax()] = False
    return bool(others.any()) and float((alike[others] / pairs[others]).mean()) >= _OWN_KIND


def _numbered(values: Tensor) -> Tensor:
    """Whole numbers from 0 on, one for each value."""
    low, high = (float(v) for v in torch.aminmax(values))
    if high - low < 1 << 20:
        return (values - low).to(torch.int64)
    # Ids of atlases may be large.
    numbered: Tensor = torch.unique(values, return_inverse=True)[1]
    return numbered


def _check_image(name: str, image: Image) -> None:
    if min(image.grid.shape) < 2:
        raise PairError(f"{name} has {_shape(image.grid)} voxels; expected at least 2 along every axis")
    # Least and greatest carry NaN and infinity with them: one quick pass for what is nearly always fine.
    low, high = (float(v) for v in torch.aminmax(image.data))
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        bad = int((~torch.isfinite(image.data)).sum())
        raise PairError(
            f"{name} has {bad} values of {image.data.numel()} that are NaN or infinite;"
            " replace them, for instance by the background's value"
        )
    if low == high:
        raise PairError(f"{name} has the same value everywhere ({low:g}); there is nothing to align")


def _check_mask(name: str, mask: Mask, image_name: str, grid: Grid) -> None:
    if mask.grid.ndim != grid.ndim:
        raise PairError(f"{name} is {mask.grid.ndim}-D and {image_name} is {grid.ndim}-D")
    if not bool(mask.data.max() > 0.5):
        raise PairError(f"{name} is empty: none of its {mask.grid.voxel_count} voxels is above 0.5")
    if mask.grid.same_as(grid):
        return
    inside = (mask.data > 0.5)[:, 0].any(dim=0)
    axes = range(grid.ndim)
    filled = [torch.nonzero(inside.any(dim=tuple(b for b in axes if b != a))) for a in axes]
    ends = [(float(f.min()) - 0.5, float(f.max()) + 0.5) for f in filled]
    middle = mask.grid.to_world(torch.tensor([(a + b) / 2 for a, b in ends], dtype=torch.float64))
    lattice = torch.cartesian_prod(*(torch.linspace(a, b, _TRIED, dtype=torch.float64) for a, b in ends))
    if not bool(_inside(grid.to_voxel(mask.grid.to_world(lattice)), grid.shape).any()):
        apart = f"{float((middle - grid.centre_mm).norm()):.0f} mm apart"
        raise PairError(
            f"{name} lies beside {image_name}: their centres are {apart}, the image's extent is"
            f" {_extent(grid)} mm; was it drawn on another image?"
        )


def _inside(voxel: Tensor, shape: tuple[int, ...]) -> Tensor:
    ends = torch.tensor(shape, dtype=torch.float64) - 0.5
    return ((voxel > -0.5) & (voxel < ends)).all(dim=-1)


def _called(role: str, image: Mask) -> str:
    return f"the {role} ({image.name})" if image.name else f"the {role}"


def _shape(grid: Grid) -> str:
    return "x".join(map(str, grid.shape))


def _extent(grid: Grid) -> str:
    return "x".join(f"{float(v):.0f}" for v in grid.extent_mm)
