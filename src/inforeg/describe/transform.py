"""A transform file in figures and in words: its chain, part by part, in the order in which points travel."""

from operator import itemgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inforeg.describe.linear import linear_facts, linear_line
from inforeg.describe.words import numbers
from inforeg.errors import ReadError
from inforeg.evaluate import jacobian_determinants, jacobian_summary
from inforeg.io.grids import read_grid
from inforeg.io.transforms import formats_of, read_transform
from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform, as_displacements
from inforeg.transforms.base import in_chunks


def read_facts(path: Path, format: str | None, fixed: Path | None, moving: Path | None) -> dict[str, Any]:
    """What a transform file holds; the two images are for formats that count in their voxels.

    Raises `ReadError` and `UsageError` as `read_transform` does.
    """
    grids = [None if image is None else read_grid(image) for image in (fixed, moving)]
    transform = read_transform(path, format=format, fixed=grids[0], moving=grids[1])
    centre = None if grids[0] is None else grids[0].centre_mm
    try:
        return transform_facts(transform, str(path), formats_of(path, format)[0].name, centre)
    except ReadError as error:
        raise ReadError(f"{path}: {error}") from None


def transform_facts(
    transform: Transform, name: str, format: str, centre_mm: Tensor | None = None
) -> dict[str, Any]:
    """The parts of a chain; shifts are said at `centre_mm`, taken along the chain.

    Without one it is the centre of the first grid in the chain, or the world's origin. Velocity fields are described as
    the displacements they amount to, as files hold them.
    """
    transform = as_displacements(transform)
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    travelled = parts[::-1]
    about = "the centre of the fixed image"
    if centre_mm is None:
        grid = next((part.grid for part in travelled if isinstance(part, Displacement | BSpline)), None)
        about = "the world's origin" if grid is None else "the centre of the first grid"
        centre_mm = torch.zeros(transform.ndim, dtype=torch.float64) if grid is None else grid.centre_mm
    found = []
    here = centre_mm[None]
    for part in travelled:
        found.append(_part(part, here))
        here = part(here)
    return {
        "file": name,
        "kind": "transform",
        "format": format,
        "dimensions": transform.ndim,
        "direction": "fixed to moving points, RAS+ mm",
        "shifts_at": about,
        "parts": found,
    }


def transform_lines(facts: dict[str, Any]) -> list[str]:
    """The same for people."""
    parts = facts["parts"]
    count = "one part" if len(parts) == 1 else f"{len(parts)} parts, in the order in which points travel"
    lines = [
        f"{facts['file']}: {facts['format']} transform, {facts['dimensions']}-D, fixed to moving points, {count}"
    ]
    for n, part in enumerate(parts, start=1):
        describe = {"linear": linear_line, "displacement": _field_line, "bspline": _spline_line}
        # No file holds the others: their kind is all that is said.
        lines.append(f"{n}. {describe.get(part['kind'], itemgetter('kind'))(part)}")
    if any(part["kind"] == "linear" for part in parts):
        lines.append(f"shifts are those of {facts['shifts_at']}")
    return lines


def _part(part: Transform, here: Tensor) -> dict[str, Any]:
    if isinstance(part, Linear):
        return linear_facts(part.matrix.numpy(), here[0].numpy())
    if isinstance(part, Displacement):
        return {"kind": "displacement", **_grid(part.grid), **_lengths(part.vectors), **_folds(part)}
    if isinstance(part, BSpline):
        # At the control points, within the region where anything moves.
        points = part.grid.points_mm()
        moved = in_chunks(lambda p: part(p) - p, points, 1 << 16)
        inner = (slice(None), *(slice(1, n - 1) for n in part.grid.shape))
        vectors = moved.T.reshape(part.ndim, *part.grid.shape)[inner]
        return {"kind": "bspline", **_grid(part.grid), **_lengths(vectors)}
    return {"kind": type(part).__name__.lower()}


def _grid(grid: Grid) -> dict[str, Any]:
    return {
        "shape": list(grid.shape),
        "spacing_mm": grid.spacing_mm.tolist(),
        "centre_mm": grid.centre_mm.tolist(),
        "voxel_to_world_ras_mm": grid.voxel_to_world.tolist(),
    }


def _lengths(vectors: Tensor) -> dict[str, float]:
    lengths = torch.linalg.vector_norm(vectors, dim=0).reshape(-1)
    return {"median_length_mm": float(lengths.median()), "largest_length_mm": float(lengths.max())}


def _folds(field: Displacement) -> dict[str, Any]:
    found = jacobian_summary(jacobian_determinants(field, field.grid))
    return {
        "folds": found.folds,
        "share_folded": found.share_folded,
        "smallest_determinant": found.smallest,
    }


def _field_line(part: dict[str, Any]) -> str:
    text = (
        f"displacement field on {' x '.join(map(str, part['shape']))} voxels of"
        f" {numbers(part['spacing_mm'], ' x ')} mm: lengths up to {part['largest_length_mm']:.4g} mm,"
        f" median {part['median_length_mm']:.4g}"
    )
    if part["folds"] == 0:
        return f"{text}; no folds (smallest determinant {part['smallest_determinant']:.3g})"
    return f"{text}; {part['folds']} voxels fold ({100 * part['share_folded']:.3g} %)"


def _spline_line(part: dict[str, Any]) -> str:
    return (
        f"cubic B-spline of {' x '.join(map(str, part['shape']))} control points,"
        f" {numbers(part['spacing_mm'], ' x ')} mm apart: lengths there up to {part['largest_length_mm']:.4g} mm,"
        f" median {part['median_length_mm']:.4g}"
    )
