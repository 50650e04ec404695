"""The door for points, meshes and streamlines: which format reads and writes a file, and what its numbers mean."""

import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.io.atomic import atomic_path
from inforeg.io.files import check_there, why
from inforeg.io.lps import flip_points
from inforeg.io.point_formats import FORMATS, Format, Found
from inforeg.space import Grid

PointSpace = Literal["ras", "lps", "voxel"]

_log = logging.getLogger("inforeg")

_SPACES: tuple[str, ...] = get_args(PointSpace)
_CHOICES = "--space ras, lps (mm) or voxel (space= in Python)"


@dataclass(frozen=True, eq=False)
class _Origin:
    """The file that points were read from: what its format needs to write it again with others."""

    format: Format
    found: Found
    data: bytes
    has_zeros: bool  # the points are 2-D and the file has a z of 0


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points `(n, 2)` or `(n, 3)`, float64 in RAS+ mm, with all else that their file held.

    `space` is what the numbers in the file mean: world mm in RAS+ or LPS, or voxel indices; it is what they are written
    in again. Raises `UsageError` for points of another shape.
    """

    points_mm: Float[Tensor, "n d"]
    space: PointSpace = "ras"
    origin: Any = None

    def __post_init__(self) -> None:
        points = self.points_mm.detach().to("cpu", torch.float64)
        if points.ndim != 2 or points.shape[1] not in (2, 3):
            raise UsageError(f"expected points of shape (n, 2) or (n, 3), got {tuple(points.shape)}")
        _check_space(self.space)
        object.__setattr__(self, "points_mm", points)

    def moved(self, points_mm: Float[Tensor, "n d"]) -> "PointSet":
        """The same set with its points elsewhere, `(n, d)` in RAS+ mm; raises `UsageError` for another number."""
        if points_mm.shape != self.points_mm.shape:
            raise UsageError(
                f"expected points of shape {tuple(self.points_mm.shape)}, got {tuple(points_mm.shape)}"
            )
        return replace(self, points_mm=points_mm)


# Numbers of a damaged file are checked; numpy need not say as well that they overflow.
@np.errstate(all="ignore")
def read_point_set(
    path: str | os.PathLike[str],
    *,
    space: PointSpace | None = None,
    grid: Grid | None = None,
    ndim: int | None = None,
) -> PointSet:
    """The points of a file (see `point_formats.FORMATS` for its kinds), a mesh's or streamlines' included.

    `space` says what the numbers mean where the file does not: `ras` or `lps` (world mm), or `voxel` indices of `grid`,
    which are pixels in 2-D. Nothing is guessed: a file that does not say it raises `UsageError` without `space`, and
    so does one that says something else. With `ndim` 2 (or a 2-D `grid`), a file with a z of 0 throughout gives 2-D
    points. Raises `ReadError` for a file that is missing, damaged, of a kind that is not read, or without points.
    """
    path = Path(path)
    if space is not None:
        _check_space(space)
    candidates = _of_suffix(path, ReadError)
    check_there(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None
    format = _recognised(candidates, data)
    found: Found = format.load().read(data, str(path))
    if len(found.numbers) == 0:
        raise ReadError(f"{path} holds no points")
    resolved = _agreed(path, found.space, space)
    if resolved == "voxel" and grid is None:
        raise UsageError(f"{path}: points in voxels need the image they were marked on: give its grid")
    ndim = ndim if grid is None else grid.ndim
    numbers = found.numbers
    has_zeros = ndim == 2 and numbers.shape[1] == 3 and not numbers[:, 2].any()
    if has_zeros:
        numbers = numbers[:, :2]
    if ndim is not None and numbers.shape[1] != ndim:
        raise ReadError(
            f"expected {ndim}-D points, as their image or transform is, and {path} holds {numbers.shape[1]}-D ones"
        )
    origin = _Origin(format, found, data, has_zeros)
    return PointSet(torch.from_numpy(_to_world(numbers, resolved, grid)), resolved, origin)


def write_point_set(
    point_set: PointSet,
    path: str | os.PathLike[str],
    *,
    space: PointSpace | None = None,
    grid: Grid | None = None,
    overwrite: bool = False,
) -> None:
    """Write points in the format that the file's name says.

    In the format they came in, all but the coordinates stays: other columns, labels, cells, streamlines, header; points
    that did not move give the same bytes. Written in another, what that cannot hold is left out, and named in one line
    of the log. `space` is the one they came in unless it is given. Voxels are those of `grid`, the image in which the
    points now lie (once moved, that is another than they were marked on), so it has to be given for them. 2-D points
    get a z of 0 in formats that always have one. Raises `WriteError` for points that are not finite or that the format
    cannot hold, and `OutputExists` without `overwrite`.
    """
    path = Path(path)
    origin: _Origin | None = point_set.origin
    candidates = _of_suffix(path, UsageError)
    same = next((f for f in candidates if origin is not None and f.name == origin.format.name), None)
    format = same or candidates[-1]
    kept = origin if same else None
    holds = kept is not None or point_set.space in format.spaces
    chosen: str = space or (point_set.space if holds else format.spaces[0])
    label = None if kept is not None and chosen == point_set.space else chosen
    _check_writable(format, kept, label, chosen, grid, point_set.points_mm, path)
    numbers = _from_world(point_set.points_mm.numpy(), chosen, grid)
    if numbers.shape[1] == 2 and (kept.has_zeros if kept else not format.flat):
        numbers = np.concatenate((numbers, np.zeros((len(numbers), 1))), axis=1)
    if kept is not None and label is None and np.array_equal(numbers, kept.found.numbers):
        content = kept.data
    else:
        content = format.load().write(numbers, label, kept.found.kept if kept else None)
        _log_what_changes(point_set, format, kept, path)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(content)


def read_points(
    path: str | os.PathLike[str],
    *,
    space: PointSpace | None = None,
    grid: Grid | None = None,
    ndim: int | None = None,
) -> Float[Tensor, "n d"]:
    """Points from a file, `(n, 2)` or `(n, 3)` float64 in RAS+ mm; as `read_point_set`, without what else it holds."""
    return read_point_set(path, space=space, grid=grid, ndim=ndim).points_mm


def write_points(
    points_mm: Float[Tensor, "n d"],
    path: str | os.PathLike[str],
    *,
    space: PointSpace | None = None,
    grid: Grid | None = None,
    overwrite: bool = False,
) -> None:
    """Write points `(n, d)` in RAS+ mm to a new file that says its space, RAS+ unless given; text keeps every digit."""
    write_point_set(PointSet(points_mm), path, space=space, grid=grid, overwrite=overwrite)


def _check_space(space: object) -> None:
    if space not in _SPACES:
        raise UsageError(f"expected points in ras, lps or voxel, got {space!r}")


def _of_suffix(path: Path, error: type[ReadError] | type[UsageError]) -> list[Format]:
    name = path.name.lower()
    longest = max((s for f in FORMATS for s in f.suffixes if name.endswith(s)), key=len, default=None)
    if longest is None:
        known = ", ".join(dict.fromkeys(suffix for f in FORMATS for suffix in f.suffixes))
        raise error(f"expected a file of points ({known}), got {path}")
    return [f for f in FORMATS if longest in f.suffixes]


def _recognised(candidates: list[Format], data: bytes) -> Format:
    return next((f for f in candidates[:-1] if f.load().recognises(data)), candidates[-1])


def _agreed(path: Path, found: str | None, said: PointSpace | None) -> PointSpace:
    """What a file's numbers mean, by the file or by what was said of it."""
    if found is None and said is None:
        raise UsageError(f"{path} does not say what its numbers are: say {_CHOICES}")
    if found is not None and said is not None and found != said:
        raise UsageError(
            f"{path} says that its numbers are {found}, and {said} was asked for; leave out --space"
        )
    return found or said  # type: ignore[return-value]


