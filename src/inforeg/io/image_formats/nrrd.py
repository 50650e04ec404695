"""NRRD files, `.nrrd` and `.nhdr` with its values beside it, by the definition of the format (versions 1 to 5).

The spaces RAS, LAS and LPS (with time or without) are turned to RAS+; any other, or none, is taken as LPS, as ITK
takes it. Space directions are kept as they are, with shear. An axis of kind vector, colour and the like becomes
channels; one of kind list or time, or the fourth of a 4-D image, becomes volumes.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.image_formats.layout import Layout
from inforeg.io.image_formats.nrrd_space import placed
from inforeg.io.image_formats.outline import Outline, write_pieces
from inforeg.io.image_formats.text_header import beside, head_of, shown, text, wholes
from inforeg.io.lps import flip_world

_TYPES = {
    "int8": ("signed char", "int8", "int8_t"),
    "uint8": ("unsigned char", "uchar", "uint8", "uint8_t"),
    "int16": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "uint16": ("unsigned short", "ushort", "unsigned short int", "uint16", "uint16_t"),
    "int32": ("int", "signed int", "int32", "int32_t"),
    "uint32": ("unsigned int", "uint", "uint32", "uint32_t"),
    "int64": (
        "long long int",
        "longlong",
        "long long",
        "signed long long",
        "signed long long int",
        "int64",
        "int64_t",
    ),
    "uint64": (
        "unsigned long long int",
        "ulonglong",
        "unsigned long long",
        "uint64",
        "uint64_t",
    ),
    "float32": ("float",),
    "float64": ("double",),
}
HOLDS = tuple(_TYPES)
_ENCODINGS = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "ascii": "ascii",
    "text": "ascii",
    "txt": "ascii",
}
# Fields may be spelled with or without their spaces; these have two names.
_SYNONYMS = {"centerings": "centers"}


def layout(path: Path) -> Layout:
    """What the header says. Raises `ReadError` for a file that is missing, damaged, or of another format."""
    fields, start = _fields(path)
    for name in ("type", "dimension", "sizes", "encoding"):
        if name not in fields:
            raise ReadError(f"{path}: its header does not say its {name}")
    ndim = wholes(fields["dimension"], path, "dimension")[0]
    sizes = wholes(fields["sizes"], path, "sizes")
    if len(sizes) != ndim or min(sizes) < 1 or ndim > 16:
        raise ReadError(
            f"{path}: expected {ndim} sizes of at least one, its header says {shown(fields['sizes'])}"
        )
    encoding = _ENCODINGS.get(fields["encoding"].lower())
    if encoding is None:
        raise ReadError(
            f"{path}: its encoding is {shown(fields['encoding'])}; raw, gzip, bzip2 and ascii are read"
        )
    place = placed(fields, sizes, path)
    lines, skip = (wholes(fields.get(name, "0"), path, name)[0] for name in ("lineskip", "byteskip"))
    if lines < 0 or skip < -1 or (skip == -1 and encoding != "raw"):
        raise ReadError(f"{path}: its header says to skip {lines} lines and {skip} bytes")
    return Layout(
        path,
        "NRRD",
        _dtype(fields, path, encoding),
        "".join(axis.role for axis in place.axes),
        tuple(axis.size for axis in place.axes),
        place.matrix,
        data=beside(path, fields["datafile"]) if "datafile" in fields else None,
        encoding=encoding,
        skip_lines=lines,
        skip_bytes=0 if "datafile" in fields else start,
        at_the_end=skip == -1,
        offset=max(0, skip),
        step=place.step,
        step_unit=place.step_unit if place.step else "",
        transparency=any(axis.kind == "rgba-color" and axis.size == 4 for axis in place.axes),
        said=tuple(place.said),
        facts={"units": place.units},
    )


def write(path: Path, values: NDArray[Any], voxel_to_world: NDArray[np.float64]) -> None:
    """Values `(channels, i, j[, k])` to `.nrrd`, packed with gzip, in LPS; the matrix is kept to the last digits."""
    write_series(path, Outline.of(values, voxel_to_world), [values])


def write_series(path: Path, outline: Outline, volumes: Iterable[NDArray[Any]]) -> None:
    """Volumes along a fourth axis of time, in the space left-posterior-superior-time, which ITK reads too."""
    outline.check_type("NRRD", HOLDS, True)
    series, has_channels = outline.volumes > 1, outline.channels > 1
    outline = outline.in_space() if series else outline
    d = len(outline.shape)
    lps = flip_world(outline.voxel_to_world)
    vectors = [_vector([*lps[:d, axis], *([0.0] if series else [])]) for axis in range(d)]
    sizes, kinds, units = list(outline.shape), ["domain"] * d, ['"mm"'] * d
    origin = [*lps[:d, d], *([0.0] if series else [])]
    if series:
        vectors.append(_vector([*(0.0 for _ in range(d)), outline.step or 1.0]))
        sizes, kinds, units = [*sizes, outline.volumes], [*kinds, "time"], [*units, f'"{outline.step_unit}"']
    if has_channels:
        colour = outline.channels == 3 and outline.dtype == np.uint8
        sizes, kinds = [outline.channels, *sizes], ["RGB-color" if colour else "vector", *kinds]
        vectors.insert(0, "none")
    space = "left-posterior-superior" + ("-time" if series else "")
    fields = {
        "type": _TYPES[outline.dtype.name][0],
        "dimension": str(len(sizes)),
        **({"space": space} if d == 3 else {"space dimension": "2"}),
        "sizes": " ".join(map(str, sizes)),
        "space directions": " ".join(vectors),
        "kinds": " ".join(kinds),
        **({"endian": "little"} if outline.dtype.itemsize > 1 else {}),
        "encoding": "gzip",
        **({"space units": " ".join(units)} if d == 3 else {}),
        "space origin": _vector(origin),
    }
    head = "NRRD0004\n" + "".join(f"{name}: {value}\n" for name, value in fields.items()) + "\n"
    write_pieces(path, head.encode("ascii"), volumes, packed="values")


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The header's fields, names in small letters without spaces, and where in the file it ends."""
    head = head_of(path)
    if not re.match(rb"NRRD000[1-9]\r?\n|NRRD00\.01\r?\n", head):
        raise ReadError(
            f"expected a NRRD file, and {path} has no NRRD header; is it of another format, renamed?"
        )
    fields: dict[str, str] = {}
    place = head.index(b"\n") + 1
    while place < len(head):
        end = head.find(b"\n", place)
        line = text(head[place : end if end >= 0 else len(head)])
        place = end + 1 if end >= 0 else len(head)
        if not line:
            return fields, place
        name, sign, value = line.partition(":")
        # Lines with := are for other programs.
        if line.startswith("#") or value.startswith("="):
            continue
        if not sign:
            raise ReadError(f"{path}: expected a field in its header, got {shown(line)}; is it damaged?")
        name = name.replace(" ", "").lower()
        fields.setdefault(_SYNONYMS.get(name, name), value.strip())
    if "datafile" not in fields:
        raise ReadError(f"{path} is cut short: it ends within its header")
    return fields, place


def _dtype(fields: dict[str, str], path: Path, encoding: str) -> np.dtype[Any]:
    said = " ".join(fields["type"].lower().split())
    name = next((name for name, names in _TYPES.items() if said in names), None)
    if name is None:
        raise ReadError(f"{path}: expected a type of whole or real numbers, its header says {shown(said)}")
    dtype = np.dtype(name)
    if dtype.itemsize == 1 or encoding == "ascii":
        return dtype
    order = fields.get("endian", "").lower()
    if order not in ("little", "big"):
        raise ReadError(f"{path}: its header does not say the order of bytes (endian: little or big)")
    return dtype.newbyteorder(">" if order == "big" else "<")


def _vector(values: Iterable[float]) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"
