"""MetaImage files, `.mha` and `.mhd` with its values beside it, by the rules of ITK, whose format it is.

The world is LPS here, and turned to RAS+ on the way in and out. The rows of `TransformMatrix` are the directions of
the axes; they are multiplied by `ElementSpacing` and nothing else, so shear and length other than one are kept.
"""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.outline import Outline, write_pieces
from inforeg.io.image_formats.text_header import beside, head_of, mm_per, numbers, shown, text, wholes
from inforeg.io.lps import flip_world

_TYPES = {
    "MET_CHAR": "int8",
    "MET_UCHAR": "uint8",
    "MET_SHORT": "int16",
    "MET_USHORT": "uint16",
    "MET_INT": "int32",
    "MET_UINT": "uint32",
    "MET_LONG_LONG": "int64",
    "MET_ULONG_LONG": "uint64",
    "MET_FLOAT": "float32",
    "MET_DOUBLE": "float64",
    # Read only; in this format a long has four bytes on every machine.
    "MET_ASCII_CHAR": "int8",
    "MET_LONG": "int32",
    "MET_ULONG": "uint32",
}
_NAMES = {dtype: name for name, dtype in reversed(_TYPES.items())}
HOLDS = tuple(_NAMES)


def layout(path: Path) -> Layout:
    """What the header says; the fourth axis of a 4-D image is a series. Raises `ReadError` for a bad file."""
    fields, start = _fields(path)
    if "ndims" not in fields or "dimsize" not in fields or "elementtype" not in fields:
        raise ReadError(f"{path}: its header lacks NDims, DimSize or ElementType")
    ndim = wholes(fields["ndims"], path, "NDims")[0]
    sizes = wholes(fields["dimsize"], path, "DimSize")
    if ndim not in (2, 3, 4) or len(sizes) != ndim or min(sizes) < 1:
        raise ReadError(
            f"{path}: expected 2 to 4 axes of at least one voxel, its header says {shown(fields['dimsize'])}"
        )
    channels = wholes(fields.get("elementnumberofchannels", "1"), path, "ElementNumberOfChannels")[0]
    if channels < 1:
        raise ReadError(f"{path}: expected at least one channel, its header says {channels}")
    matrix, said, units = _place(fields, ndim, path)
    is_big = _yes(fields, "binarydatabyteordermsb") or _yes(fields, "elementbyteordermsb")
    data, skip, at_the_end = _where(fields, path, start)
    encoding = "zlib" if _yes(fields, "compresseddata") else "raw"
    if not _yes(fields, "binarydata", True):
        encoding = "ascii"
    if at_the_end and encoding != "raw":
        raise ReadError(f"{path}: its header says that values at the end of the file are not raw")
    return Layout(
        path,
        "MetaImage",
        _dtype(fields["elementtype"], path).newbyteorder(">" if is_big else "<"),
        "c" + "ijkt"[:ndim],
        (channels, *sizes),
        matrix,
        data=data,
        encoding=encoding,
        skip_bytes=skip,
        at_the_end=at_the_end,
        step=_step(fields, path) if ndim == 4 else 0.0,
        said=said,
        facts={"units": units},
    )


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, i, j[, k])` to `.mha`, uncompressed; the matrix is kept to the last digits, with shear."""
    write_series(path, Outline.of(values, voxel_to_world), [values])


def write_series(path: Path, outline: Outline, volumes: Iterable[NDArray[Any]]) -> None:
    """Volumes as a 4-D image, whose fourth spacing is the step; its unit is not held by the format."""
    outline.check_type("MetaImage", HOLDS, True)
    series = outline.volumes > 1
    outline = outline.in_space() if series else outline
    d = len(outline.shape)
    ndim = d + series
    lps = flip_world(outline.voxel_to_world)
    spacing = np.linalg.norm(lps[:d, :d], axis=0)
    rows = np.eye(ndim)
    rows[:d, :d] = (lps[:d, :d] / spacing).T
    more = [outline.step or 1.0] if series else []
    fields = {
        "ObjectType": "Image",
        "NDims": str(ndim),
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": _said(rows.reshape(-1)),
        "Offset": _said([*lps[:d, d], *(0.0 for _ in more)]),
        "CenterOfRotation": _said([0.0] * ndim),
        "ElementSpacing": _said([*spacing, *more]),
        "DimSize": " ".join(map(str, (*outline.shape, outline.volumes)[:ndim])),
    }
    if outline.channels > 1:
        fields["ElementNumberOfChannels"] = str(outline.channels)
    fields |= {"ElementType": _NAMES[outline.dtype.name], "ElementDataFile": "LOCAL"}
    head = "".join(f"{name} = {value}\n" for name, value in fields.items())
    write_pieces(path, head.encode("ascii"), volumes)


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields, names in small letters, and where in the file it ends."""
    head, place = head_of(path), 0
    fields: dict[str, str] = {}
    while place < len(head):
        end = head.find(b"\n", place)
        line = text(head[place : end if end >= 0 else len(head)])
        name, sign, value = line.partition("=")
        if line and not sign:
            break
        place = end + 1 if end >= 0 else len(head)
        if line:
            fields.setdefault(name.strip().lower(), value.strip())
        if name.strip().lower() == "elementdatafile":
            return fields, place
    kind = "ends within its header" if "ndims" in fields else "has no MetaImage header"
    raise ReadError(
        f"expected a MetaImage file, and {path} {kind} (no ElementDataFile); is it cut short or renamed?"
    )


def _yes(fields: dict[str, str], name: str, default: bool = False) -> bool:
    return fields[name][:1].lower() in ("t", "y", "1") if name in fields else default


def _dtype(name: str, path: Path) -> np.dtype[Any]:
    name = name.removesuffix("_ARRAY")
    if name not in _TYPES:
        raise ReadError(f"{path}: unknown type of values {shown(name)}; known are {', '.join(_TYPES)}")
    return np.dtype(_TYPES[name])


def _where(fields: dict[str, str], path: Path, start: int) -> tuple[Path | None, int, bool]:
    """The file with the values (None is this one), the bytes before them, and whether they are its last bytes."""
    name = fields["elementdatafile"]
    skip = wholes(fields.get("headersize", "0"), path, "HeaderSize")[0]
    if name.upper() == "LOCAL":
        return None, start, skip == -1
    if name.upper().split()[:1] == ["LIST"] or "%" in name:
        raise ReadError(
            f"{path} keeps its values in several files ({shown(name)}), which is not read; join them"
        )
    return beside(path, name), max(0, skip), skip == -1


def _place(
    fields: dict[str, str], ndim: int, path: Path
) -> tuple[NDArray[np.float64], tuple[tuple[int, str], ...], str]:
    """Voxel to world, `(d+1, d+1)` in RAS+ mm, what is to be said of it, and the unit the header names."""
    said: list[tuple[int, str]] = []
    rows = _row(fields, ("transformmatrix", "rotation", "orientation"), ndim * ndim, path)
    origin = _row(fields, ("offset", "position", "origin"), ndim, path)
    spacing = _row(fields, ("elementspacing", "elementsize"), ndim, path)
    if rows is None and origin is None and spacing is None:
        said.append(
            (
                logging.WARNING,
                "its header does not say where it lies; it is taken to lie along the axes, as ITK does",
            )
        )
    full = np.eye(ndim + 1)
    with np.errstate(all="ignore"):
        full[:ndim, :ndim] = np.eye(ndim) if rows is None else rows.reshape(ndim, ndim).T
        full[:ndim, :ndim] *= 1.0 if spacing is None else spacing
    full[:ndim, ndim] = 0.0 if origin is None else origin
    if ndim == 4:
        if full[3, :3].any() or full[:3, 3].any():
            raise ReadError(f"{path}: its fourth axis is turned into the other three, which is not read")
        full = full[np.ix_((0, 1, 2, 4), (0, 1, 2, 4))]
    units = fields.get("distanceunits", "")
    scale = mm_per(units)
    if scale is not None and scale != 1.0:
        full[:-1] *= scale
        said.append((logging.INFO, f"its header is in {units}; taken to mm"))
    return flip_world(full), tuple(said), units


def _row(fields: dict[str, str], names: Iterable[str], count: int, path: Path) -> NDArray[np.float64] | None:
    for name in names:
        if name in fields:
            row = numbers(fields[name], path, name)
            if len(row) != count:
                raise ReadError(
                    f"{path}: expected {count} numbers for {name}, its header says {shown(fields[name])}"
                )
            return np.array(row, np.float64)
    return None


def _step(fields: dict[str, str], path: Path) -> float:
    spacing = _row(fields, ("elementspacing", "elementsize"), 4, path)
    return 0.0 if spacing is None or not np.isfinite(spacing[3]) else abs(float(spacing[3]))


def _said(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)
