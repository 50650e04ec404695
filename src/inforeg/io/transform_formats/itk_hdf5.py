"""ITK's and ANTs' composite files (`.h5`, `.hdf5`)."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.hdf5.reader import SIGNATURE, Node, read_hdf5
from inforeg.io.hdf5.writer import Tree, hdf5_pieces
from inforeg.io.streams import open_plain
from inforeg.io.transform_formats import Context, x5
from inforeg.io.transform_formats.itk_parts import Part, composite, parts_of, transform_of
from inforeg.transforms import Transform

# ITK wrote the names with a misspelling until 5.0.
_PARAMETERS = ("TransformParameters", "TranformParameters")
_FIXED = ("TransformFixedParameters", "TranformFixedParameters")


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is HDF5."""
    return head.startswith(SIGNATURE)


def read(path: Path, _context: Context) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm; of nitransforms' X5, too.

    Raises `ReadError` for a damaged file, for HDF5 of another kind, and for parts that are not read (see `itk_parts`).
    """
    with open_plain(path) as file:
        root = read_hdf5(file.read(), str(path))
    if x5.is_x5(root):
        return x5.from_root(root, path)
    if "TransformGroup" not in root:
        raise ReadError(f"expected a transform of ITK in {path}: it is HDF5 without a TransformGroup")
    group = root["TransformGroup"]
    names = set(group)
    if names != {str(n) for n in range(len(names))}:
        raise ReadError(f"{path}: expected transforms numbered from 0, got {', '.join(sorted(names))[:60]}")
    return transform_of([_part(group[str(n)]) for n in range(len(names))], path)


def write(transform: Transform, path: Path, context: Context) -> None:
    """A composite, of one part if it need be, as ANTs expects it; matrices about the context's centre."""
    group: dict[str, Tree] = {"0": {"TransformType": composite(transform.ndim)}}
    for number, part in enumerate(parts_of(transform, path, context), start=1):
        group[str(number)] = {
            "TransformType": part.name,
            _FIXED[0]: part.fixed,
            _PARAMETERS[0]: part.parameters,
        }
    with path.open("wb") as file:
        file.writelines(hdf5_pieces({"TransformGroup": group}))


def _part(node: Node) -> Part:
    name = node["TransformType"].text()
    if name.startswith("CompositeTransform"):
        return Part(name, np.empty(0), np.empty(0))
    return Part(name, _numbers(node, _FIXED), _numbers(node, _PARAMETERS))


def _numbers(node: Node, names: tuple[str, str]) -> NDArray[Any]:
    found = node[names[1] if names[1] in node else names[0]].numbers().reshape(-1)
    return found if found.dtype.kind == "f" else found.astype(np.float64)
