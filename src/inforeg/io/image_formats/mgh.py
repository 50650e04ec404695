"""FreeSurfer's MGH files, `.mgh` and `.mgz` (gzip), by the layout its own documents give.

The matrix is FreeSurfer's own: RAS+ mm, told by the direction of each axis, the distances between voxels, and the
world point of the voxel at half of each length (`c_ras`), which lies half a voxel beyond the middle.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.outline import Outline, write_pieces
from inforeg.io.streams import Stream

# uint16 is read and not written: few programs know it yet.
HOLDS = ("uint8", "int16", "int32", "float32")

# Everything is big-endian; the values begin at byte 284.
_HEADER = np.dtype(
    [
        ("version", ">i4"),
        ("dims", ">i4", (4,)),
        ("type", ">i4"),
        ("dof", ">i4"),
        ("good_ras", ">i2"),
        ("delta", ">f4", (3,)),
        ("axes", ">f4", (3, 3)),
        ("c_ras", ">f4", (3,)),
    ]
)
_START = 284
_TYPES = {0: "uint8", 1: "int32", 3: "float32", 4: "int16", 10: "uint16"}
_OTHERS = {2: "long", 5: "bitmap", 6: "tensor", 7: "complex", 8: "complex", 9: "RGB"}
# Where no place is given: axes to the left, down and to the front, about the world's origin.
_CORONAL = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_IN_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001, "": 1.0}


def layout(path: Path) -> Layout:
    """What the header says; several frames are a series, and TR is its step. Raises `ReadError` for a bad file."""
    with Stream(path, "auto") as stream:
        head = stream.read(_START)
        # The version is 1; since FreeSurfer 7.3 what the file is meant for stands before it.
        if len(head) < _START or head[0] != 0 or head[3] != 1:
            fault = f"ends after {len(head)} bytes" if len(head) < _START else "has no MGH header"
            raise ReadError(f"expected an MGH file, and {path} {fault}; is it of another format, renamed?")
        header = np.frombuffer(head, _HEADER, 1)[0]
        sizes = tuple(int(n) for n in header["dims"])
        if min(sizes) < 1:
            raise ReadError(f"{path}: expected at least one voxel along every axis, its header says {sizes}")
        kind = int(header["type"])
        if kind not in _TYPES:
            raise ReadError(
                f"expected values of {', '.join(_TYPES.values())}, and {path} holds MGH type {kind}"
                f" ({_OTHERS.get(kind, 'unknown')})"
            )
        dtype = np.dtype(_TYPES[kind]).newbyteorder(">")
    is_warp = int.from_bytes(head[1:3], "big") > 1 and sizes[3] == 3 and kind == 3
    matrix, said = _place(header, sizes)
    return Layout(
        path,
        "MGH",
        dtype,
        "ijkt",
        sizes,
        matrix,
        encoding="auto",
        offset=_START,
        step_behind=">f4" if sizes[3] > 1 else "",
        step_unit="ms" if sizes[3] > 1 else "",
        what="a displacement field of FreeSurfer" if is_warp else "",
        said=said,
        facts={"units": "mm"},
    )


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """One channel `(1, i, j[, k])` to `.mgh` or `.mgz`; a slice becomes a volume of one voxel across.

    The matrix is exact to float32, shear kept. Raises `WriteError` for a type MGH does not hold.
    """
    write_series(path, Outline.of(values, voxel_to_world), [values])


def write_series(path: Path, outline: Outline, volumes: Iterable[NDArray[Any]]) -> None:
    """Volumes `(1, i, j[, k])` as frames; the step becomes TR, in ms."""
    outline.check_type("MGH", HOLDS, False)
    outline = outline.in_space()
    if outline.step_unit not in _IN_MS:
        raise WriteError(f"MGH holds steps of time, not of {outline.step_unit}; write .nii.gz")
    head = np.zeros(1, _HEADER)
    matrix, shape = outline.voxel_to_world, np.array(outline.shape)
    delta = np.linalg.norm(matrix[:3, :3], axis=0)
    head["version"], head["good_ras"] = 1, 1
    head["dims"] = (*outline.shape, outline.volumes)
    head["type"] = next(code for code, name in _TYPES.items() if name == outline.dtype.name)
    head["delta"], head["axes"] = delta, (matrix[:3, :3] / delta).T
    head["c_ras"] = matrix[:3, :3] @ (shape / 2) + matrix[:3, 3]
    # TR, flip angle, echo and inversion times, field of view.
    tail = np.array([outline.step * _IN_MS[outline.step_unit], 0, 0, 0, 0], ">f4").tobytes()
    packed = "all" if path.name.lower().endswith((".mgz", ".gz")) else ""
    write_pieces(path, head.tobytes().ljust(_START, b"\0"), volumes, order=">", tail=tail, packed=packed)


def _place(header: Any, sizes: tuple[int, ...]) -> tuple[NDArray[np.float64], tuple[tuple[int, str], ...]]:
    said: tuple[tuple[int, str], ...] = ()
    with np.errstate(invalid="ignore"):
        delta, axes, centre = (np.array(header[name], np.float64) for name in ("delta", "axes", "c_ras"))
    if not header["good_ras"]:
        delta, axes, centre = np.ones(3), _CORONAL, np.zeros(3)
        said = (
            (logging.WARNING, "its header does not say where it lies; it is taken as FreeSurfer takes it"),
        )
    matrix = np.eye(4)
    with np.errstate(all="ignore"):
        matrix[:3, :3] = axes.T * delta
        matrix[:3, 3] = centre - matrix[:3, :3] @ (np.array(sizes[:3]) / 2)
    return matrix, said
