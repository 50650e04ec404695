"""NIfTI-1 and NIfTI-2 files, `.nii`, `.nii.gz` and pairs of `.hdr` and `.img`; headers are nibabel's."""

import logging
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.headers import SHEAR_DEGREES, shear_degrees
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.outline import Outline, write_pieces
from inforeg.io.streams import Stream

_log = logging.getLogger("inforeg")

HOLDS = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")

_DIFFER_MM = 0.1
_LENGTHS = {1: ("metres", 1000.0), 2: ("mm", 1.0), 3: ("micrometres", 0.001)}
_STEPS = {8: "s", 16: "ms", 24: "us", 32: "Hz", 40: "ppm", 48: "rad/s"}
# Intents by their numbers in the standard: a field of displacements, any vectors, and FSL's own fields.
_DISPLACEMENTS, _VECTORS, _FSL = 1006, 1007, (2006, 2007, 2008, 2009)

# nibabel states no types for what its headers do.
_Header: TypeAlias = Any


def layout(path: Path) -> Layout:
    """What the header says, with its full sform (shear kept), or its qform where there is no sform.

    A slice (third axis of one voxel, or a 2-D file) whose plane is the world's x-y plane becomes 2-D, in
    which the height of the plane is dropped; any other slice stays a volume of one voxel along its third
    axis. Units of metres or micrometres in the header are honoured. Raises `ReadError` for a file that is
    missing, empty, damaged, cut short, or of another format.
    """
    head, data = _pair(path)
    with Stream(head, "auto") as stream:
        header, is_pair = _header(stream)
    if is_pair != (data is not None):
        raise ReadError(f"{path}: its header and its name disagree on whether it is a pair of .hdr and .img")
    axes, sizes, what = _axes(header, path)
    dtype, channels = _dtype(header, path)
    if channels > 1 and "c" in axes:
        raise ReadError(f"{path}: its header says that it holds vectors of colours, which makes no sense")
    if channels > 1:
        axes, sizes = "c" + axes, (channels, *sizes)
    slope, intercept = _scale(header, path) if channels == 1 else (None, None)
    matrix, said, facts = _place(header)
    return Layout(
        path,
        f"NIfTI-{1 if int(header.sizeof_hdr) == 348 else 2}" + (" (.hdr and .img)" if is_pair else ""),
        dtype,
        axes,
        sizes,
        matrix,
        data=data if is_pair else None,
        encoding="auto",
        offset=_start(header, path, is_pair),
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        step=_step(header) if "t" in axes else 0.0,
        step_unit=_STEPS.get(int(header["xyzt_units"]) & 0x38, "") if "t" in axes else "",
        transparency=channels == 4,
        what=what,
        said=said,
        facts=facts,
    )


