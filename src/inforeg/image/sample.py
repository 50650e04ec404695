"""Reading images between their voxels. The only file that speaks of `grid_sample`."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from inforeg.errors import UsageError
from inforeg.image.image import Image, Labels
from inforeg.image.interpolate import inside_grid
from inforeg.space import Grid

# Where in an image's world the points of another world lie: what a transform does, known here only as a function. If it
# has `at_voxels(grid, rows)`, that says where the voxel centres of some rows of a grid go, or None where it is no
# quicker to ask so.
PointMap = Callable[[Tensor], Tensor]
Mode = Literal["linear", "nearest", "bspline"]

# Rows of output that are computed at a time, so that memory does not grow with the output.
_CHUNK_VOXELS = 1 << 18


def sample(
    image: Image, points_mm: Float[Tensor, "#b n d"], mode: Mode = "linear"
) -> tuple[Float[Tensor, "b c n"], Bool[Tensor, "b n"]]:
    """The image's values at world points, and which of the points lie inside its field of view.

    The field of view ends at the outer faces of the outermost voxels; between their centres and those faces the
    edge value holds, as in ITK. Values of points outside are those of the nearest edge and mean nothing; points that
    are not finite are outside, and have no slope. Linear sampling is differentiable in image and points. Raises
    `UsageError` for an unknown mode.
    """
    voxel = (
        image.grid.to_voxel(points_mm.to(torch.float64))
        if mode == "bspline"
        else image.grid.to_voxel(points_mm)
    )
    batch = image.data.shape[0]
    inside = inside_grid(voxel, image.grid.shape).expand(batch, -1)
    if mode == "bspline":
        coefficients = _prefiltered(image).data
        each = [_bspline(c[None], v) for c, v in zip(coefficients, voxel.expand(batch, -1, -1), strict=True)]
        return torch.cat(each), inside
    if mode not in ("linear", "nearest"):
        raise UsageError(f"expected interpolation linear, nearest or bspline, got {mode!r}")
    return _grid_sample(image.data, voxel, mode), inside


def sample_displaced(
    data: Float[Tensor, "b c *shape"], shift_voxel: Float[Tensor, "b d *shape"]
) -> Float[Tensor, "b c *shape"]:
    """Values at the voxel centres moved by `shift_voxel`, one shift for each voxel, in voxels along the axes.

    Points that leave the grid take the edge's value. Differentiable in both; in the precision of `data`.
    """
    b, c, *shape = data.shape
    d = len(shape)
    moved = []
    for axis in reversed(range(d)):  # the order of grid_sample's coordinates
        n = shape[axis]
        centres = (2 * torch.arange(n, dtype=torch.float64) + 1) / n - 1
        along = centres.to(data).reshape(-1, *[1] * (d - 1 - axis))
        moved.append(torch.add(along, shift_voxel[:, axis], alpha=2 / n))
    values = _read(data, torch.stack(moved, dim=-1).reshape(b, -1, d), "linear")
    return values.reshape(b, c, *shape)


def sample_where(
    data: Float[Tensor, "b c *shape"], voxel: Float[Tensor, "b d *places"]
) -> Float[Tensor, "b c *places"]:
    """Values at voxel indices, one tensor of them for each axis of the data; beyond the grid the edge's value.

    The indices' own precision is kept until they are scaled. Differentiable in both.
    """
    b, d, *places = voxel.shape
    scaled = [voxel[:, axis] * (2 / n) + (1 - n) / n for axis, n in enumerate(data.shape[2:])]
    coordinates = torch.stack([c.to(data.dtype) for c in reversed(scaled)], dim=-1).reshape(b, -1, d)
    return _read(data, coordinates, "linear").reshape(b, -1, *places)


def halved(data: Float[Tensor, "b c *shape"]) -> Float[Tensor, "b c *half"]:
    """The means of two voxels a side: linear interpolation at the centres of voxels twice as large.

    Raises `UsageError` for an axis with an odd number of voxels.
    """
    if any(n % 2 for n in data.shape[2:]):
        raise UsageError(f"expected an even number of voxels along every axis, got {tuple(data.shape[2:])}")
    pool: Tensor = (functional.avg_pool2d if data.ndim == 4 else functional.avg_pool3d)(data, 2)
    return pool


def doubled(data: Float[Tensor, "b c *shape"]) -> Float[Tensor, "b c *twice"]:
    """Linear interpolation at the centres of voxels half as large; towards the faces the edge's value holds."""
    mode = "bilinear" if data.ndim == 4 else "trilinear"
    return functional.interpolate(data, scale_factor=2, mode=mode, align_corners=False)


