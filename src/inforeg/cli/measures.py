"""What `inforeg evaluate` measures, as its JSON has it."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inforeg.cli import chain
from inforeg.errors import NotInvertible, UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from inforeg.evaluate import SurfaceDistance
    from inforeg.register.chains import Chain, Link
    from inforeg.space import Grid
    from inforeg.transforms import Transform

FIGURES = ("voxels", "mean_mm", "median_mm", "p95_mm", "max_mm")


def of_points(
    of_fixed: Path,
    of_moving: Path,
    space: str | None,
    fixed: Path | None,
    moving: Path | None,
    links: "list[Link]",
) -> tuple[dict[str, Any], str]:
    """The TRE before and after, and the chain in words."""
    from inforeg.evaluate import point_errors, tre_mm
    from inforeg.io import read_points

    a = read_points(of_fixed, space=space, grid=chain.grid_of(fixed))  # type: ignore[arg-type]
    b = read_points(of_moving, space=space, grid=chain.grid_of(moving))  # type: ignore[arg-type]
    found = chain.between(links, of_fixed, of_moving, a.shape[1])
    result = {"before": asdict(point_errors(tre_mm(None, a, b)))}
    if links:
        result["after"] = asdict(point_errors(tre_mm(found.transform, a, b)))
    return result, found.words


def of_labels(of_fixed: Path, of_moving: Path, links: "list[Link]") -> tuple[dict[str, Any], str]:
    """Overlap and distances of surfaces before and after, and the chain in words."""
    from inforeg.evaluate import dice, surface_distances
    from inforeg.image import resample_labels
    from inforeg.io import read_labels

    fixed, moving = read_labels(of_fixed), read_labels(of_moving)
    if fixed.grid.ndim != moving.grid.ndim:
        raise UsageError(
            f"expected both in 2-D or both in 3-D: {of_fixed} is {fixed.grid.ndim}-D,"
            f" {of_moving} is {moving.grid.ndim}-D"
        )
    found = chain.between(links, of_fixed, of_moving, fixed.grid.ndim)
    result: dict[str, Any] = {}
    for when in ("before", "after") if links else ("before",):
        warped = resample_labels(moving, fixed.grid, found.transform if when == "after" else None)
        scores = dice(fixed, warped)
        result[when] = {
            "mean_dice": _mean(list(scores.values())),
            "dice": {str(label): value for label, value in sorted(scores.items())},
        } | _distances(surface_distances(fixed, warped))
    return result, found.words


def _distances(found: "dict[int, SurfaceDistance]") -> dict[str, Any]:
    measured = {label: distance for label, distance in found.items() if distance.missing is None}
    result: dict[str, Any] = {}
    for name in ("hd95_mm", "assd_mm"):
        result[f"mean_{name}"] = _mean([getattr(distance, name) for distance in measured.values()])
        result[name] = {
            str(label): getattr(distance, name) if label in measured else None
            for label, distance in sorted(found.items())
        }
    result["without_distance"] = {
        str(n): d.missing for n, d in sorted(found.items()) if d.missing is not None
    }
    return result


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def of_truth(
    transform: "Transform | None", truth: "Transform", grid: "Grid", where: "Tensor | None"
) -> dict[str, Any]:
    """How far from where the true transform takes them voxels land, before and after."""
    from inforeg.evaluate import dense_error_mm, field_errors

    result = {"before": asdict(field_errors(dense_error_mm(None, truth, grid, where)))}
    if transform is not None:
        result["after"] = asdict(field_errors(dense_error_mm(transform, truth, grid, where)))
    return result


def of_smoothness(transform: "Transform", grid: "Grid", where: "Tensor | None") -> dict[str, Any]:
    """The figures of `inforeg jacobian`."""
    from inforeg.cli.jacobian import for_programs
    from inforeg.evaluate import smoothness

    return for_programs(smoothness(transform, grid, where))


def of_inverse(
    found: "Chain", files: Sequence[Path], grids: "tuple[Grid, Grid | None]", where: "Tensor | None"
) -> dict[str, Any]:
    """How far from themselves voxels end on the way there and back, or why that is not measured."""
    from inforeg.evaluate import field_errors, inverse_error_mm
    from inforeg.transforms import Linear

    grid, moving = grids
    if files:
        folder = next((path for path in files if path.is_dir()), None)
        if folder is not None:
            raise UsageError(
                f"--inverse: {folder} is a folder, which brings its inverse when it is given as -t"
            )
        # It counts in the voxels of the moving image first.
        back, _ = chain.read_plain_chain(files, None, moving, grid)
    elif isinstance(found.transform, Linear):
        return _unmeasured("a matrix has an exact inverse")
    else:
        for link, _ in found.steps:
            if not _has_inverse(link):
                return _unmeasured(f"{link.path} does not bring one; give its file as --inverse")
        back = found.way_back
    return asdict(field_errors(inverse_error_mm(found.transform, back, grid, where))) | {"not_measured": None}


def _has_inverse(link: "Link") -> bool:
    if link.stored_inverse is not None:
        return True
    try:
        link.transform.inverse()
    except NotInvertible:
        return False
    return True


def _unmeasured(why: str) -> dict[str, Any]:
    return dict.fromkeys(FIGURES) | {"not_measured": why}
