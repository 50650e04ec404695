"""A file of points, a mesh or streamlines in figures and in words."""

from pathlib import Path
from typing import Any

from inforeg.describe.words import numbers
from inforeg.errors import ReadError
from inforeg.io.files import check_there, why
from inforeg.io.point_formats import FORMATS
from inforeg.io.points import read_points

_SPACES = {
    "ras": "world mm, RAS+",
    "lps": "world mm, LPS",
    "voxel": "voxel indices of the image they were marked on",
    None: "the file does not say; give --space where it is used",
}


def points_facts(path: Path) -> dict[str, Any]:
    """How many points, what their numbers are, and where they lie: in RAS+ mm where the file says it, else as they are.

    Raises `ReadError` as `read_points` does.
    """
    check_there(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None
    name = path.name.lower()
    longest = max((s for form in FORMATS for s in form.suffixes if name.endswith(s)), key=len)
    candidates = [form for form in FORMATS if longest in form.suffixes]
    form = next((f for f in candidates[:-1] if f.load().recognises(data)), candidates[-1])
    found = form.load().read(data, str(path))
    if len(found.numbers) == 0:
        raise ReadError(f"{path} holds no points")
    in_world = found.space in ("ras", "lps")
    points = read_points(path).numpy() if in_world else found.numbers
    return {
        "file": str(path),
        "kind": "points",
        "format": form.name,
        "count": len(points),
        "dimensions": points.shape[1],
        "space": found.space,
        "holds_beside": found.beyond or None,
        "box_in": "RAS+ mm" if in_world else "the numbers of the file",
        "box": [points.min(axis=0).tolist(), points.max(axis=0).tolist()],
        "centroid": points.mean(axis=0).tolist(),
    }


def points_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    low, high = facts["box"]
    lines = [
        f"{facts['file']}: {facts['count']} points ({facts['format']}), {facts['dimensions']}-D",
        f"space         {_SPACES[facts['space']]}",
        f"box           ({numbers(low)}) to ({numbers(high)}), {facts['box_in']}",
        f"centroid      ({numbers(facts['centroid'])})",
    ]
    return lines + ([f"beside        {facts['holds_beside']}"] if facts["holds_beside"] else [])