def stretched(data: Float[Tensor, "b c *nodes"], shape: Sequence[int]) -> Float[Tensor, "b c *shape"]:
    """Linear interpolation between nodes of which the outermost lie at the outermost voxel centres of `shape`."""
    mode = "bilinear" if data.ndim == 4 else "trilinear"
    return functional.interpolate(data, size=list(shape), mode=mode, align_corners=True)


def in_mask(mask: Image, points_mm: Float[Tensor, "n d"]) -> Bool[Tensor, " n"]:
    """Whether world points lie in a mask (above 0.5); what is beyond its field of view does not."""
    values, inside = sample(mask, points_mm[None].to(mask.data), mode="nearest")
    return (values[0, 0] > 0.5) & inside[0]


def covers(mask: Image, grid: Grid) -> Bool[Tensor, " n"]:
    """Whether the voxel centres of a grid lie in a mask (above 0.5), wherever its own grid is."""
    return in_mask(mask, grid.points_mm())


def _grid_sample(data: Tensor, voxel: Tensor, mode: str) -> Tensor:
    b, _, *shape = data.shape
    d = len(shape)
    if mode == "nearest":
        # Ties are rounded up, as ITK does; grid_sample rounds them to even.
        voxel = torch.floor(voxel + 0.5)
    size = torch.tensor(shape, dtype=voxel.dtype, device=voxel.device)
    coordinates = ((2 * voxel + 1) / size - 1).flip(-1).to(data.dtype)
    return _read(data, coordinates.expand(b, -1, d), mode)


def _read(data: Tensor, coordinates: Tensor, mode: str) -> Tensor:
    """Values `(b, c, n)` at positions `(b, n, d)` in grid_sample's own coordinates."""
    b, n, d = coordinates.shape
    # What is no number lies beyond an edge: in two dimensions the slopes of grid_sample would crash on it.
    coordinates = coordinates.nan_to_num(nan=-2.0, posinf=2.0, neginf=-2.0)
    # CPU kernels run one thread per batch entry: a batch of one is dealt out as several views of the same image.
    parts = torch.get_num_threads() if data.device.type == "cpu" and b == 1 and n > 4096 else 1
    pad = -n % parts
    if pad:
        coordinates = torch.cat((coordinates, coordinates[:, -1:].expand(b, pad, d)), dim=1)
    if parts > 1:
        coordinates = coordinates.reshape(parts, -1, d)
        data = data.expand(parts, *data.shape[1:])
    # In one long row: its inner loop is the quick one.
    lattice = coordinates.reshape(coordinates.shape[0], *[1] * (d - 1), -1, d).contiguous()
    values = functional.grid_sample(
        data,
        lattice,
        mode="nearest" if mode == "nearest" else "bilinear",
        padding_mode="border",
        align_corners=False,
    )
    values = values.reshape(values.shape[0], values.shape[1], -1)
    if parts > 1:
        values = values.transpose(0, 1).reshape(1, values.shape[1], -1)
    return values[..., :n]


