"""Markups of 3D Slicer, `.mrk.json`: lists of control points, lines, angles and curves, in LPS or RAS.

A plane or a box also has a centre, a size and axes that its control points do not give; moving the points alone would
leave two answers in one file, so they are refused.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.point_formats import Found
from inforeg.io.point_formats.own import dump, excerpt, load, vector

_MOVED = ("Fiducial", "Line", "Angle", "Curve", "ClosedCurve")
# What Slicer writes for a point that has no direction of its own.
_UNTURNED = (None, [-1, 0, 0, 0, -1, 0, 0, 0, 1], [1, 0, 0, 0, 1, 0, 0, 0, 1])
_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.0.json#"
)


def recognises(data: bytes) -> bool:
    """By the key all markups files have."""
    return b'"markups"' in data


def read(data: bytes, name: str) -> Found:
    """The control points of all markups, `(n, 3)`; those that were never placed are passed over.

    Raises `ReadError` for planes and boxes, units other than mm, and markups of different frames in one file.
    """
    document = load(data, name)
    markups = document.get("markups") if isinstance(document, dict) else None
    if not isinstance(markups, list) or not all(isinstance(markup, dict) for markup in markups):
        raise ReadError(f"expected Slicer's markups in {name}, a list under the key markups")
    spaces = {_space(markup, name) for markup in markups}
    if len(spaces) > 1:
        raise ReadError(f"{name} holds markups in LPS and in others; write each into a file of its own")
    for markup in markups:
        if not isinstance(markup.get("controlPoints", []), list):
            raise ReadError(f"{name}: expected a list of controlPoints")
    numbers = [
        vector(point.get("position"), n, name) for n, point in enumerate(_points(markups, name), start=1)
    ]
    wrong = next((n for n, position in enumerate(numbers, start=1) if len(position) != 3), None)
    if wrong is not None:
        raise ReadError(f"{name}: expected three coordinates of point {wrong}, got {len(numbers[wrong - 1])}")
    stale = [what for what in ("measurements",) if any(markup.get(what) for markup in markups)]
    turned = (point.get("orientation") for point in _points(markups, name))
    stale += ["orientations"] if any(axes not in _UNTURNED for axes in turned) else []
    return Found(
        np.array(numbers, dtype=np.float64).reshape(-1, 3),
        spaces.pop() if spaces else None,
        document,
        "labels, orientations and display of markups",
        " and ".join(stale),
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The markups with their control points elsewhere, or a new list of points.

    Orientations stay in the world as they were: where the frame changes, so do their numbers.
    """
    rows = numbers.tolist()
    if kept is None:
        points = [{"id": str(n), "label": f"F-{n}", "position": row} for n, row in enumerate(rows, start=1)]
        markup = {"type": "Fiducial", "coordinateSystem": (label or "").upper(), "coordinateUnits": "mm"}
        document: Any = {"@schema": _SCHEMA, "markups": [{**markup, "controlPoints": points}]}
    else:
        document = {**kept, "markups": [_copy(markup) for markup in kept["markups"]]}
        for point, row in zip(_points(document["markups"], ""), rows, strict=True):
            point["position"] = row
        if label is not None:
            for markup in document["markups"]:
                _turn(markup, label.upper())
    return dump(document, indent=1).encode("ascii") + b"\n"


def _copy(markup: dict[str, Any]) -> dict[str, Any]:
    """A markup whose control points can be changed without changing those of the other."""
    return {**markup, "controlPoints": [{**point} for point in markup.get("controlPoints", [])]}


def _space(markup: dict[str, Any], name: str) -> str | None:
    kind = markup.get("type")
    if kind not in _MOVED:
        raise ReadError(
            f"{name} holds a markup of type {excerpt(kind)}, which is more than its control points;"
            f" expected {', '.join(_MOVED)}"
        )
    unit = markup.get("coordinateUnits", "mm")
    if isinstance(unit, list) and unit:
        unit = unit[0]
    if unit != "mm":
        raise ReadError(f"{name}: expected coordinates in mm, got {excerpt(unit)}")
    said = markup.get("coordinateSystem")
    if said is None:
        return None
    space = {"LPS": "lps", "RAS": "ras"}.get(said.upper()) if isinstance(said, str) else None
    if space is None:
        raise ReadError(f"{name}: expected the coordinateSystem LPS or RAS, got {excerpt(said)}")
    return space


def _points(markups: list[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """The control points that have a place; the status may be missing, undefined or preview."""
    for markup in markups:
        for point in markup.get("controlPoints", []):
            if not isinstance(point, dict):
                raise ReadError(f"{name}: expected control points with a position each, got {excerpt(point)}")
            if point.get("positionStatus", "defined") == "defined":
                yield point


def _turn(markup: dict[str, Any], system: str) -> None:
    old = markup.get("coordinateSystem")
    markup["coordinateSystem"] = system
    if old is None or old.upper() == system:
        return
    for point in markup.get("controlPoints", []):
        turned = point.get("orientation")
        # A matrix row by row, whose columns are axes: its first two rows change their sign.
        if isinstance(turned, list) and len(turned) == 9:
            point["orientation"] = [-x if n < 6 else x for n, x in enumerate(turned)]