def _check_writable(
    format: Format,
    kept: _Origin | None,
    label: str | None,
    space: str,
    grid: Grid | None,
    points_mm: Float[Tensor, "n d"],
    path: Path,
) -> None:
    _check_space(space)
    if label is not None and label not in format.spaces:
        raise UsageError(
            f"{path}: {format.name} holds points in {' or '.join(format.spaces)}, not in {space}"
        )
    if kept is None and not format.plain:
        raise WriteError(
            f"{path}: {format.name} holds more than points, so only what was read as {format.name} is written so;"
            " .csv and .vtk take points of any kind"
        )
    if space == "voxel" and grid is None:
        raise UsageError(
            f"{path}: points in voxels need the image in which they now lie: give its grid (grid=), or write them"
            " in ras or lps (space=)"
        )
    if space == "voxel" and grid is not None and grid.ndim != points_mm.shape[1]:
        raise UsageError(
            f"{path}: the points have {points_mm.shape[1]} axes, and their image has {grid.ndim}"
        )
    wrong = int((~torch.isfinite(points_mm).all(dim=1)).sum())
    if wrong:
        raise WriteError(
            f"{path}: {wrong} of {len(points_mm)} points are NaN or infinite, and have no place in a file"
        )


def _log_what_changes(point_set: PointSet, format: Format, kept: _Origin | None, path: Path) -> None:
    origin: _Origin | None = point_set.origin
    if kept is not None and kept.found.stale:
        _log.warning(
            "%s: its %s are as before; compute them anew for the moved points", path, kept.found.stale
        )
    if origin is not None and kept is None and origin.found.beyond:
        _log.warning(
            "%s: written as %s, without %s of %s", path, format.name, origin.found.beyond, origin.format.name
        )


def _to_world(numbers: NDArray[np.float64], space: str, grid: Grid | None) -> NDArray[np.float64]:
    if space == "voxel" and grid is not None:
        world: NDArray[np.float64] = grid.to_world(torch.from_numpy(numbers.copy())).numpy()
        return world
    return flip_points(numbers) if space == "lps" else numbers.copy()


def _from_world(points_mm: NDArray[np.float64], space: str, grid: Grid | None) -> NDArray[np.float64]:
    numbers = flip_points(points_mm) if space == "lps" else points_mm
    if space == "voxel" and grid is not None:
        numbers = grid.to_voxel(torch.from_numpy(points_mm)).numpy()
    # No file holds a negative zero, which flipping a coordinate of 0 makes.
    return numbers + 0.0
