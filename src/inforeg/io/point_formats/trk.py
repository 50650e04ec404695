"""TrackVis' streamlines, `.trk`: coordinates are replaced; the header and the data of points and streamlines stay.

The file counts in millimetres along the voxel axes from the outer corner of the first voxel ("voxel mm"), in the axes
that `voxel_order` names; `vox_to_ras` takes voxels to the world. A file of an older version without that matrix does
not say where it lies, and is refused. Moved streamlines stay in the frame of the image that the header names: they
may lie outside of its box, and are at the right place in the world.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.numbers import cast, finite

_HEADER_BYTES = 1000


@dataclass(frozen=True, eq=False)
class _Streamlines:
    data: bytes
    byte_order: str
    columns: NDArray[np.int64]  # where each coordinate stands, in words behind the header, (n, 3)
    to_world: NDArray[np.float64]


def read(data: bytes, name: str) -> Found:
    """All points of all streamlines, `(n, 3)`; raises `ReadError` where the file ends within a streamline."""
    if data[:5] != b"TRACK" or len(data) < _HEADER_BYTES:
        raise ReadError(
            f"expected TrackVis streamlines, and {name} does not begin with their header of 1000 bytes"
        )
    sizes = {order: int(np.frombuffer(data, order + "i4", 1, 996)[0]) for order in "<>"}
    order = next((order for order, size in sizes.items() if size == _HEADER_BYTES), None)
    if order is None:
        raise ReadError(f"{name}: expected a header of 1000 bytes, it says {sizes['<']}")
    to_world = _to_world(data, order, name)
    scalars, properties = (int(np.frombuffer(data, order + "i2", 1, place)[0]) for place in (36, 238))
    streamlines = int(np.frombuffer(data, order + "i4", 1, 988)[0])
    if min(scalars, properties, streamlines) < 0:
        raise ReadError(f"{name}: its header promises {streamlines} streamlines, {scalars} values a point")
    words = (len(data) - _HEADER_BYTES) // 4
    lengths = np.frombuffer(data, order + "i4", words, _HEADER_BYTES)
    starts, counts = _streamlines(lengths, streamlines, 3 + scalars, properties, name)
    if (len(data) - _HEADER_BYTES) % 4:
        raise ReadError(f"{name} is cut short: it ends within a number")
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = (np.repeat(starts, counts) + within * (3 + scalars))[:, None] + np.arange(3)
    stored = finite(np.frombuffer(data, order + "f4", words, _HEADER_BYTES)[columns], name)
    numbers = stored @ to_world[:3, :3].T + to_world[:3, 3]
    kept = _Streamlines(data, order, columns, to_world)
    return Found(numbers, "ras", kept, "streamlines (which points belong together) and their data")


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The streamlines with their points elsewhere, in float32 voxel mm."""
    streamlines: _Streamlines = kept
    back = np.linalg.inv(streamlines.to_world)
    dtype = np.dtype(streamlines.byte_order + "f4")
    words = np.frombuffer(streamlines.data, dtype, offset=_HEADER_BYTES).copy()
    words[streamlines.columns] = cast(numbers @ back[:3, :3].T + back[:3, 3], dtype)
    return streamlines.data[:_HEADER_BYTES] + words.tobytes()


def _streamlines(
    lengths: NDArray[Any], promised: int, point_words: int, property_words: int, name: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each streamline's first point stands, in words behind the header, and how many points it has."""
    starts: list[int] = []
    counts: list[int] = []
    place = 0
    while place < len(lengths):
        count = int(lengths[place])
        end = place + 1 + count * point_words + property_words
        if count < 0 or end > len(lengths):
            raise ReadError(
                f"{name} is cut short or damaged: streamline {len(starts) + 1} has {count} points"
            )
        starts.append(place + 1)
        counts.append(count)
        place = end
    # A count of 0 means that nobody counted.
    if promised not in (0, len(starts)):
        raise ReadError(f"{name}: its header promises {promised} streamlines, and it holds {len(starts)}")
    return np.array(starts, dtype=np.int64), np.array(counts, dtype=np.int64)


def _to_world(data: bytes, order: str, name: str) -> NDArray[np.float64]:
    """Voxel mm to RAS+ mm, `(4, 4)`."""
    orientations: Any = import_module("nibabel.orientations")
    dim = np.frombuffer(data, order + "i2", 3, 6)
    spacing = np.frombuffer(data, order + "f4", 3, 12).astype(np.float64)
    matrix = np.frombuffer(data, order + "f4", 16, 440).reshape(4, 4).astype(np.float64)
    version = int(np.frombuffer(data, order + "i4", 1, 992)[0])
    if version < 2 or matrix[3, 3] == 0:
        raise ReadError(
            f"{name} does not say where it lies in the world (version 1, or no vox_to_ras);"
            " write it again with the image it belongs to"
        )
    corner = np.eye(4)
    if not (np.isfinite(spacing).all() and spacing.min() > 0 and np.isfinite(matrix).all()):
        raise ReadError(f"{name}: expected voxel sizes above 0 and a finite vox_to_ras in its header")
    corner[:3, :3] = np.diag(1 / spacing)
    corner[:3, 3] = -0.5
    # TrackVis' own default where the order of the axes is not said.
    axes = data[948:952].rstrip(b"\0 ").decode("latin-1").upper() or "LPS"
    try:
        file_axes = orientations.axcodes2ornt(tuple(axes))
        world_axes = orientations.io_orientation(matrix)
        turn = orientations.inv_ornt_aff(orientations.ornt_transform(file_axes, world_axes), dim)
    except Exception as error:  # nibabel has many ways to say that axes make no sense
        raise ReadError(f"{name}: its axes {axes!r} do not fit its vox_to_ras ({error})") from None
    with np.errstate(all="ignore"):
        result: NDArray[np.float64] = matrix @ turn @ corner
    if (
        not np.isfinite(result).all()
        or tuple(result[3]) != (0, 0, 0, 1)
        or np.linalg.cond(result[:3, :3]) > 1e6
    ):
        raise ReadError(f"{name}: its vox_to_ras is singular or not affine")
    return result
