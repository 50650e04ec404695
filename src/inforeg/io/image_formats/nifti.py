"""NIfTI-1 and NIfTI-2 files, `.nii` and `.nii.gz`; headers are nibabel's."""

import logging
from itertools import product
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import NotEnoughMemory, ReadError, WriteError
from inforeg.io.compressed import GzipStream, gzip_pieces, is_gzip
from inforeg.io.files import why
from inforeg.io.stored import Stored

_log = logging.getLogger("inforeg")

_DIFFER_MM = 0.1

# nibabel states no types for what its headers do.
_Header: TypeAlias = Any


def read(path: Path) -> Stored:
    """One volume or slice, with its full sform affine (shear kept), or its qform where there is no sform.

    A slice (third axis of one voxel, or a 2-D file) whose plane is the world's x-y plane becomes 2-D, in
    which the height of the plane is dropped; any other slice stays a volume of one voxel along its third
    axis. Units of metres or micrometres in the header are honoured. Raises `ReadError` for a file that is
    missing, empty, damaged, cut short, of another format, or of more than one volume.
    """
    file = _File(path)
    header = _header(file)
    dtype, shape, channels, offset = _layout(header, path)
    count = prod(shape) * channels
    body = file.read(offset + count * dtype.itemsize, f"{'x'.join(map(str, shape))} values of {dtype.name}")
    values = np.frombuffer(body, dtype, count=count, offset=offset - file.head_bytes)
    # Colours lie next to each other; then come i, j and k.
    values = values.reshape((channels, *shape), order="F")
    slope, intercept = header.get_slope_inter() if channels == 1 else (None, None)
    values, matrix = flatten(values, _affine(header, path))
    if channels == 4:
        _log.info("%s: its transparency is not used", path)
        values = values[:3]
    return Stored(
        values, matrix, str(path), 1.0 if slope is None else slope, 0.0 if intercept is None else intercept
    )


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, i, j[, k])` to `.nii` or `.nii.gz`; slices become volumes of one voxel across.

    One channel, or three of uint8 (RGB). The sform is exact to float32; the qform is set where it says the
    same (it cannot hold shear). The same data gives the same bytes.
    """
    pieces: list[bytes] = [_new_header(values, voxel_to_world), _fortran_bytes(values)]
    with path.open("wb") as file:
        for piece in gzip_pieces(pieces) if path.name.lower().endswith(".gz") else pieces:
            file.write(piece)


class _File:
    """A file's bytes, header first; its promises are compared with the file before memory is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._data = path.read_bytes()
        except FileNotFoundError:
            raise ReadError(f"{path} is not there") from None
        except IsADirectoryError:
            raise ReadError(f"expected a NIfTI file, and {path} is a folder") from None
        except OSError as error:
            raise ReadError(f"cannot read {path}: {why(error)}") from None
        if not self._data:
            raise ReadError(f"{path} is empty (0 bytes)")
        self._stream = GzipStream(self._data) if is_gzip(self._data) else None
        self.head_bytes = 0

    def head(self, count: int) -> bytes:
        """The next bytes of the header."""
        start = self.head_bytes
        self.head_bytes += count
        return self._inflate(self._stream, count) if self._stream else self._data[start : start + count]

    def read(self, end: int, promise: str) -> bytes | memoryview:
        """All bytes behind the header, up to byte `end` of the uncompressed file."""
        promise = f"its header promises {promise} ({_size(end)})"
        if self._stream is None:
            if len(self._data) < end:
                raise ReadError(f"{self.path} is cut short: {promise}, it holds {_size(len(self._data))}")
            return memoryview(self._data)[self.head_bytes :]
        missing = end - self.head_bytes
        if not self._stream.could_hold(missing):
            raise ReadError(f"{self.path} is cut short: {promise}, it holds {_size(len(self._data))} of gzip")
        body = self._inflate(self._stream, missing, last=True)
        if len(body) < missing:
            raise ReadError(
                f"{self.path} is cut short: {promise}, it holds {_size(self.head_bytes + len(body))}"
            )
        return body

    def _inflate(self, stream: GzipStream, count: int, last: bool = False) -> bytes:
        try:
            data = stream.read(count)
            if last and len(data) == count:
                stream.check_end()
            return data
        except ValueError as error:
            raise ReadError(f"{self.path} is damaged: it cannot be decompressed ({error})") from None
        except MemoryError:
            raise NotEnoughMemory(f"{self.path} needs {_size(count)} of memory, more than there is") from None


def _header(file: _File) -> _Header:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    head = file.head(348)
    kind: _Header = None
    # Data in a second file (magic ni1) belong to the pair of .hdr and .img.
    if head[344:348] == b"n+1\0":
        kind = Nifti1Header
    elif head[4:8] == b"n+2\0":
        kind, head = Nifti2Header, head + file.head(192)
    if kind is None or len(head) < kind.sizeof_hdr:
        fault = f"ends after {len(head)} bytes" if len(head) < 348 else "has no NIfTI header"
        raise ReadError(f"expected a NIfTI file, and {file.path} {fault}; is it of another format, renamed?")
    try:
        return kind(head, check=False)
    except Exception as error:  # nibabel has many ways to say that a header makes no sense
        raise ReadError(f"{file.path}: its NIfTI header makes no sense ({error})") from None


def _layout(header: _Header, path: Path) -> tuple[np.dtype[Any], tuple[int, ...], int, int]:
    """Type of the values, voxels along each axis, channels, and where in the file the values start."""
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise ReadError(
            f"{path}: expected 1 to 7 axes of at least one voxel, its header says {dim[: dim[0] + 1]}"
        )
    shape = dim[1 : dim[0] + 1]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) > 3:
        what = (
            "a displacement field" if len(shape) == 5 and shape[3] == 1 and shape[4] in (2, 3) else "a series"
        )
        raise ReadError(
            f"expected one volume, and {path} holds {what} of {'x'.join(map(str, shape))}; give one of it"
        )
    if len(shape) == 1:
        raise ReadError(f"expected a slice or a volume, and {path} has one axis, of {shape[0]} voxels")
    try:
        dtype = header.get_data_dtype()
    except Exception:  # a KeyError or nibabel's own, by the kind of nonsense
        raise ReadError(f"{path}: unknown type of values (NIfTI code {int(header['datatype'])})") from None
    channels = 1
    if dtype.names is not None:
        channels, dtype = len(dtype.names), np.dtype(np.uint8)
    if dtype.kind not in "iufb":
        raise ReadError(f"expected real values, and {path} holds {dtype.name}")
    start = float(header["vox_offset"])
    if not np.isfinite(start) or start < 0:
        raise ReadError(f"{path}: its header says that the values start at byte {start:g}")
    size = int(header.sizeof_hdr)
    return dtype, tuple(shape), channels, max(int(start), size + 4 if start == 0 else size)


def _affine(header: _Header, path: Path) -> NDArray[np.float64]:
    """Voxel to world, `(4, 4)`, in mm."""
    spatial = [int(n) for n in header["dim"][1:4]]
    scale = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)
    with np.errstate(all="ignore"):
        try:
            qform = header.get_qform() if int(header["qform_code"]) > 0 else None
        except Exception:  # a quaternion that is none
            qform = None
        sform = header.get_sform() if int(header["sform_code"]) > 0 else None
        if sform is not None and not abs(np.linalg.det(sform[:3, :3])) > 0 and qform is not None:
            _log.warning("%s: its sform is singular; its qform is used", path)
            sform = None
        if sform is not None and qform is not None:
            apart = _apart_mm(sform, qform, spatial) * scale
            if apart > _DIFFER_MM:
                _log.warning("%s: sform and qform differ by %.3g mm; the sform is used", path, apart)
        best = sform if sform is not None else qform
        if best is None:
            _log.warning("%s: its header does not say where it lies; it is taken to lie along the axes", path)
            best = header.get_base_affine()
    matrix = np.array(best, np.float64)
    matrix[:3] *= scale
    if scale != 1.0:
        _log.info("%s: its header is in %s; taken to mm", path, "metres" if scale > 1 else "micrometres")
    return matrix


def _apart_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: list[int]) -> float:
    corners = np.array([(*c, 1.0) for c in product(*((0.0, n - 1.0) for n in shape))])
    return float(np.linalg.norm(corners @ (a - b).T[:, :3], axis=1).max())


def flatten(values: NDArray[Any], matrix: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """2-D where the only slice lies in the world's x-y plane."""
    if values.ndim == 4 and values.shape[3] > 1:
        return values, matrix
    reach = np.abs(matrix[:3, :2]).max()
    in_plane = np.abs(matrix[2, :2]).max() <= 1e-5 * reach and np.abs(matrix[:2, 2]).max() <= 1e-5 * reach
    if in_plane:
        return values.reshape(values.shape[:3], order="F"), matrix[np.ix_((0, 1, 3), (0, 1, 3))]
    return values.reshape((*values.shape[:3], 1), order="F"), matrix


def _new_header(values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> bytes:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    shape = values.shape[1:] if values.ndim == 4 else (*values.shape[1:], 1)
    matrix = voxel_to_world
    if matrix.shape == (3, 3):
        matrix = np.eye(4)
        matrix[np.ix_((0, 1, 3), (0, 1, 3))] = voxel_to_world
    kind: _Header = Nifti1Header if max(shape) < 1 << 15 else Nifti2Header
    header = kind()
    if values.shape[0] == 3 and values.dtype == np.uint8:
        header.set_data_dtype(np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif values.shape[0] == 1:
        header.set_data_dtype(values.dtype)
    else:
        raise WriteError(
            f"NIfTI holds one channel, or three of uint8; got {values.shape[0]} of {values.dtype.name}"
        )
    header.set_data_shape(shape)
    header.set_zooms(np.linalg.norm(matrix[:3, :3], axis=0))
    header.set_xyzt_units("mm")
    header.set_qform(matrix, 1)
    # A qform cannot hold shear, and near half turns float32 makes it inexact: then it is better not given.
    if _apart_mm(header.get_qform(), matrix, list(shape)) > 1e-3:
        header["qform_code"] = 0
    header.set_sform(matrix, 1)
    size = int(header.sizeof_hdr)
    header["vox_offset"] = size + 4
    return bytes(header.binaryblock) + b"\0\0\0\0"


def _fortran_bytes(values: NDArray[Any]) -> bytes:
    """The values as the file wants them, colours and the first axis fastest."""
    little = values.dtype.newbyteorder("<") if values.dtype.byteorder == ">" else values.dtype
    result = np.empty(values.shape[::-1], little)
    if values.ndim == 4:
        for j in range(values.shape[2]):
            result[:, j] = values[:, :, j].T
    else:
        result[...] = values.T
    return result.tobytes()


def _size(count: int) -> str:
    for power, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= power:
            return f"{count / power:.3g} {unit}"
    return f"{count} bytes"
