"""X5, the BIDS draft for transforms in HDF5, as nitransforms 25.1 writes and reads it (`.x5`).

Points and vectors are in RAS+ mm and go from fixed ("reference") to moving, as ours. Of a chain, the part that is
applied first is listed first. Between the voxels of a field nitransforms takes cubic splines, ITK and we take straight
lines: both agree at the voxel centres. Its B-splines reach two control points beyond their grid, and are read with
zeros around it; ITK's and ours end within it, so they are not written.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import InforegError, ReadError, WriteError
from inforeg.io.hdf5.reader import SIGNATURE, Node, Value, read_hdf5
from inforeg.io.hdf5.writer import Group, Tree, hdf5_pieces
from inforeg.io.streams import open_plain
from inforeg.io.transform_formats import Context
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform
from inforeg.transforms.linear import compose

# How far nitransforms' B-splines reach beyond their grid, and one more that a cubic needs to end there.
_MARGIN = 3

_LONGEST_CHAIN = 1000


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is HDF5."""
    return head.startswith(SIGNATURE)


def is_x5(root: Node) -> bool:
    """Whether an HDF5 file says that it is X5."""
    return _text(root.attributes.get("Format")) == "X5"


def read(path: Path, _context: Context) -> Transform:
    """The one transform of a file, or its one chain, fixed points to moving points in RAS+ mm.

    Raises `ReadError` for a damaged file, for several transforms that no chain joins, and for series.
    """
    with open_plain(path) as file:
        root = read_hdf5(file.read(), str(path))
    if not is_x5(root):
        raise ReadError(f"expected a transform of X5 in {path}: it is HDF5 without Format X5")
    return from_root(root, path)


def from_root(root: Node, path: Path) -> Transform:
    """The transform in an X5 file that is open."""
    group = root["TransformGroup"]
    chosen = list(group)
    if "TransformChain" in root:
        chains = root["TransformChain"]
        if len(list(chains)) != 1:
            raise ReadError(f"expected one chain of transforms in {path}, got {len(list(chains))}")
        chosen = chains[next(iter(chains))].text().split("/")
    elif len(chosen) != 1:
        raise ReadError(
            f"{path} holds {len(chosen)} transforms and no chain of them; save the one that is meant"
        )
    if len(chosen) > _LONGEST_CHAIN:
        raise ReadError(f"expected a chain of up to {_LONGEST_CHAIN} transforms in {path}, got {len(chosen)}")
    try:
        # What is twice in a chain is once in the file.
        parts = {name: _one(group[name], path) for name in dict.fromkeys(chosen)}
        return compose([parts[name] for name in reversed(chosen)])
    except InforegError as error:
        said = str(error)
        raise ReadError(said if said.startswith(str(path)) else f"{path}: {said}") from None


def write(transform: Transform, path: Path, context: Context) -> None:
    """Matrices and displacement fields in 3-D, and chains of them; the fixed grid, if given, is what matrices refer to.

    Raises `WriteError` for anything else.
    """
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    group: dict[str, Group] = {}
    for number, part in enumerate(reversed(parts)):
        group[str(number)] = _node(part, path, context)
    tree: dict[str, Tree] = {"TransformGroup": group}
    if len(parts) > 1:
        tree["TransformChain"] = {"0": np.array("/".join(group).encode("ascii"))}
    version = np.array(1, np.uint16)
    with path.open("wb") as file:
        file.writelines(hdf5_pieces(Group(tree, {"Format": "X5", "Version": version})))


def _one(node: Node, path: Path) -> Transform:
    kind, how = _text(node.attributes.get("Type")), _text(node.attributes.get("Representation"))
    count = node.attributes.get("ArrayLength", np.ones(1))
    if isinstance(count, list) or count.size != 1 or count.reshape(-1)[0] != 1:
        raise ReadError(f"{path}{node.path} is a series of transforms; save the one that is meant")
    values = node["Transform"].numbers()
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if kind == "linear":
        return Linear(torch.from_numpy(values.astype(np.float64)))
    if kind == "nonlinear" and how == "coefficients":
        return _bspline(values, node["AdditionalParameters"].numbers())
    if kind == "nonlinear" and how in ("displacements", "deformations"):
        return _field(values, node["Domain"], how == "deformations")
    raise ReadError(
        f"expected a linear or nonlinear transform in {path}{node.path}, got {kind[:20]} {how[:20]}"
    )