def resample(
    image: Image,
    grid: Grid,
    transform: PointMap | None = None,
    *,
    mode: Mode = "linear",
    outside: float = 0.0,
) -> Image:
    """The image on another grid: `output(x) = image(transform(x))` for every voxel centre `x` of `grid`.

    `transform` takes points of `grid`'s world (fixed) to points of the image's world (moving); none means the
    identity. Where it leads outside the image's field of view, the output is `outside`. Memory beyond the output
    does not grow with its size. Raises `UsageError` for an unknown mode.
    """
    if mode not in ("linear", "nearest", "bspline"):
        raise UsageError(f"expected interpolation linear, nearest or bspline, got {mode!r}")
    b, c = image.data.shape[:2]
    matrix = _voxel_to_voxel(image.grid, grid, transform)
    if mode == "linear" and matrix is not None:
        return Image(_resample_affine(image.data, grid.shape, matrix, outside), grid, image.name, image.dtype)
    output = torch.empty((b, c, *grid.shape), dtype=torch.float32, device=image.data.device)
    if mode == "bspline":
        image = _prefiltered(image)
    for rows, voxel in _chunks(image, grid, transform, torch.float64 if mode != "linear" else torch.float32):
        if mode == "bspline":
            values = _bspline(image.data, voxel)
        else:
            values = _grid_sample(image.data, voxel[None].to(image.data.device), mode)
        inside = inside_grid(voxel, image.grid.shape).to(values.device)
        values = torch.where(inside, values, values.new_tensor(outside))
        output[:, :, rows] = values.reshape(b, c, -1, *grid.shape[1:])
    return Image(output, grid, image.name, image.dtype)


def resample_labels(
    labels: Labels, grid: Grid, transform: PointMap | None = None, *, outside: int = 0
) -> Labels:
    """A label map on another grid by nearest neighbour; ids of any size are kept exactly."""
    # Labels travel as small whole numbers: float32 holds them exactly only up to 2**24.
    lowest, span = int(labels.data.min()), int(labels.data.max() - labels.data.min())
    if span < (1 << 24) - 2:
        moved = _nearest(labels.data - lowest, labels.grid, grid, transform)
        data = torch.where(moved < 0, outside, moved + lowest)
        return Labels(data, grid, labels.name, labels.dtype)
    ids, index = torch.unique(labels.data, return_inverse=True)
    if len(ids) >= (1 << 24) - 2:
        raise UsageError(
            f"expected fewer than {1 << 24} different labels, got {len(ids)}; is this an intensity image?"
        )
    moved = _nearest(index, labels.grid, grid, transform)
    data = torch.where(moved < 0, outside, ids[moved.clamp(min=0)])
    return Labels(data, grid, labels.name, labels.dtype)


def _nearest(index: Tensor, grid: Grid, target: Grid, transform: PointMap | None) -> Tensor:
    """Whole numbers from 0 on another grid; -1 outside."""
    moved = resample(Image(index.to(torch.float32), grid), target, transform, mode="nearest", outside=-1.0)
    return moved.data.to(torch.int64)


def _voxel_to_voxel(source: Grid, target: Grid, transform: PointMap | None) -> Tensor | None:
    """The matrix from `target`'s to `source`'s voxel indices, where the way between them is affine."""
    if transform is None:
        return source.world_to_voxel @ target.voxel_to_world
    matrix = getattr(transform, "matrix", None)
    if matrix is None or bool((matrix[-1, :-1].abs() > 1e-12).any()):
        return None
    result: Tensor = source.world_to_voxel @ matrix @ target.voxel_to_world
    return result


