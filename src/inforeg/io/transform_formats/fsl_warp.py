"""FSL's warps: a field of vectors on the reference (fixed) grid, as NIfTI of four axes (`.nii.gz`, `.nii`).

They go from fixed to moving, as ours do, in FSL's millimetres of both images (see `fsl`), so the moving image's grid
is needed; the fixed one is the file's own. A field is relative (what is added to the fixed position) or absolute (the
moving position itself), and FSL's headers do not say which: as FSL does, the one whose values vary less is taken to be
relative, by the sum of the three standard deviations, before and after taking the positions away. Fields that we wrote
say in their description that they are relative, which we go by and FSL does not.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inforeg.errors import ReadError, WriteError
from inforeg.io.grids import grid_in
from inforeg.io.image_formats import nifti
from inforeg.io.image_formats.outline import write_pieces
from inforeg.io.transform_formats import Context, MissingImages
from inforeg.io.transform_formats.fsl import fsl_to_world, voxel_to_fsl, world_to_fsl
from inforeg.space import Grid
from inforeg.transforms import Displacement, Transform

_log = logging.getLogger("inforeg")

_FIELD = 2006
_FNIRT = "fnirtfileutils --in=FILE --ref=REFERENCE --out=FIELD --withaff"
_TOPUP = "topup --dfout=FIELDS"
# What else FSL marks as its own, and what turns it into a field.
_COEFFICIENTS = {2007: _FNIRT, 2008: _FNIRT, 2009: _FNIRT, 2016: _TOPUP, 2017: _TOPUP, 2018: _TOPUP}

_WHAT = "FSL's warp"
# FSL has no place to say whether a field is relative, so that it goes by the values; what we wrote need not be guessed.
_MARK = b"relative warp by inforeg"


def recognises(head: bytes) -> bool:
    """Whether a file begins with a NIfTI header of FSL's kinds, or of three volumes and nothing else."""
    header = _header(head)
    if header is None:
        return False
    dim = [int(n) for n in header["dim"][:6]]
    vectors = dim[0] in (4, 5) and dim[4] == 3 and (dim[0] == 4 or dim[5] == 1)
    return vectors or int(header["intent_code"]) in (_FIELD, *_COEFFICIENTS)


def read(path: Path, context: Context) -> Transform:
    """The field as displacements in RAS+ mm on the file's own grid; float32 where the file is.

    Logs a warning where that grid is not `context.fixed`, and where the file is not marked as FSL's. Raises
    `ReadError` for coefficients instead of a field, with the command that makes one, and for anything else;
    `MissingImages` without the moving grid.
    """
    layout = nifti.layout(path)
    intent, marked = _intent(path)
    if intent in _COEFFICIENTS:
        raise ReadError(
            f"{path} holds coefficients of FSL (intent {intent}); make it a field: {_COEFFICIENTS[intent]}"
        )
    if layout.axes not in ("ijkc", "ijkt") or layout.sizes[3] != 3:
        size = "x".join(map(str, layout.sizes))
        raise ReadError(f"expected a field of 3 components on a 3-D grid in {path}, got {size}")
    if context.moving is None:
        raise MissingImages(
            f"{_WHAT} counts from a corner of the moving image, so that one is needed: give --moving (moving=)"
        )
    if context.moving.ndim != 3:
        raise ReadError(f"FSL has no 2-D transforms, and {path} was given a 2-D moving image")
    if intent != _FIELD:
        _log.warning("%s: its header does not say what it is; it is taken for a warp of FSL", path)
    # The table of images calls it no image, and here it is wanted as what it is.
    stored = replace(layout, what="").series()
    # One slice, which would be a 2-D image, is a field in 3-D.
    shape = layout.sizes[:3]
    grid = grid_in(path, shape, layout.voxel_to_world)
    if context.fixed is not None and not grid.same_as(context.fixed, 1e-3):
        _log.warning(
            "%s: its grid is not the fixed image's (%s, %s); its own is used", path, grid, context.fixed
        )
    values = stored.values.reshape(3, *shape)
    absolute = not marked and _is_absolute(values, stored.slope, stored.intercept, grid)
    vectors = _to_world(values, stored.slope, stored.intercept, grid, context.moving, absolute)
    return Displacement(vectors, grid)


