"""`inforeg evaluate`: point errors and overlaps, against answers that are known."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import chain, console, names, options
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.register.chains import Link


def evaluate(
    fixed_points: Annotated[
        Path | None, typer.Option("--fixed-points", help="File of points in the fixed image, such as CSV.")
    ] = None,
    moving_points: Annotated[
        Path | None, typer.Option("--moving-points", help="File of the same points in the moving image.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            help="What the numbers are, where the files do not say it: ras or lps (mm), or voxel (pixel) indices.",
        ),
    ] = None,
    fixed_labels: Annotated[
        Path | None, typer.Option("--fixed-labels", help="Labels of the fixed image.")
    ] = None,
    moving_labels: Annotated[
        Path | None, typer.Option("--moving-labels", help="Labels of the moving image, warped here by -t.")
    ] = None,
    transform: options.Chain = None,
    fixed: Annotated[
        Path | None, typer.Option("--fixed", "-f", help="The fixed image; needed for points in voxels.")
    ] = None,
    moving: Annotated[
        Path | None, typer.Option("--moving", "-m", help="The moving image; needed for points in voxels.")
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure point errors (TRE, mm), label overlap (Dice), or both, before and after the transforms."""
    console.start(quiet, verbose, debug)
    if space is not None:
        names.one_of("--space", space, names.SPACES)
    with_points = _pair("points", fixed_points, moving_points)
    with_labels = _pair("labels", fixed_labels, moving_labels)
    if with_points is None and with_labels is None:
        raise UsageError("expected --fixed-points and --moving-points, or --fixed-labels and --moving-labels")
    if with_points and space == "voxel" and (fixed is None or moving is None):
        raise UsageError("--space voxel: give the images the points were marked on, --fixed and --moving")
    links = chain.read_links(transform or [], None)
    found: dict[str, Any] = {}
    words = []
    if with_points:
        found["points"], said = _points(*with_points, space, fixed, moving, links)
        words.append(said)
    if with_labels:
        found["labels"], said = _labels(*with_labels, links)
        words.append(said)
    if json:
        console.say_json(found)
        return
    if links:
        console.say(words[0], quiet)
    for line in _table(found):
        console.say(line)


def _pair(what: str, of_fixed: Path | None, of_moving: Path | None) -> tuple[Path, Path] | None:
    if (of_fixed is None) != (of_moving is None):
        raise UsageError(f"expected both --fixed-{what} and --moving-{what}, got one of them")
    return None if of_fixed is None or of_moving is None else (of_fixed, of_moving)


def _points(
    of_fixed: Path,
    of_moving: Path,
    space: str | None,
    fixed: Path | None,
    moving: Path | None,
    links: "list[Link]",
) -> tuple[dict[str, Any], str]:
    from inforeg.evaluate import point_errors, tre_mm
    from inforeg.io import read_points

    a = read_points(of_fixed, space=space, grid=chain.grid_of(fixed))  # type: ignore[arg-type]
    b = read_points(of_moving, space=space, grid=chain.grid_of(moving))  # type: ignore[arg-type]
    found = chain.between(links, of_fixed, of_moving, a.shape[1])
    result = {"before": asdict(point_errors(tre_mm(None, a, b)))}
    if links:
        result["after"] = asdict(point_errors(tre_mm(found.transform, a, b)))
    return result, found.words


def _labels(of_fixed: Path, of_moving: Path, links: "list[Link]") -> tuple[dict[str, Any], str]:
    from inforeg.evaluate import dice
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
        through = found.transform if when == "after" else None
        scores = dice(fixed, resample_labels(moving, fixed.grid, through))
        result[when] = {
            "mean_dice": sum(scores.values()) / len(scores) if scores else None,
            "dice": {str(label): value for label, value in sorted(scores.items())},
        }
    return result, found.words


def _table(found: dict[str, Any]) -> list[str]:
    lines = []
    for when, errors in found.get("points", {}).items():
        lines.append(
            f"TRE {when}: mean {errors['mean_mm']:.3f} mm, median {errors['median_mm']:.3f}, 90 %"
            f" {errors['p90_mm']:.3f}, largest {errors['max_mm']:.3f} ({errors['count']} points)"
        )
    for when, scores in found.get("labels", {}).items():
        if scores["mean_dice"] is None:
            lines.append(f"Dice {when}: there are no labels but the background")
            continue
        lines.append(f"Dice {when}: mean {scores['mean_dice']:.4f} over {len(scores['dice'])} labels")
        lines += [f"  {label:>8} {value:.4f}" for label, value in scores["dice"].items()]
    return lines
