"""`inforeg evaluate`: points, labels and fields against answers that are known, and fields by themselves."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import chain, console, names, options
from inforeg.cli.measures import of_inverse, of_labels, of_points, of_smoothness, of_truth
from inforeg.cli.measures_in_words import in_words
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.register.chains import Chain, Link
    from inforeg.space import Grid


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
    truth: Annotated[
        list[Path] | None,
        typer.Option(
            "--truth",
            help="The true transform, fixed to moving, for the error at every voxel; as -t, several too.",
        ),
    ] = None,
    inverse: Annotated[
        list[Path] | None,
        typer.Option(
            "--inverse",
            help="Files of the inverse of -t, in the order in which points travel from moving to fixed; folders that"
            " register wrote bring theirs.",
        ),
    ] = None,
    fixed: Annotated[
        Path | None,
        typer.Option(
            "--fixed",
            "-f",
            help="The fixed image: at its voxels, folds, the inverse and --truth are measured; needed for points in"
            " voxels.",
        ),
    ] = None,
    moving: Annotated[
        Path | None, typer.Option("--moving", "-m", help="The moving image; needed for points in voxels.")
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option("--mask", help="Where folds, the inverse and --truth are measured, inside above 0.5."),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure errors at points (TRE, mm), of labels (Dice, HD95, ASSD), and of whole transforms.

    Against answers that are known, before and after the transforms: points, labels, or a true transform. By itself, at
    the voxels of the fixed image: folds, how evenly volumes change, and how well the inverse undoes it.
    """
    console.start(quiet, verbose, debug)
    if space is not None:
        names.one_of("--space", space, names.SPACES)
    with_points = _pair("points", fixed_points, moving_points)
    with_labels = _pair("labels", fixed_labels, moving_labels)
    place = fixed if fixed is not None else mask
    _check(with_points or with_labels, transform, truth, inverse, place, mask)
    if with_points and space == "voxel" and (fixed is None or moving is None):
        raise UsageError("--space voxel: give the images the points were marked on, --fixed and --moving")
    grids = (chain.grid_of(fixed), chain.grid_of(moving))
    links = chain.read_links(transform or [], None, *grids)
    found: dict[str, Any] = {}
    words = []
    if with_points:
        found["points"], said = of_points(*with_points, space, fixed, moving, links)
        words.append(said)
    if with_labels:
        found["labels"], said = of_labels(*with_labels, links)
        words.append(said)
    if place is not None and (truth or links):
        fields, said = _fields(links, truth or [], inverse or [], place, moving, mask, grids)
        found |= fields
        words.append(said)
    if json:
        console.say_json(found)
        return
    if links:
        console.say(words[0], quiet)
    for line in in_words(found):
        console.say(line)


def _pair(what: str, of_fixed: Path | None, of_moving: Path | None) -> tuple[Path, Path] | None:
    if (of_fixed is None) != (of_moving is None):
        raise UsageError(f"expected both --fixed-{what} and --moving-{what}, got one of them")
    return None if of_fixed is None or of_moving is None else (of_fixed, of_moving)


def _check(
    pairs: Any,
    transform: list[Path] | None,
    truth: list[Path] | None,
    inverse: list[Path] | None,
    place: Path | None,
    mask: Path | None,
) -> None:
    """Raise `UsageError` for options that would do nothing."""
    if mask is not None and not (truth or transform):
        raise UsageError("--mask says where transforms are measured: give --truth or --transform")
    if inverse and not transform:
        raise UsageError("--inverse: give the transforms that it undoes, --transform")
    for name, given in (("--truth", truth), ("--inverse", inverse)):
        if given and place is None:
            raise UsageError(f"{name}: give the image at whose voxels to measure, --fixed (or --mask)")
    if not (pairs or truth or (transform and place)):
        raise UsageError(
            "expected --fixed-points and --moving-points, or --fixed-labels and --moving-labels, or --truth,"
            " or --transform with --fixed"
        )


def _fields(
    links: "list[Link]",
    truth: list[Path],
    inverse: list[Path],
    place: Path,
    moving: Path | None,
    mask: Path | None,
    grids: "tuple[Grid | None, Grid | None]",
) -> tuple[dict[str, Any], str]:
    """What is measured at the voxels of the fixed image, or of a mask."""
    from inforeg.cli.masks import voxels_inside

    grid = grids[0] if grids[0] is not None else chain.grid_of(place)
    assert grid is not None
    where = None if mask is None else voxels_inside(mask, grid, place)
    there = moving if moving is not None else Path("the moving image")
    found: Chain = chain.between(links, place, there, grid.ndim)
    measured: dict[str, Any] = {}
    if truth:
        answer, _ = chain.read_plain_chain(truth, None, grid, grids[1])
        measured["truth"] = of_truth(found.transform if links else None, answer, grid, where)
    if links:
        measured["jacobian"] = of_smoothness(found.transform, grid, where)
        measured["inverse"] = of_inverse(found, inverse, (grid, grids[1]), where)
    return measured, found.words
