"""Displacement fields as images of vectors, as ANTs, SimpleITK and greedy have them: NIfTI, MetaImage and NRRD.

In NIfTI the vectors lie along the fifth axis, `(x, y, z, 1, 3)` or `(x, y, 1, 1, 2)`, with the intent "vector" (1007)
and components in LPS mm. With the intent "displacement vector" (1006) they are in RAS, and ITK 5.4 turns them. FSL's
fields have another shape and intents of their own (`fsl_warp`); NiftyReg's are positions.
"""

import logging
from dataclasses import replace
from pathlib import Path
from struct import unpack_from
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import InforegError, ReadError, WriteError
from inforeg.io.image_formats import metaimage, nifti, nrrd
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.outline import Outline, write_pieces
from inforeg.io.streams import Stream
from inforeg.io.transform_formats import Context
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Transform

_log = logging.getLogger("inforeg")

_RAS_VECTORS, _VECTORS = 1006, 1007
_NIFTYREG = b"NREG_TRANS"
_HEAD_BYTES = 540
# ITK has no shear; what moves no corner of the grid by more than this is rounding.
_ROUNDING_MM = 1e-3
_LONGEST_AXIS = (1 << 15) - 1

_LAYOUTS = {".mha": metaimage.layout, ".mhd": metaimage.layout, ".nrrd": nrrd.layout, ".nhdr": nrrd.layout}
_WRITERS = {".mha": metaimage.write, ".nrrd": nrrd.write}


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is an image of vectors, or may be (MetaImage, NRRD); FSL's fields are none."""
    said = _said(head)
    return (
        said.is_field if said else not head.startswith(b"\0") and (b"=" in head or head.startswith(b"NRRD"))
    )


def read(path: Path, _context: Context) -> Displacement:
    """The field in a file, of its own precision, in RAS+ mm.

    Raises `ReadError` for a damaged file, for vectors of another dimension than their grid, and for positions.
    """
    is_nifti = path.suffix.lower() not in _LAYOUTS
    turned = _are_lps(path) if is_nifti else True
    try:
        # An image of vectors is refused where an image is wanted; here it is wanted.
        layout = replace((nifti.layout if is_nifti else _LAYOUTS[path.suffix.lower()])(path), what="")
        vectors, matrix = _vectors(layout, path)
        if turned:
            np.negative(vectors[:2], out=vectors[:2])
        return Displacement(torch.from_numpy(vectors), Grid(vectors.shape[1:], torch.from_numpy(matrix)))
    except InforegError as error:
        # What is wrong with the grid, or with a second file, is said without this file's name.
        said = str(error)
        raise ReadError(said if str(path) in said else f"{path}: {said}") from None


def write(transform: Transform, path: Path, _context: Context) -> None:
    """One displacement field, of its own precision.

    Raises `WriteError` for any other transform, and for a grid with shear, which ITK cannot read.
    """
    if isinstance(transform, Composite) and len(transform.parts) == 1:
        transform = transform.parts[0]
    if not isinstance(transform, Displacement):
        raise WriteError(
            f"{path.suffix} holds one displacement field and no {type(transform).__name__}; write .h5,"
            " or make it a field first (Displacement.of, on a grid)"
        )
    matrix = transform.grid.voxel_to_world.numpy()
    sheared = _shear_mm(matrix, transform.grid.shape)
    if sheared > _ROUNDING_MM:
        raise WriteError(
            f"the axes of the field's grid are not at right angles ({sheared:.2g} mm at a corner), which ITK's"
            f" programs do not read in {path.suffix}; write .h5, which keeps them"
        )
    vectors = transform.vectors.detach().cpu().numpy().copy()
    vectors[:2] *= -1
    writer = _WRITERS.get(path.suffix.lower())
    if writer is not None:
        writer(path, vectors, matrix)
        return
    outline = Outline.of(vectors, matrix).in_space()
    if max(outline.shape) > _LONGEST_AXIS:
        raise WriteError(
            f"NIfTI-1 holds axes of up to {_LONGEST_AXIS} voxels, got {outline.shape}; write .h5"
        )
    packed = "all" if path.name.lower().endswith(".gz") else ""
    write_pieces(path, _header(outline), [component[None] for component in vectors], packed=packed)