def write(transform: Transform, path: Path, context: Context) -> None:
    """Any 3-D transform as a relative field in float32 on the fixed grid, marked as FSL's (intent 2006).

    Logs a warning where FSL would take the field for an absolute one, so that it has to be told.
    """
    fixed, moving = context.both(_WHAT)
    if fixed.ndim != 3 or moving.ndim != 3 or transform.ndim != 3:
        raise WriteError("FSL has no 2-D transforms; write .nii.gz with --to itk (format='itk')")
    field = np.empty((3, *fixed.shape), np.float32)
    to_fsl = world_to_fsl(moving)
    for n, positions in enumerate(_planes(voxel_to_fsl(fixed), fixed.shape)):
        moved = transform(_apply(fsl_to_world(fixed), positions))
        with np.errstate(all="ignore"):
            field[:, n] = (_apply(to_fsl, moved) - positions).T.reshape(3, *fixed.shape[1:]).numpy()
    if not np.isfinite(field).all():
        raise WriteError("the transform takes points of the fixed image to infinity, which no field holds")
    if _is_absolute(field, 1.0, 0.0, fixed):
        _log.warning("%s: FSL would take it for an absolute field: say --rel to applywarp", path.suffixes[-1])
    packed = "all" if path.name.lower().endswith(".gz") else ""
    write_pieces(path, _new_header(fixed), (part[None] for part in field), packed=packed)


def _to_world(
    values: NDArray[Any], slope: float, intercept: float, grid: Grid, moving: Grid, absolute: bool
) -> Tensor:
    """Displacements `(3, *shape)` in RAS+ mm, one plane of the first axis after the other."""
    kept = (
        np.float32 if values.dtype.itemsize == 4 and values.dtype.kind == "f" and slope == 1 else np.float64
    )
    vectors = np.empty(values.shape, kept)
    moved_to_world, fixed_to_world = fsl_to_world(moving), fsl_to_world(grid)
    for n, positions in enumerate(_planes(voxel_to_fsl(grid), grid.shape)):
        # Numbers beyond float32 become infinite, and a field refuses those.
        with np.errstate(all="ignore"):
            plane = torch.from_numpy(values[:, n].reshape(3, -1).T.astype(np.float64) * slope + intercept)
            moved = plane if absolute else positions + plane
            shift = _apply(moved_to_world, moved) - _apply(fixed_to_world, positions)
            vectors[:, n] = shift.T.reshape(3, *grid.shape[1:]).numpy()
    return torch.from_numpy(vectors)


def _is_absolute(values: NDArray[Any], slope: float, intercept: float, grid: Grid) -> bool:
    """FSL's own rule: the positions themselves vary more than what is added to them."""
    matrix = voxel_to_fsl(grid).numpy()
    spread, spread_without = 0.0, 0.0
    with np.errstate(all="ignore"):
        for axis in range(3):
            part = values[axis].astype(np.float64) * slope + intercept
            spread += float(part.std())
            index = np.arange(grid.shape[axis]).reshape([-1 if a == axis else 1 for a in range(3)])
            part -= index * matrix[axis, axis] + matrix[axis, 3]
            spread_without += float(part.std())
    return spread > spread_without


def _planes(matrix: Tensor, shape: tuple[int, ...]) -> Any:
    """Positions `(n, 3)` of the voxels of each plane of the first axis."""
    j, k = (torch.arange(n, dtype=torch.float64) for n in shape[1:])
    for i in range(shape[0]):
        first = torch.full((shape[1], shape[2]), float(i), dtype=torch.float64)
        index = torch.stack([first, *torch.meshgrid(j, k, indexing="ij")], dim=-1).reshape(-1, 3)
        yield _apply(matrix, index)


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def _header(head: bytes) -> Any:
    """The NIfTI header these bytes are, or none."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind: Any = None
    if head[344:348] == b"n+1\0":
        kind = Nifti1Header
    elif head[4:8] == b"n+2\0":
        kind = Nifti2Header
    if kind is None or len(head) < kind.sizeof_hdr:
        return None
    try:
        return kind(head[: kind.sizeof_hdr], check=False)
    except Exception:  # nibabel has many ways to say that a header makes no sense
        return None


def _intent(path: Path) -> tuple[int, bool]:
    """FSL's code for what is in the file, and whether it says that it is a relative field of ours."""
    from inforeg.io.streams import Stream

    with Stream(path, "auto") as stream:
        header = _header(stream.read(540))
    return (0, False) if header is None else (int(header["intent_code"]), header["descrip"].item() == _MARK)


def _new_header(grid: Grid) -> bytes:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind: Any = Nifti1Header if max(grid.shape) < 1 << 15 else Nifti2Header
    header = kind()
    header.set_data_dtype(np.dtype("<f4"))
    header.set_data_shape((*grid.shape, 3))
    header.set_zooms((*grid.spacing_mm.tolist(), 1.0))
    header.set_xyzt_units("mm")
    matrix = grid.voxel_to_world.numpy()
    header.set_qform(matrix, 1)
    ends = np.array([(*(n - 1.0 for n in grid.shape), 1.0), (0.0, 0.0, 0.0, 1.0)])
    if np.abs(ends @ (header.get_qform() - matrix).T).max() > 1e-3:
        header["qform_code"] = 0
    header.set_sform(matrix, 1)
    header["intent_code"] = _FIELD
    header["descrip"] = _MARK
    header["vox_offset"] = int(header.sizeof_hdr) + 4
    return bytes(header.binaryblock) + b"\0\0\0\0"