def _rows(shape: tuple[int, ...], multiple: int = 1) -> Iterator[slice]:
    """Slabs of rows of a grid, each of about `_CHUNK_VOXELS`."""
    row = 1
    for n in shape[1:]:
        row *= n
    step = max(multiple, _CHUNK_VOXELS // row // multiple * multiple)
    for start in range(0, shape[0], step):
        yield slice(start, min(start + step, shape[0]))


def _resample_affine(data: Tensor, shape: tuple[int, ...], matrix: Tensor, outside: float) -> Tensor:
    """Linear resampling along an affine map of voxel indices, slab by slab.

    Positions are a sum of one vector per axis, rounded once, and where a line of voxels enters and leaves the field
    of view is solved for and not tested: this takes half the time of mapping every voxel, and most of what is left
    is reading the image.
    """
    b, c, *source = data.shape
    d, device = len(shape), data.device
    size = torch.tensor(source, dtype=torch.float64)
    # From voxel to grid_sample's coordinates, whose order is last axis first.
    scale = (2 / size)[:, None] * matrix[:d, :d]
    shift = (2 * matrix[:d, d] + 1) / size - 1
    scale, shift, slack = scale.flip(0), shift.flip(0), (2e-5 / size).flip(0)
    vectors = [torch.arange(n, dtype=torch.float64)[:, None] * scale[:, a] for a, n in enumerate(shape)]
    vectors[0] = vectors[0] + shift
    along = vectors[-1].to(device, torch.float32)
    place = torch.arange(shape[-1], device=device, dtype=torch.float32)
    output = torch.empty((b, c, *shape), dtype=torch.float32, device=device)
    threads = torch.get_num_threads() if device.type == "cpu" and b == 1 else 1
    for rows in _rows(shape, threads):
        base = vectors[0][rows]
        for axis in range(1, d - 1):
            base = base[..., None, :] + vectors[axis]
        lattice = base.to(device, torch.float32)[..., None, :] + along
        parts = threads if lattice.shape[0] % threads == 0 else 1
        lattice = lattice.reshape(parts, -1, *lattice.shape[1:])
        values = functional.grid_sample(
            data.expand(max(b, parts), *data.shape[1:]),
            lattice.expand(max(b, parts), *lattice.shape[1:]),
            mode="bilinear",
            padding_mode="border",
            align_corners=False,
        )
        values = values.transpose(0, 1).reshape(c, -1, *shape[1:])[None] if parts > 1 else values
        low, high = _crossing(base, scale[:, -1], slack)
        inside = (place >= low.to(device)[..., None]) & (place <= high.to(device)[..., None])
        output[:, :, rows] = torch.where(inside, values, values.new_tensor(outside))
    return output


def _crossing(base: Tensor, step: Tensor, slack: Tensor) -> tuple[Tensor, Tensor]:
    """Between which indices along the last axis a line of voxels, starting at `base`, is in the field of view."""
    # A line parallel to a face never crosses it; a step too small to leave in any image stands for none.
    step = torch.where(step.abs() < 1e-12, 1e-12, step)
    first, last = (-1 - slack - base) / step, (1 + slack - base) / step
    low, high = torch.minimum(first, last).amax(dim=-1), torch.maximum(first, last).amin(dim=-1)
    return low.clamp(-1e9, 1e9).float(), high.clamp(-1e9, 1e9).float()


def _chunks(
    image: Image, grid: Grid, transform: PointMap | None, dtype: torch.dtype
) -> Iterator[tuple[slice, Tensor]]:
    """Slabs of output rows with the moving voxel indices, `(n, d)`, they read from."""
    axes = [torch.arange(n, dtype=torch.float64) for n in grid.shape]
    # A field of displacements on this very grid need not be interpolated.
    at_voxels = getattr(transform, "at_voxels", None)
    for rows in _rows(grid.shape):
        points = None if at_voxels is None else at_voxels(grid, rows)
        if points is None:
            lattice = torch.stack(torch.meshgrid(axes[0][rows], *axes[1:], indexing="ij"), dim=-1)
            points = grid.to_world(lattice.reshape(-1, grid.ndim))
            points = points if transform is None else transform(points)
        yield rows, image.grid.to_voxel(points).to(dtype)


def _prefiltered(image: Image) -> Image:
    # scipy's cubic B-spline with mirrored ends is the one of ITK; it is used for output, not inside a search. An axis
    # of one voxel it leaves as it is.
    from scipy.ndimage import spline_filter

    volumes = [
        [spline_filter(c.cpu().double().numpy(), order=3, mode="mirror") for c in v] for v in image.data
    ]
    return Image(torch.as_tensor(np.array(volumes), dtype=torch.float32), image.grid, image.name, image.dtype)


def _bspline(coefficients: Tensor, voxel: Tensor) -> Tensor:
    from scipy.ndimage import map_coordinates

    ends = torch.tensor(coefficients.shape[2:], dtype=voxel.dtype) - 1
    points = torch.minimum(voxel.clamp(min=0), ends).T.numpy()
    values = [
        [map_coordinates(c.numpy(), points, order=3, mode="mirror", prefilter=False) for c in volume]
        for volume in coefficients.cpu()
    ]
    return torch.as_tensor(np.array(values), dtype=torch.float32, device=coefficients.device)
