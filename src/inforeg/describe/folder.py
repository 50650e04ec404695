"""A folder that `register` wrote, in figures and in words, from its result.json."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from inforeg.describe.linear import linear_facts, linear_line
from inforeg.errors import ReadError
from inforeg.io.files import why


def folder_facts(path: Path) -> dict[str, Any]:
    """Verdict, status, inputs and files of a registration; `path` is its folder or the result.json in it.

    Raises `ReadError` for a result.json that is damaged or of another program.
    """
    folder = path if path.is_dir() else path.parent
    file = folder / "result.json" if path.is_dir() else path
    try:
        record: Any = json.loads(file.read_bytes())
        quality, inputs = record["quality"], record["inputs"]
        matrix = record["fixed_to_moving_ras_mm"]
        facts = {
            "file": str(folder),
            "kind": "registration",
            "inforeg": str(record["inforeg"]),
            "command": str(record["command"]),
            "verdict": str(quality["verdict"]),
            "reasons": [str(reason) for reason in quality["reasons"]],
            "status": str(record["status"]),
            "seconds": float(record["seconds"]),
            "stages": [str(stage["name"]) for stage in record["stages"]],
            "inputs": {str(name): _input(entry) for name, entry in inputs.items()},
            "transform": None if matrix is None else _matrix(matrix, inputs["fixed"].get("grid")),
            "files": sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()),
        }
    except OSError as error:
        raise ReadError(f"cannot read {file}: {why(error)}") from None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, ReadError) as error:
        raise ReadError(f"expected the result.json of a registration in {file}: {error!r}") from None
    return facts


def _input(entry: dict[str, Any]) -> dict[str, Any]:
    path = entry.get("path")
    if path is None:
        return {"object": str(entry["object"])}
    return {"path": str(path), "there": Path(path).is_file()}


def _matrix(matrix: list[list[float]], grid: dict[str, Any] | None) -> dict[str, Any]:
    values = np.array(matrix, np.float64)
    if values.shape not in ((3, 3), (4, 4)) or not np.isfinite(values).all():
        raise ValueError("its matrix is none")
    centre = np.zeros(len(values) - 1)
    if grid is not None:
        middle = np.append((np.array(grid["shape"]) - 1) / 2, 1.0)
        centre = (np.array(grid["voxel_to_world_ras_mm"], np.float64) @ middle)[:-1]
    about = "the world's origin" if grid is None else "the centre of the fixed image"
    return linear_facts(values, centre) | {"shift_at": about}


def folder_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    reasons = f": {'; '.join(facts['reasons'])}" if facts["reasons"] else ""
    lines = [
        f"{facts['file']}: a registration by inforeg {facts['inforeg']}",
        f"verdict       {facts['verdict']}{reasons}",
        f"status        {facts['status']} after {' and '.join(facts['stages'])}, {facts['seconds']:.1f} s",
    ]
    for name, entry in facts["inputs"].items():
        gone = "" if entry.get("there", True) else " (no longer there)"
        lines.append(f"{name.replace('_', ' '):13} {entry.get('path', entry.get('object'))}{gone}")
    if facts["transform"] is not None:
        lines.append(f"transform     fixed to moving, {linear_line(facts['transform'])}")
        lines.append(f"              (shift of {facts['transform']['shift_at']})")
    return [*lines, f"files         {', '.join(facts['files'])}"]
