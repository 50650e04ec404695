"""Points as plain JSON: a list of `[x, y, z]`, or `{"space": "ras", "points": [...]}`, which says what they are."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.point_formats import Found

_SPACES = ("ras", "lps", "voxel")


def read(data: bytes, name: str) -> Found:
    """Points `(n, 2 or 3)`; any other keys are kept. Raises `ReadError` for anything else."""
    document = load(data, name)
    said = document.get("space") if isinstance(document, dict) else None
    if said is not None and said not in _SPACES:
        raise ReadError(f"{name}: expected a space of ras, lps or voxel, got {excerpt(said)}")
    listed = document.get("points") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise ReadError(f'{name}: expected a list of points, or {{"space": "ras", "points": [...]}}')
    widths = {len(point) if isinstance(point, list) else 0 for point in listed}
    if listed and widths not in ({2}, {3}):
        raise ReadError(f"{name}: expected points of 2 or of 3 coordinates, got {sorted(widths)[:5]}")
    numbers = [vector(point, n, name) for n, point in enumerate(listed, start=1)]
    others = [key for key in document if key not in ("space", "points")] if isinstance(document, dict) else []
    beyond = f"{len(others)} other key{'s' * (len(others) > 1)}" if others else ""
    return Found(
        np.array(numbers, dtype=np.float64).reshape(len(listed), max(widths, default=3)),
        said,
        document,
        beyond,
    )


def write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes:
    """The document with other points, one a line."""
    points = ",\n".join(map(json.dumps, numbers.tolist()))
    if isinstance(kept, list) and label is None:
        return f"[\n{points}\n]\n".encode("ascii")
    document = dict(kept) if isinstance(kept, dict) else {}
    if label is not None:
        document = {"space": label, **{key: value for key, value in document.items() if key != "space"}}
    document.pop("points", None)
    head = "".join(f"{dump(key)}: {dump(value)},\n" for key, value in document.items())
    return f'{{\n{head}"points": [\n{points}\n]\n}}\n'.encode("ascii")


def load(data: bytes, name: str) -> Any:
    """The document in a JSON file; raises `ReadError` where it is none."""
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        why = "too deeply nested" if isinstance(error, RecursionError) else str(error).splitlines()[0][:120]
        raise ReadError(f"expected JSON in {name}: {why}") from None


def excerpt(value: Any) -> str:
    """A value of a document for an error: the beginning of a text or number, the kind of anything that has parts."""
    plain = value is None or isinstance(value, str | int | float)
    return (
        repr(value[:40] if isinstance(value, str) else value)[:60] if plain else f"a {type(value).__name__}"
    )


def dump(document: Any, indent: int | None = None) -> str:
    """The text of a document; raises `WriteError` where it is nested more deeply than it can be written."""
    try:
        return json.dumps(document, indent=indent)
    except RecursionError:
        raise WriteError("the document is too deeply nested to be written") from None


def vector(value: Any, n: int, name: str) -> list[float]:
    """The coordinates of point `n`; raises `ReadError` where they are not finite numbers."""
    if isinstance(value, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in value):
        try:
            numbers = [float(x) for x in value]
        except OverflowError:
            numbers = [float("inf")]
        if np.isfinite(numbers).all():
            return numbers
    raise ReadError(f"{name}: expected finite coordinates of point {n}, got {excerpt(value)}")
