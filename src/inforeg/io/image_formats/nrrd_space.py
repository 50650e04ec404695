"""Where a NRRD file puts its values: which axis is which, and the matrix from voxels to the world."""

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.image_formats.text_header import mm_per, numbers, shown, wholes

# The sign of each world axis on the way to RAS+. Any other space is taken as LPS, as ITK takes it.
_SIGNS = {"right-anterior-superior": (1.0, 1.0), "left-anterior-superior": (-1.0, 1.0)}
_LPS = "left-posterior-superior"
_SHORT = {"ras": "right-anterior-superior", "las": "left-anterior-superior", "lps": _LPS}
_DIMENSIONS = {
    "scanner-xyz": 3,
    "3d-right-handed": 3,
    "3d-left-handed": 3,
    **dict.fromkeys([*_SIGNS, _LPS], 3),
}
_SECONDS = {"s": "s", "sec": "s", "seconds": "s", "ms": "ms", "msec": "ms", "us": "us", "usec": "us"}


@dataclass
class Axis:
    """One axis of the file: its size, kind, direction in the world, and its role (i, j, k, c, t, or none)."""

    size: int
    kind: str
    vector: NDArray[np.float64] | None = None
    unit: str = ""
    role: str = ""


@dataclass
class Placed:
    """The axes that matter with their roles, voxel to world in RAS+ mm, the step, and what is to be said."""

    axes: list[Axis]
    matrix: NDArray[np.float64]
    step: float = 0.0
    step_unit: str = ""
    units: str = ""
    said: list[tuple[int, str]] = field(default_factory=list)


def placed(fields: dict[str, str], sizes: tuple[int, ...], path: Path) -> Placed:
    """What the fields come to; raises `ReadError` where they make no sense together, or are not read."""
    space, dimension = _space(fields, path)
    axes = _axes(fields, sizes, dimension, path)
    spatial = [axis for axis in axes if axis.role in "ijk"]
    if "spacedirections" in fields:
        matrix, step = _directed(fields, axes, dimension, path)
        if len(spatial) < matrix.shape[0] - 1:
            axes.append(Axis(1, "domain", role="k"))
    else:
        matrix, step = _spaced(fields, axes, sizes, path)
    d = matrix.shape[0] - 1
    result = Placed([axis for axis in axes if axis.role], matrix, step)
    result.units, scale = _lengths(fields, spatial, d)
    matrix[:d] *= scale[:, None]
    matrix[:2] *= np.array(_SIGNS.get(space, (-1.0, -1.0)))[:, None]
    if step:
        result.step_unit = _step_unit(fields, axes)
    if any(s != 1.0 for s in scale):
        result.said.append((logging.INFO, f"its header is in {result.units}; taken to mm"))
    if "spacedirections" not in fields and "spaceorigin" not in fields and "axismins" not in fields:
        result.said.append(
            (
                logging.WARNING,
                "its header does not say where it lies; it is taken to lie along the axes, as ITK does",
            )
        )
    elif d == 3 and space != _LPS and space not in _SIGNS and not (dimension == 4 and not space):
        named = f"its space ({space})" if space else "its header"
        result.said.append(
            (logging.WARNING, f"{named} does not say left from right; it is taken as LPS, as ITK takes it")
        )
    return result


def _space(fields: dict[str, str], path: Path) -> tuple[str, int]:
    """The name of the space in full without its time, and how many numbers a vector in it has (0: no space)."""
    name = fields.get("space", "").lower()
    timed = name.endswith("-time") or name in ("rast", "last", "lpst")
    name = name.removesuffix("-time")
    name = _SHORT.get(name[:3] if timed else name, name) if len(name) <= 4 else name
    if name and name not in _DIMENSIONS:
        raise ReadError(f"{path}: its header names a space that is not known: {shown(fields['space'])}")
    if name:
        return name, _DIMENSIONS[name] + timed
    return "", wholes(fields["spacedimension"], path, "space dimension")[
        0
    ] if "spacedimension" in fields else 0


def _axes(fields: dict[str, str], sizes: tuple[int, ...], dimension: int, path: Path) -> list[Axis]:
    kinds = fields.get("kinds", " ".join(["???"] * len(sizes))).lower().split()
    units = re.findall(r'"([^"]*)"', fields.get("units", ""))
    vectors: list[NDArray[np.float64] | None] = [None] * len(sizes)
    if "spacedirections" in fields:
        words = re.findall(r"none|\([^()]*\)", fields["spacedirections"].lower())
        vectors = [None if word == "none" else _vector(word, dimension, path) for word in words]
    if len(kinds) != len(sizes) or len(vectors) != len(sizes):
        raise ReadError(
            f"{path}: expected {len(sizes)} kinds and space directions, its header gives"
            f" {len(kinds)} and {len(vectors)}"
        )
    units += [""] * (len(sizes) - len(units))
    axes = [Axis(*each) for each in zip(sizes, kinds, vectors, units, strict=False)]
    free = list("ijkt")
    for axis in axes:
        role = _role(axis, "spacedirections" in fields)
        if role == "space":
            role = free.pop(0) if free else "x"
        # An axis of one value is none.
        axis.role = "" if role in "ctx" and axis.size == 1 else role
    roles = "".join(axis.role for axis in axes)
    if "j" not in roles or "x" in roles or any(roles.count(role) > 1 for role in roles):
        raise ReadError(
            f"expected a slice, a volume or a series, and {path} has axes of {shown(' '.join(kinds))}"
            f" with sizes {'x'.join(map(str, sizes))}"
        )
    if any(axis.kind == "complex" for axis in axes):
        raise ReadError(f"expected real values, and {path} holds complex ones")
    return axes


