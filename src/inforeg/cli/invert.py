"""`inforeg invert`: turn a transform round."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import chain, console, options
from inforeg.cli.writing import refuse, write
from inforeg.errors import UsageError


def invert(
    output: Annotated[Path, typer.Option("--output", "-o", help="The transform file to write.")],
    transform: options.Chain = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            "-r",
            help="The moving image: its grid carries the inverse of a field; the field's own if not given.",
        ),
    ] = None,
    found: Annotated[
        Path | None,
        typer.Option("--mask", help="Also write where there is an inverse (1) and where there is none (0)."),
    ] = None,
    fixed: options.FixedOfFormat = None,
    moving: options.MovingOfFormat = None,
    from_format: options.FromFormat = None,
    to_format: options.ToFormat = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Write the inverse of a transform: exact for matrices; for fields the nearest, with its error in mm."""
    console.start(quiet, verbose, debug)
    paths = transform or []
    refuse([output, *([found] if found else [])], [*paths, reference, fixed, moving], overwrite)

    from inforeg.transforms import Composite, Linear, approximate_inverse

    grids = (chain.grid_of(fixed), chain.grid_of(moving))
    whole, words = chain.read_plain_chain(paths, from_format, *grids)
    parts = whole.parts if isinstance(whole, Composite) else (whole,)
    told: dict[str, object] = {"output": str(output), "exact": all(isinstance(p, Linear) for p in parts)}
    console.say(words, quiet or json)
    if told["exact"]:
        if found is not None:
            raise UsageError("--mask: a matrix has an inverse everywhere; leave it out")
        inverse = whole.inverse()
        lines = ["the inverse is exact"]
    else:
        nearest = approximate_inverse(whole, chain.grid_of(reference))
        inverse = nearest.transform
        told |= {
            "median_error_mm": nearest.median_error_mm,
            "largest_error_mm": nearest.largest_error_mm,
            "share_found": nearest.share_found,
        }
        lines = [
            f"error of the inverse: median {nearest.median_error_mm:.2g} mm,"
            f" largest {nearest.largest_error_mm:.2g} mm between voxels"
        ]
        if nearest.share_found < 1:
            lines.append(
                f"no inverse at {100 * (1 - nearest.share_found):.2g} % of the grid's voxels: nothing leads there"
            )
    with ExitStack() as both:
        if found is not None:
            from inforeg.image import Labels
            from inforeg.io import atomic_path, write_labels

            # It gets its name when the inverse is there as well.
            unnamed = both.enter_context(atomic_path(found, overwrite))
            write_labels(Labels(nearest.found[None, None], nearest.grid, dtype="uint8"), unnamed)
        write(inverse, output, to_format, grids[::-1], overwrite)
    if json:
        console.say_json({**told, "words": words})
        return
    for line in [*lines, f"written: {output}"]:
        console.say(line, quiet)
