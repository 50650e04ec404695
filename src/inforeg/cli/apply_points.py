"""`inforeg apply-points`: take points, meshes or streamlines from one image's space to the other's."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import chain, console, names, options
from inforeg.cli.writing import refuse
from inforeg.errors import QUALITY_EXIT_CODE, UsageError

if TYPE_CHECKING:
    from inforeg.register.chains import Chain, Link

log = logging.getLogger("inforeg")

LOST_MM = 0.01


def apply_points(
    points: Annotated[
        Path,
        typer.Option(
            "--points",
            "-p",
            help="Points (.csv, .json, .fcsv, .mrk.json), a mesh (.vtk, .gii) or streamlines (.trk, .tck).",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    transform: options.Chain = None,
    on: Annotated[
        str | None,
        typer.Option("--on", help="Which image the points were marked on: fixed or moving."),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option("--space", help="What the numbers are, where the file does not say: ras, lps or voxel."),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option("--image", help="The image they were marked on; for voxels, or instead of --on."),
    ] = None,
    to_image: Annotated[
        Path | None, typer.Option("--to-image", help="The image they are taken to; for voxels.")
    ] = None,
    from_format: options.FromFormat = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Take points from the image they were marked on to the other one.

    The transforms stand in the order in which points travel from the fixed to the moving image, whichever way these
    go: say on which image they were marked, and the chain is turned round where it has to be.
    """
    console.start(quiet, verbose, debug)
    wanted = chain.side(on)
    if space is not None:
        names.one_of("--space", space, names.SPACES)
    paths = transform or []
    if not paths:
        raise UsageError("expected at least one --transform")
    if wanted is None and image is None:
        raise UsageError("say which image the points were marked on: --on fixed or --on moving")

    refuse([output], [points, image, to_image, *paths], overwrite)

    from inforeg.io import read_point_set, write_point_set

    here, there = chain.grid_of(image), chain.grid_of(to_image)
    ends = (here, there) if wanted != "moving" else (there, here)
    links = chain.read_links(paths, from_format, *ends)
    ndim = links[0].transform.ndim
    marked = read_point_set(points, space=space, grid=here, ndim=ndim)  # type: ignore[arg-type]
    found = _resolved(links, wanted, image, ndim)
    console.say(found.words, quiet or json)

    moved = found.transform(marked.points_mm)
    lost = int((found.error_mm(marked.points_mm, moved) > LOST_MM).sum())
    beyond = found.beyond_fields(marked.points_mm)
    write_point_set(marked.moved(moved), output, grid=there, overwrite=overwrite)
    if json:
        told = {"points": len(moved), "without_inverse": lost, "beyond_fields": beyond, "words": found.words}
        console.say_json({"output": str(output), **told})
    else:
        console.say(f"written: {output} ({len(moved)} points)", quiet)
    if lost:
        log.warning(
            "%d of %d points have no inverse within %g mm; they are not to be trusted",
            lost,
            len(moved),
            LOST_MM,
        )
    if beyond:
        log.warning(
            "%d of %d points lie outside a displacement field, which moves nothing there", beyond, len(moved)
        )
    return QUALITY_EXIT_CODE if lost else 0


def _resolved(links: "list[Link]", on: Any, image: Path | None, ndim: int) -> "Chain":
    from inforeg.register.chains import for_points, start_of_points

    if on is None:
        assert image is not None
        on = start_of_points(links, chain.space_of(image))
    return for_points(links, on, ndim=ndim)
