"""Points from and to CSV tables."""

import os
import re
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from inforeg.errors import ReadError, UsageError
from inforeg.io.atomic import atomic_path
from inforeg.io.files import check_there
from inforeg.io.lps import flip_points
from inforeg.space import Grid

PointSpace = Literal["ras", "lps", "voxel"]

# Between columns: a comma, a semicolon or a tab, with blanks around it, or blanks alone.
_BETWEEN = re.compile(r"\s*[,;\t]\s*|\s+")


def read_points(
    path: str | os.PathLike[str], *, space: PointSpace = "ras", grid: Grid | None = None
) -> Float[Tensor, "n d"]:
    """Points from a CSV table, `(n, 2)` or `(n, 3)` float64 in RAS+ mm.

    Columns are separated by commas, semicolons, tabs or blanks. With a header line, the columns named x, y
    and z (in any case) are read and the others passed over; without one, all columns are coordinates. `space`
    says what the numbers mean: world mm in RAS+ or LPS (ITK, ANTs, Slicer), or voxel indices (pixels of a
    picture) of `grid`. Raises `ReadError` for a table that does not hold 2 or 3 finite coordinates a line.
    """
    path = Path(path)
    if space not in ("ras", "lps", "voxel"):
        raise UsageError(f"expected points in ras, lps or voxel, got {space!r}")
    if space == "voxel" and grid is None:
        raise UsageError("points in voxels need the image they were marked on: give its grid")
    check_there(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"expected a table of points in {path}: {error}") from None
    points = _table(text, path)
    if space == "lps":
        points = flip_points(points)
    tensor = torch.from_numpy(points)
    if space != "voxel" or grid is None:
        return tensor
    if tensor.shape[1] != grid.ndim:
        raise ReadError(
            f"{path} holds points of {tensor.shape[1]} coordinates, and their image has {grid.ndim} axes"
        )
    return grid.to_world(tensor)


def write_points(
    points_mm: Float[Tensor, "n d"], path: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Write points `(n, d)` in RAS+ mm as CSV with a header line `x,y[,z]`; every digit is kept."""
    rows = points_mm.detach().cpu().double().tolist()
    lines = [",".join("xyz"[: points_mm.shape[1]]), *(",".join(map(repr, row)) for row in rows)]
    with atomic_path(path, overwrite) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")


def _table(text: str, path: Path) -> NDArray[np.float64]:
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), start=1)]
    # The first column of a header may have no name, so a leading separator counts.
    rows = [(n, _BETWEEN.split(line)) for n, line in lines if line and not line.startswith("#")]
    if not rows:
        raise ReadError(f"{path} holds no points")
    columns = _columns(rows[0][1], path)
    if columns is not None:
        rows = rows[1:]
    else:
        columns = list(range(len(rows[0][1])))
        if len(columns) not in (2, 3):
            raise ReadError(
                f"expected 2 or 3 coordinates a line in {path}, got {len(columns)} columns;"
                " a header line with x, y and z says which are the coordinates"
            )
    result = np.empty((len(rows), len(columns)))
    for row, (n, cells) in enumerate(rows):
        try:
            result[row] = [float(cells[column]) for column in columns]
        except (ValueError, IndexError):
            raise ReadError(
                f"{path}, line {n}: expected {len(columns)} coordinates, got {','.join(cells)!r}"
            ) from None
        if not np.isfinite(result[row]).all():
            raise ReadError(f"{path}, line {n}: a coordinate is NaN or infinite")
    if len(result) == 0:
        raise ReadError(f"{path} holds no points")
    return result


def _columns(cells: list[str], path: Path) -> list[int] | None:
    """Where x, y and z stand in a header line, or nothing if the line is not a header."""
    names = [cell.strip("\"' ").lower() for cell in cells]
    try:
        [float(name) for name in names if name]
    except ValueError:
        found = [names.index(axis) for axis in "xyz" if axis in names]
        if len(found) < 2 or names.count("z") > len(found) - 2:
            raise ReadError(
                f"expected columns x, y and (in 3-D) z in the header of {path}, got {names}"
            ) from None
        return found
    return None
