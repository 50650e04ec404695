"""GIFTI surfaces, `.gii`: the array of points is replaced, all else stays byte for byte.

The numbers are RAS+ mm of the scanner, except in surfaces of FreeSurfer, which count from the middle of their volume
(its "surface RAS", or tkr) and say in their meta data (`VolGeom...`) where that volume lies. They are turned here, and
turned back for writing, so that a reader which knows the one frame or the other finds them at the right place. An array
whose `DataSpace` is `NIFTI_XFORM_SCANNER_ANAT` is in the scanner's frame whatever its meta data say.
"""

import logging
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found, packed
from inforeg.io.point_formats.numbers import cast, count, finite, lines, parse_all, promised
from inforeg.io.point_formats.xml_places import Element, elements, spliced

_log = logging.getLogger("inforeg")

_SCANNER = "NIFTI_XFORM_SCANNER_ANAT"
_TYPES = {"NIFTI_TYPE_FLOAT32": "f4", "NIFTI_TYPE_FLOAT64": "f8"}
# As the format writes them, and as an old library did.
_ENCODINGS = {
    **dict.fromkeys(("ASCII", "GIFTI_ENCODING_ASCII"), "ascii"),
    **dict.fromkeys(("Base64Binary", "GIFTI_ENCODING_B64BIN"), "base64"),
    **dict.fromkeys(("GZipBase64Binary", "GIFTI_ENCODING_B64GZ"), "zipped"),
}
_LITTLE = ("LittleEndian", "GIFTI_ENDIAN_LITTLE")
_ORDERS: dict[str, Literal["C", "F"]] = {"RowMajorOrder": "C", "ColumnMajorOrder": "F"}
# The axes of the volume in surface RAS, whatever they are in the scanner.
_SURFACE_AXES = np.array([[-1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True, eq=False)
class _Surface:
    data: bytes
    place: tuple[int, int]
    encoding: str
    dtype: np.dtype[Any]
    order: Literal["C", "F"]
    to_scanner: NDArray[np.float64] | None


def read(data: bytes, name: str) -> Found:
    """Points `(n, 3)`; raises `ReadError` for a file without points, or with its data in another file."""
    root = elements(data, name, silent=("Data",))
    arrays = [
        array
        for array in root.below("DataArray")
        if array.attributes.get("Intent") == "NIFTI_INTENT_POINTSET"
    ]
    if root.name != "GIFTI" or len(arrays) != 1:
        raise ReadError(
            f"expected GIFTI with one array of points in {name}, got {len(arrays)} in {root.name[:40]!r}"
        )
    array = arrays[0]
    word = array.attributes.get("Encoding", "")
    encoding = _ENCODINGS.get(word)
    if encoding is None:
        raise ReadError(
            f"{name}: expected data as ASCII, Base64Binary or GZipBase64Binary, got {word[:40]!r}"
        )
    kind = array.attributes.get("DataType", "")
    if kind not in _TYPES:
        raise ReadError(f"{name}: expected points of type {' or '.join(_TYPES)}, got {kind[:40]!r}")
    order = _ORDERS.get(array.attributes.get("ArrayIndexingOrder", ""))
    if order is None:
        raise ReadError(f"{name}: expected points in {' or '.join(_ORDERS)}")
    if encoding == "ascii" and order == "F":
        raise ReadError(f"{name}: text in ColumnMajorOrder is read in two ways; write it in Base64Binary")
    dtype = np.dtype(("<" if array.attributes.get("Endian") in _LITTLE else ">") + _TYPES[kind])
    rows, width = (count(array.attributes.get(dim, "").encode(), "points", name) for dim in ("Dim0", "Dim1"))
    held = array.below("Data")
    if width != 3 or len(held) != 1 or held[0].children:
        raise ReadError(f"{name}: expected three coordinates a point, got {width}")
    text = data[slice(*held[0].content)]
    stored = _decoded(text, encoding, dtype, 3 * rows, name).reshape((rows, 3), order=order)
    to_scanner = _to_scanner(array, name)
    numbers = finite(stored, name)
    if to_scanner is not None:
        _log.warning(
            "%s: taken from FreeSurfer's surface frame to the scanner's by the volume it names", name
        )
        numbers = numbers @ to_scanner[:3, :3].T + to_scanner[:3, 3]
    others = {a.attributes.get("Intent", "") for a in root.below("DataArray")} - {"NIFTI_INTENT_POINTSET"}
    stale = "vectors" if "NIFTI_INTENT_VECTOR" in others else ""
    kept = _Surface(data, held[0].content, encoding, dtype, order, to_scanner)
    return Found(numbers, "ras", kept, "triangles and meta data", stale)


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The surface with its points elsewhere, in the frame, type and encoding they had."""
    surface: _Surface = kept
    if surface.to_scanner is not None:
        back = np.linalg.inv(surface.to_scanner)
        numbers = numbers @ back[:3, :3].T + back[:3, 3]
    values = cast(numbers, surface.dtype)
    if surface.encoding == "ascii":
        text = b"\n" + lines(values.astype(surface.dtype.newbyteorder("="))).encode("ascii")
    else:
        content = values.tobytes(order=surface.order)
        text = packed.to_base64(packed.zipped(content) if surface.encoding == "zipped" else content)
    return spliced(surface.data, [(surface.place, text)])


def _decoded(text: bytes, encoding: str, dtype: np.dtype[Any], values: int, name: str) -> NDArray[Any]:
    size = values * dtype.itemsize
    if encoding == "ascii":
        promised(max(0, 2 * values - 1), len(text), f"{values} numbers", name)
        words = text.split()
        if len(words) != values:
            raise ReadError(f"{name}: expected {values} numbers, got {len(words)}")
        return parse_all(words, name)
    content = packed.from_base64(text, name)
    if encoding == "zipped":
        content = packed.unzip(content, size, name)
    if len(content) != size:
        raise ReadError(f"{name}: expected {values} numbers ({size} bytes), got {len(content)} bytes")
    return np.frombuffer(content, dtype)


def _to_scanner(array: Element, name: str) -> NDArray[np.float64] | None:
    """What takes surface RAS to the scanner, `(4, 4)`, or nothing where the points are in the scanner's frame."""
    spaces = {space.text.strip() for space in array.below("CoordinateSystemTransformMatrix", "DataSpace")}
    pairs = ((pair.below("Name"), pair.below("Value")) for pair in array.below("MetaData", "MD"))
    meta = {names[0].text.strip(): values[0].text.strip() for names, values in pairs if names and values}
    centre = _floats(meta, [f"VolGeomC_{axis}" for axis in "RAS"], name)
    # smriprep and Workbench move the points to the scanner and leave a centre of 0, or none.
    if centre is None or not centre.any() or spaces == {_SCANNER}:
        return None
    if _SCANNER in spaces:
        raise ReadError(f"{name}: expected one DataSpace of its points, got {_SCANNER} and others")
    axes = _floats(meta, [f"VolGeom{column}_{row}" for row in "RAS" for column in "XYZ"], name)
    result = np.eye(4)
    result[:3, 3] = centre
    if axes is not None:
        # Both frames count voxels of one size from the middle of the volume, so shape and spacing drop out.
        result[:3, :3] = axes.reshape(3, 3) @ np.linalg.inv(_SURFACE_AXES)
    if not abs(np.linalg.det(result)) > 1e-6 or not np.isfinite(result).all():
        raise ReadError(
            f"{name}: the axes of the volume in its meta data (VolGeomX_R and so on) are singular"
        )
    return result


def _floats(meta: dict[str, str], names: list[str], name: str) -> NDArray[np.float64] | None:
    if not all(key in meta for key in names):
        return None
    return parse_all([meta[key].encode() for key in names], name)