class _Said(NamedTuple):
    """What a NIfTI header says that tells a field from an image, and one kind of field from another."""

    sizes: tuple[int, ...]
    intent: int
    name: bytes

    @property
    def is_field(self) -> bool:
        return len(self.sizes) == 5 and self.sizes[3] == 1 and self.sizes[4] in (2, 3)


def _said(head: bytes) -> _Said | None:
    for order in "<>":
        if len(head) >= 348 and unpack_from(f"{order}i", head)[0] == 348:
            count, *sizes = unpack_from(f"{order}8h", head, 40)
            return _Said(tuple(sizes[: max(0, count)]), unpack_from(f"{order}h", head, 68)[0], head[328:344])
        if len(head) >= _HEAD_BYTES and unpack_from(f"{order}i", head)[0] == _HEAD_BYTES:
            count, *sizes = unpack_from(f"{order}8q", head, 16)
            intent = unpack_from(f"{order}i", head, 504)[0]
            return _Said(tuple(sizes[: max(0, min(count, 7))]), intent, head[508:524])
    return None


def _are_lps(path: Path) -> bool:
    """Whether the components of a NIfTI field are in LPS; raises `ReadError` for what is no field of vectors."""
    with Stream(path, "auto") as stream:
        said = _said(stream.read(_HEAD_BYTES))
    if said is None or not said.is_field:
        raise ReadError(f"expected a field of vectors, (x, y, z, 1, 3), in {path}; is it an image?")
    if said.name.startswith(_NIFTYREG):
        raise ReadError(
            f"{path} holds positions of NiftyReg; make them displacements with reg_transform -disp"
        )
    if said.intent not in (_RAS_VECTORS, _VECTORS):
        _log.warning("%s: its header does not say that it holds vectors (intent %d)", path, said.intent)
    return said.intent != _RAS_VECTORS


def _vectors(layout: Layout, path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """`(d, i, j[, k])` as the file has them, a new array, and where they lie."""
    stored = layout.series().only()
    values, matrix = stored.values, stored.voxel_to_world
    if len(values) == values.ndim == 3 and len(layout.voxel_to_world) == 4:
        # One slice of a field in 3-D.
        values, matrix = values[..., None], layout.voxel_to_world
    if len(values) != values.ndim - 1:
        size = "x".join(map(str, values.shape[1:]))
        raise ReadError(
            f"expected vectors of {values.ndim - 1} components on a grid of {size} in {path}, got {len(values)}"
        )
    is_float = values.dtype.name in ("float32", "float64")
    vectors = np.array(values, values.dtype.newbyteorder("=") if is_float else np.float64, order="C")
    if stored.is_scaled:
        with np.errstate(all="ignore"):
            vectors = vectors.astype(np.float64) * stored.slope + stored.intercept
    return vectors, matrix


def _shear_mm(matrix: NDArray[np.float64], shape: tuple[int, ...]) -> float:
    """How far a corner moves when the axes are put at right angles, as little as can be."""
    d = len(shape)
    spacing = np.linalg.norm(matrix[:d, :d], axis=0)
    u, _, vt = np.linalg.svd(matrix[:d, :d] / spacing)
    off = (u @ vt) * spacing - matrix[:d, :d]
    return float((np.linalg.norm(off, axis=0) * (np.array(shape) - 1)).sum())


def _header(outline: Outline) -> bytes:
    from nibabel.nifti1 import Nifti1Header

    kind: Any = Nifti1Header
    header = kind()
    matrix = outline.voxel_to_world
    header.set_data_dtype(outline.dtype)
    header.set_data_shape((*outline.shape, 1, outline.channels))
    header.set_zooms((*np.linalg.norm(matrix[:3, :3], axis=0), 1.0, 1.0))
    header.set_intent(_VECTORS)
    header.set_xyzt_units("mm")
    header.set_qform(matrix, 1)
    header.set_sform(matrix, 1)
    header["vox_offset"] = int(header.sizeof_hdr) + 4
    return bytes(header.binaryblock) + b"\0\0\0\0"
