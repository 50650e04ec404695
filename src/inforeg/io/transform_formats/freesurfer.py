"""FreeSurfer's linear transforms: `.lta`.

An LTA takes points of its source (moving) image to its destination (fixed) image, the opposite of ours, so it is
turned. Its type says between which coordinates: 0 from voxel to voxel, with the two images' geometry in the same file,
or 1 from RAS mm to RAS mm. The RAS is the scanner's, as in NIfTI, and not the surfaces' "tkRAS".
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.grids import grid_in
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.text import (
    MATRIX_BYTES,
    affine,
    digits,
    first_line,
    numbers,
    one_matrix,
    read_text,
    regular,
    square,
)
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform

_VOXEL, _RAS = 0, 1
_OTHER_TYPES = {2: "physical voxels", 14: "a register.dat", 15: "MNI space", 21: "COR coordinates"}

_WHAT = "FreeSurfer's .lta"


def recognises(head: bytes) -> bool:
    """Whether a file begins with an LTA's type."""
    return re.match(r"type\s*=", first_line(head)) is not None


def read(path: Path, _context: Context) -> Transform:
    """The matrix, fixed (destination) points to moving (source) points in RAS+ mm; the file says all it needs.

    Raises `ReadError` for other types than 0 and 1, for a file of several transforms, and for type 0 without the
    geometry of both images.
    """
    lines = _lines(read_text(path, MATRIX_BYTES))
    kind = _whole(_value(lines, "type", path), "type", path)
    count = _whole(_value(lines, "nxforms", path), "nxforms", path)
    if kind not in (_VOXEL, _RAS):
        name = _OTHER_TYPES.get(kind, "unknown")
        raise ReadError(
            f"expected an LTA of type 0 or 1 in {path}, got {kind} ({name});"
            " lta_convert --outlta gives one of type 1"
        )
    if count != 1:
        raise ReadError(
            f"expected one transform, and {path} says that it holds {count}; give them one by one"
        )
    matrix = _matrix(lines, path)
    if kind == _VOXEL:
        with np.errstate(all="ignore"):
            moving, fixed = _geometry(lines, "src", path), _geometry(lines, "dst", path)
            matrix = regular(fixed @ matrix @ np.linalg.inv(moving), path)
    return Linear(torch.from_numpy(affine(matrix, path))).inverse()


def write(transform: Transform, path: Path, context: Context) -> None:
    """A linear transform as an LTA of type 1 with the geometry of both images, with every digit."""
    matrix = torch.from_numpy(one_matrix(transform, _WHAT))
    fixed, moving = context.both(_WHAT)
    if fixed.ndim != 3 or moving.ndim != 3:
        raise WriteError(f"{_WHAT} is for 3-D images; write .tfm")
    lines = [f"type      = {_RAS} # LINEAR_RAS_TO_RAS", "nxforms   = 1", "mean      = 0.0 0.0 0.0"]
    lines += ["sigma     = 1.0", "1 4 4"]
    lines += [digits(row) for row in Linear(matrix).inverse().matrix.numpy()]
    for name, grid in (("src", moving), ("dst", fixed)):
        lines += [f"{name} volume info", *_geometry_lines(grid)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def _lines(text: str) -> list[str]:
    stripped = (line.split("#", 1)[0].strip() for line in text.splitlines())
    return [line for line in stripped if line]


def _fields(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, equals, value = line.partition("=")
        if equals:
            yield name.strip(), value.strip()


def _value(lines: list[str], wanted: str, path: Path) -> str:
    for name, value in _fields(lines):
        if name == wanted:
            return value
    raise ReadError(f"expected an LTA in {path}, and it has no '{wanted} ='")


def _floats(text: str, count: int, what: str, path: Path) -> NDArray[np.float64]:
    try:
        found = np.array(numbers(text.split()), np.float64)
    except ValueError as error:
        raise ReadError(f"expected {count} numbers as {what} in {path}, and {error}") from None
    if len(found) != count or not np.isfinite(found).all():
        raise ReadError(f"expected {count} finite numbers as {what} in {path}, got {len(found)}")
    return found


def _whole(text: str, what: str, path: Path) -> int:
    found = float(_floats(text, 1, what, path)[0])
    if not found.is_integer():
        raise ReadError(f"expected a whole number as {what} in {path}, got {found:g}")
    return int(found)


def _matrix(lines: list[str], path: Path) -> NDArray[np.float64]:
    """The four rows behind the line that says their count and shape."""
    start = next((n for n, line in enumerate(lines) if line.split() == ["1", "4", "4"]), None)
    if start is None:
        raise ReadError(f"expected a line '1 4 4' before the matrix in {path}")
    found = [_floats(line, 4, "a row of the matrix", path).tolist() for line in lines[start + 1 : start + 5]]
    return square(found, path)


def _geometry(lines: list[str], which: str, path: Path) -> NDArray[np.float64]:
    """Voxels of the source or destination to RAS+ mm, `(4, 4)`."""
    title = f"{which} volume info"
    if title not in lines:
        raise ReadError(f"expected '{title}' in {path}, which an LTA of type 0 (voxel to voxel) needs")
    block = lines[lines.index(title) + 1 :][:8]
    if _whole(_value(block, "valid", path), f"valid of {which}", path) != 1:
        raise ReadError(
            f"{path} is of type 0 (voxel to voxel), and its {which} geometry is marked as not valid"
        )

    def triple(name: str) -> NDArray[np.float64]:
        return _floats(_value(block, name, path), 3, f"{name} of {which}", path)

    matrix = np.eye(4)
    axes = np.stack([triple("xras"), triple("yras"), triple("zras")], axis=1)
    matrix[:3, :3] = axes * triple("voxelsize")
    # The centre is that of the field of view in FreeSurfer's sense: voxel n/2, not (n-1)/2.
    shape = triple("volume")
    matrix[:3, 3] = triple("cras") - matrix[:3, :3] @ (shape / 2)
    # A grid refuses what is no geometry: no voxels, a singular matrix.
    if np.abs(shape).max() > 1 << 31:
        raise ReadError(f"expected the voxels along each axis as volume of {which} in {path}, got {shape}")
    return grid_in(path, [int(n) for n in shape], matrix).voxel_to_world.numpy()


def _geometry_lines(grid: Grid) -> list[str]:
    matrix = grid.voxel_to_world.numpy()
    spacing = grid.spacing_mm.numpy()
    centre = matrix[:3, :3] @ (np.array(grid.shape) / 2) + matrix[:3, 3]
    lines = ["valid = 1  # volume info valid", "filename = unknown"]
    lines += [f"volume = {' '.join(str(n) for n in grid.shape)}", f"voxelsize = {digits(spacing)}"]
    for n, name in enumerate("xyz"):
        lines.append(f"{name}ras   = {digits(matrix[:3, n] / spacing[n])}")
    return [*lines, f"cras   = {digits(centre)}"]