def _field(values: NDArray[Any], domain: Node, positions: bool) -> Displacement:
    said = domain["Size"].numbers().reshape(-1)
    size = [int(n) for n in said] if said.dtype.kind in "iu" else []
    if list(values.shape) != [*size, len(size)]:
        raise ReadError(f"expected a field of {size} vectors, as its domain says, got {list(values.shape)}")
    grid = Grid(tuple(size), torch.from_numpy(domain["Mapping"].numbers().astype(np.float64)))
    vectors = torch.from_numpy(_components_first(values))
    if positions:
        there = grid.points_mm().T.reshape(vectors.shape)
        return Displacement(vectors.double() - there, grid)
    return Displacement(vectors, grid)


def _bspline(values: NDArray[Any], mapping: NDArray[Any]) -> BSpline:
    if values.ndim not in (3, 4) or values.shape[-1] != values.ndim - 1:
        raise ReadError(f"expected one vector for each control point, got {list(values.shape)} numbers")
    d = values.ndim - 1
    if mapping.shape != (d + 1, d + 1):
        raise ReadError(f"expected the matrix of a control grid in {d}-D, got {list(mapping.shape)} numbers")
    coefficients = _components_first(values).astype(np.float64, copy=False)
    padded = np.pad(coefficients, [(0, 0), *[(_MARGIN, _MARGIN)] * d])
    matrix = mapping.astype(np.float64)
    matrix[:d, d] -= _MARGIN * matrix[:d, :d].sum(axis=1)
    return BSpline(torch.from_numpy(padded), Grid(padded.shape[1:], torch.from_numpy(matrix)))


def _node(part: Transform, path: Path, context: Context) -> Group:
    if part.ndim != 3:
        raise WriteError(
            f"{path.suffix} is for 3-D and the transform is {part.ndim}-D; write .h5 or .tfm of ITK"
        )
    kinds = np.array([b"space"] * 3 + [b"vector"])
    one: dict[str, Any] = {"ArrayLength": np.array(1, np.int64)}
    if isinstance(part, Linear):
        if not part.is_affine:
            raise WriteError(
                f"nitransforms has no projective transform, so {path.suffix} holds none; write .json"
            )
        said = {"Type": "linear", "SubType": "affine", "Representation": "matrix", **one}
        tree: dict[str, Any] = {"Transform": part.matrix.detach().numpy(), "DimensionKinds": kinds}
        if context.fixed is not None and context.fixed.ndim == 3:
            tree["Domain"] = _domain(context.fixed)
        return Group(tree, said)
    if isinstance(part, Displacement):
        said = {"Type": "nonlinear", "SubType": "densefield", "Representation": "displacements", **one}
        vectors = part.vectors.detach().cpu().numpy()
        tree = {
            "Transform": np.moveaxis(vectors, 0, -1),
            "DimensionKinds": kinds,
            "Domain": _domain(part.grid),
        }
        return Group(tree, said)
    raise WriteError(
        f"{path.suffix} holds no {type(part).__name__}; make it a field first (Displacement.of, on a grid)"
    )


def _domain(grid: Grid) -> Group:
    tree: dict[str, Any] = {
        "Grid": np.array(1, np.uint8),
        "Size": np.array(grid.shape, np.int64),
        "Mapping": grid.voxel_to_world.numpy(),
    }
    return Group(tree, {"Coordinates": "cartesian"})


def _components_first(values: NDArray[Any]) -> NDArray[Any]:
    """`(i, j, k, d)` as `(d, i, j, k)`, a new array in this machine's byte order."""
    return np.array(np.moveaxis(values, -1, 0), values.dtype.newbyteorder("="), order="C")


def _text(value: Value | None) -> str:
    return value[0] if isinstance(value, list) and len(value) == 1 else ""