def _role(axis: Axis, directed: bool) -> str:
    if axis.kind in ("domain", "space"):
        return "space"
    if axis.kind in ("list", "time"):
        return "t"
    if axis.kind in ("???", "none"):
        return "space" if axis.vector is not None or not directed else "t"
    return "c"


def _vector(words: str, dimension: int, path: Path) -> NDArray[np.float64] | None:
    vector = numbers(words.strip("()").replace(",", " "), path, "a direction in space")
    if len(vector) != dimension or dimension not in (2, 3, 4):
        raise ReadError(
            f"{path}: its space has {dimension} dimensions, and it gives the vector {shown(words)}"
        )
    return None if np.isnan(vector).all() else np.array(vector)


def _directed(
    fields: dict[str, str], axes: list[Axis], dimension: int, path: Path
) -> tuple[NDArray[np.float64], float]:
    """Voxel to world in the file's own space and unit, and the step, from directions."""
    d, step = min(dimension, 3), 0.0
    columns = []
    for axis in axes:
        along_time = axis.vector is not None and dimension == 4 and axis.vector[3] != 0
        if axis.role in ("i", "j", "k"):
            if axis.vector is None or along_time:
                raise ReadError(f"{path}: one of its axes in space has no direction in space")
            columns.append(axis.vector[:d])
        elif axis.vector is not None:
            if axis.vector[:d].any():
                raise ReadError(
                    f"{path}: an axis that is none of space has a direction in space, which is not read"
                )
            step = abs(float(axis.vector[-1])) if along_time and np.isfinite(axis.vector[-1]) else 0.0
    if len(columns) == 2 and d == 3:
        with np.errstate(all="ignore"):
            normal = np.cross(columns[0], columns[1])
            columns.append(normal / np.linalg.norm(normal))
    if len(columns) != d:
        raise ReadError(f"{path}: it has {len(columns)} axes in a space of {dimension} dimensions")
    matrix = np.eye(d + 1)
    matrix[:d, :d] = np.stack(columns, axis=1)
    if "spaceorigin" in fields:
        origin = _vector(fields["spaceorigin"], dimension, path)
        matrix[:d, d] = 0.0 if origin is None else origin[:d]
    return matrix, step or _listed_step(fields, axes, path)


def _spaced(
    fields: dict[str, str], axes: list[Axis], sizes: tuple[int, ...], path: Path
) -> tuple[NDArray[np.float64], float]:
    """Voxel to world along the axes, and the step, from distances and where the axes begin."""
    spacings, low, high = (
        _listed(fields, name, len(sizes), path) for name in ("spacings", "axismins", "axismaxs")
    )
    centres = fields.get("centers", "").lower().split() or ["cell"] * len(sizes)
    spatial = [n for n, axis in enumerate(axes) if axis.role in ("i", "j", "k")]
    d = len(spatial)
    matrix = np.eye(d + 1)
    known = True
    for row, n in enumerate(spatial):
        node = n < len(centres) and centres[n] == "node"
        spacing = spacings[n]
        if np.isnan(spacing):
            spacing = (high[n] - low[n]) / max(1, sizes[n] - node)
        known = known and not np.isnan(low[n]) and not np.isnan(spacing)
        matrix[row, row] = 1.0 if np.isnan(spacing) else spacing
        # The first value of a cell lies in its middle.
        matrix[row, d] = low[n] + (0.0 if node else spacing / 2)
    if not known:
        matrix[:d, d] = 0.0
    if "spaceorigin" in fields:
        origin = _vector(fields["spaceorigin"], d, path)
        matrix[:d, d] = 0.0 if origin is None else origin
    return matrix, _listed_step(fields, axes, path)


def _listed(fields: dict[str, str], name: str, count: int, path: Path) -> tuple[float, ...]:
    """One number per axis, NaN where there is none."""
    if name not in fields:
        return (float("nan"),) * count
    found = numbers(fields[name], path, name)
    if len(found) != count:
        raise ReadError(f"{path}: expected {count} numbers for {name}, its header says {shown(fields[name])}")
    return found


def _listed_step(fields: dict[str, str], axes: list[Axis], path: Path) -> float:
    steps = _listed(fields, "spacings", len(axes), path)
    found = [
        abs(step) for step, axis in zip(steps, axes, strict=False) if axis.role == "t" and np.isfinite(step)
    ]
    return found[0] if found else 0.0


def _lengths(fields: dict[str, str], spatial: list[Axis], d: int) -> tuple[str, NDArray[np.float64]]:
    """The unit of length as the header names it, and mm per unit along each world axis."""
    named = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))[:d]
    if not named and "spacedirections" not in fields:
        named = [axis.unit for axis in spatial]
    scale = [mm_per(name) or 1.0 for name in named]
    scale += [1.0] * (d - len(scale))
    return ", ".join(dict.fromkeys(name for name in named if name)), np.array(scale[:d])


def _step_unit(fields: dict[str, str], axes: list[Axis]) -> str:
    named = re.findall(r'"([^"]*)"', fields.get("spaceunits", ""))
    unit = next((axis.unit for axis in axes if axis.role == "t"), "") or (named[3] if len(named) > 3 else "")
    return _SECONDS.get(unit.lower(), unit)