def _scale(header: _Header, path: Path) -> tuple[float | None, float | None]:
    """Slope and intercept, or nothing where the header has none."""
    try:
        slope, intercept = header.get_slope_inter()
    except Exception:  # nibabel's own, where one is a number and the other is not
        raise ReadError(
            f"{path}: its header scales values by {float(header['scl_slope']):g} and shifts them by"
            f" {float(header['scl_inter']):g}, which makes no sense; repair the header"
        ) from None
    return slope, intercept


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, i, j[, k])` to `.nii` or `.nii.gz`; slices become volumes of one voxel across.

    One channel, or three of uint8 (RGB). The sform is exact to float32; the qform is set where it says the
    same (it cannot hold shear). The same data gives the same bytes.
    """
    write_series(path, Outline.of(values, voxel_to_world), [values])


def write_series(path: Path, outline: Outline, volumes: Iterable[NDArray[Any]]) -> None:
    """Volumes `(channels, i, j[, k])` one behind the other, with the step between them."""
    degrees = shear_degrees(outline.voxel_to_world)
    if degrees > SHEAR_DEGREES:
        _log.warning(
            "%s: its axes are %.3g degrees off right angles, which ITK's programs refuse in NIfTI;"
            " for them write .nrrd or .mha",
            "".join(path.suffixes[-2:]),
            degrees,
        )
    packed = "all" if path.name.lower().endswith(".gz") else ""
    write_pieces(path, _new_header(outline.in_space()), volumes, packed=packed)


def _pair(path: Path) -> tuple[Path, Path | None]:
    """Where the header is, and the values, which a name in `.hdr` or `.img` says are apart from it."""
    name = path.name
    for ending, other in ((".hdr", ".img"), (".img", ".hdr")):
        for pack in ("", ".gz"):
            if name.lower().endswith(ending + pack):
                stem = name[: len(name) - len(ending + pack)]
                found = [path.with_name(stem + other + p) for p in (pack, "", ".gz")]
                partner = next((p for p in found if p.exists()), None)
                if partner is None:
                    raise ReadError(f"{path} is half of a pair, and {stem}{other} is not beside it")
                return (path, partner) if ending == ".hdr" else (partner, path)
    return path, None


def _header(stream: Stream) -> tuple[_Header, bool]:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    head = stream.read(348)
    magic = head[344:348], head[4:8]
    kind: _Header = None
    if magic[0] in (b"n+1\0", b"ni1\0"):
        kind = Nifti1Header
    elif magic[1] in (b"n+2\0", b"ni2\0"):
        kind, head = Nifti2Header, head + stream.read(192)
    if kind is None or len(head) < kind.sizeof_hdr:
        fault = f"ends after {len(head)} bytes" if len(head) < 348 else "has no NIfTI header"
        if len(head) == 348 and 348 in (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")):
            fault = "is of Analyze 7.5, which does not say left from right"
        raise ReadError(
            f"expected a NIfTI file, and {stream.path} {fault}; is it of another format, renamed?"
        )
    try:
        return kind(head, check=False), magic[0 if kind is Nifti1Header else 1][1:2] == b"i"
    except Exception as error:  # nibabel has many ways to say that a header makes no sense
        raise ReadError(f"{stream.path}: its NIfTI header makes no sense ({error})") from None


def axes_of(shape: list[int], intent: int, is_colour: bool, name: str) -> tuple[str, tuple[int, ...], str]:
    """Which axis is which, their sizes, and what lies in them where that is no image.

    `is_colour` is whether three values of this type may be one; raises `ReadError` for more than one further axis.
    """
    if len(shape) == 1:
        raise ReadError(f"expected a slice or a volume, and {name} has one axis, of {shape[0]} voxels")
    shape = shape + [1] * (3 - len(shape))
    more = [n for n in shape[3:] if n > 1]
    if not more:
        return "ijk", tuple(shape[:3]), ""
    if len(more) > 1:
        size = "x".join(map(str, shape))
        raise ReadError(f"expected one volume or a series, and {name} has axes of {size}; give a part of it")
    sizes = (*shape[:3], more[0])
    # Vectors are what lies along the fifth axis, unless FSL wrote them.
    fifth = shape[3] == 1 and len(shape) > 4 and shape[4] > 1
    if fifth and (intent in (_DISPLACEMENTS, _VECTORS) or (intent == 0 and more[0] in (2, 3))):
        colour = intent == _VECTORS and more[0] == 3 and is_colour
        return "ijkc", sizes, "" if colour else "a displacement field"
    if not fifth and more[0] == 3 and intent in _FSL:
        return "ijkc", sizes, "a displacement field of FSL"
    return "ijkt", sizes, ""


def _axes(header: _Header, path: Path) -> tuple[str, tuple[int, ...], str]:
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or min(dim[1 : dim[0] + 1]) < 1:
        raise ReadError(
            f"{path}: expected 1 to 7 axes of at least one voxel, its header says {dim[: dim[0] + 1]}"
        )
    is_colour = int(header["datatype"]) in (2, 512)  # uint8 and uint16
    return axes_of(dim[1 : dim[0] + 1], int(header["intent_code"]), is_colour, str(path))


def _dtype(header: _Header, path: Path) -> tuple[np.dtype[Any], int]:
    try:
        dtype = header.get_data_dtype()
    except Exception:  # a KeyError or nibabel's own, by the kind of nonsense
        raise ReadError(f"{path}: unknown type of values (NIfTI code {int(header['datatype'])})") from None
    if dtype.names is not None:
        return np.dtype(np.uint8), len(dtype.names)
    if dtype.kind not in "iufb" or dtype.itemsize > 8:
        raise ReadError(f"expected real values of up to 8 bytes, and {path} holds {dtype.name}")
    return dtype, 1


def _start(header: _Header, path: Path, is_pair: bool) -> int:
    start = float(header["vox_offset"])
    if not np.isfinite(start) or start < 0:
        raise ReadError(f"{path}: its header says that the values start at byte {start:g}")
    if is_pair:
        return int(start)
    size = int(header.sizeof_hdr)
    return max(int(start), size + 4 if start == 0 else size)


def _step(header: _Header) -> float:
    # The shortest number that float32 has in this place: 1.7 and not 1.7000000476837158.
    step = float(str(header["pixdim"][4]))
    return step if np.isfinite(step) and step > 0 else 0.0


def _place(header: _Header) -> tuple[NDArray[np.float64], tuple[tuple[int, str], ...], dict[str, Any]]:
    """Voxel to world, `(4, 4)`, in mm; what is to be said of it; and both forms in mm, for the header."""
    spatial = [max(1, int(n)) for n in header["dim"][1:4]]
    units, scale = _LENGTHS.get(int(header["xyzt_units"]) & 7, ("", 1.0))
    said: list[tuple[int, str]] = []
    codes = {name: int(header[name + "_code"]) for name in ("qform", "sform")}
    with np.errstate(all="ignore"):
        try:
            qform = _scaled(header.get_qform(), scale) if codes["qform"] > 0 else None
        except Exception:  # a quaternion that is none
            qform = None
            said.append((logging.INFO, "its qform makes no sense (it holds no rotation)"))
        sform = _scaled(header.get_sform(), scale) if codes["sform"] > 0 else None
        apart, best = None, sform if sform is not None else qform
        if sform is not None and qform is not None:
            apart = _apart_mm(sform, qform, spatial)
            if not abs(np.linalg.det(sform[:3, :3])) > 0:
                said.append((logging.WARNING, "its sform is singular; its qform is used"))
                best = qform
            elif apart > _DIFFER_MM:
                said.append((logging.WARNING, f"sform and qform differ by {apart:.3g} mm; the sform is used"))
        if best is None:
            said.append(
                (logging.WARNING, "its header does not say where it lies; it is taken to lie along the axes")
            )
            best = _scaled(header.get_base_affine(), scale)
    if scale != 1.0:
        said.append((logging.INFO, f"its header is in {units}; taken to mm"))
    facts = {
        "units": units,
        "qform": qform,
        "qform_code": codes["qform"],
        "sform": sform,
        "sform_code": codes["sform"],
        "forms_apart_mm": apart,
    }
    return best, tuple(said), facts


def _scaled(matrix: Any, scale: float) -> NDArray[np.float64]:
    scaled = np.array(matrix, np.float64)
    scaled[:3] *= scale
    return scaled


def _apart_mm(a: NDArray[np.float64], b: NDArray[np.float64], shape: Iterable[int]) -> float:
    corners = np.array([(*c, 1.0) for c in product(*((0.0, n - 1.0) for n in shape))])
    return float(np.linalg.norm(corners @ (a - b).T[:, :3], axis=1).max())


def _new_header(outline: Outline) -> bytes:
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    matrix, series = outline.voxel_to_world, outline.volumes > 1
    shape = (*outline.shape, outline.volumes) if series else outline.shape
    kind: _Header = Nifti1Header if max(shape) < 1 << 15 else Nifti2Header
    header = kind()
    if outline.channels == 3 and outline.dtype == np.uint8:
        header.set_data_dtype(np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif outline.channels == 1:
        outline.check_type("NIfTI", HOLDS, True)
        header.set_data_dtype(outline.dtype)
    else:
        raise WriteError(
            f"NIfTI holds one channel, or three of uint8; got {outline.channels} of {outline.dtype.name}"
        )
    header.set_data_shape(shape)
    header.set_zooms((*np.linalg.norm(matrix[:3, :3], axis=0), *([outline.step] if series else [])))
    header.set_xyzt_units("mm")
    code = next((code for code, unit in _STEPS.items() if unit == outline.step_unit), 0)
    header["xyzt_units"] = 2 | (code if series else 0)
    header.set_qform(matrix, 1)
    # A qform cannot hold shear, and near half turns float32 makes it inexact: then it is better not given.
    if _apart_mm(header.get_qform(), matrix, outline.shape) > 1e-3:
        header["qform_code"] = 0
    header.set_sform(matrix, 1)
    header["vox_offset"] = int(header.sizeof_hdr) + 4
    return bytes(header.binaryblock) + b"\0\0\0\0"
