"""`inforeg jacobian`: how a chain of transforms changes volumes, and where it folds."""

from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import console, options
from inforeg.cli.chain import grid_of, read_plain_chain
from inforeg.cli.masks import voxels_inside
from inforeg.cli.writing import refuse
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.evaluate import JacobianSummary


def jacobian(
    reference: Annotated[
        Path, typer.Option("--reference", "-r", help="The image at whose voxels to measure (the fixed one).")
    ],
    transform: options.Chain = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The image of determinants to write; only figures if not given."),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Write natural logarithms; NaN at folds, which have none.")
    ] = False,
    mask: Annotated[
        Path | None, typer.Option("--mask", help="Where the figures are taken, inside above 0.5.")
    ] = None,
    from_format: options.FromFormat = None,
    moving: options.MovingOfFormat = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Measure by how much the transforms change volume at each voxel of the fixed image, and where they fold."""
    console.start(quiet, verbose, debug)
    paths = transform or []
    if log and output is None:
        raise UsageError("--log says what to write: give --output too")

    from inforeg.io.formats import writer

    if output is not None:
        writer(output)
        refuse([output], [reference, mask, moving, *paths], overwrite)

    import torch

    from inforeg.evaluate import jacobian_determinants, jacobian_summary
    from inforeg.image import Image
    from inforeg.io import write_image

    if threads is not None:
        torch.set_num_threads(threads)
    grid = grid_of(reference)
    assert grid is not None
    chain, words = read_plain_chain(paths, from_format, grid, grid_of(moving))
    where = None if mask is None else voxels_inside(mask, grid, reference)
    determinants = jacobian_determinants(chain, grid)
    found = jacobian_summary(determinants, where)
    if output is not None:
        # The logarithm of what is folded would be NaN or minus infinity; it is NaN throughout.
        values = torch.where(determinants > 0, determinants, torch.nan).log() if log else determinants
        write_image(Image(values.float()[None, None], grid), output, dtype="float32", overwrite=overwrite)
    if json:
        written = None if output is None else str(output)
        console.say_json(
            {"chain": [str(path) for path in paths], "words": words, "output": written} | for_programs(found)
        )
        return
    console.say(words, quiet)
    for line in in_words(found):
        console.say(line)
    if output is not None:
        console.say(f"written: {output}", quiet)


def for_programs(found: "JacobianSummary") -> dict[str, Any]:
    """The figures as JSON can hold them: none for what is not a number."""
    return {name: value if isfinite(value) else None for name, value in asdict(found).items()}


def in_words(found: "JacobianSummary") -> list[str]:
    """The figures, line by line."""
    lines = [
        f"determinant: smallest {found.smallest:.4g}, largest {found.largest:.4g}, mean {found.mean:.4g}"
        f" ({found.voxels} voxels)",
        f"folds (0 or below): {found.folds} voxels, {100 * found.share_folded:.4g} %",
        f"SD of log determinant: {found.sd_log:.4g}",
    ]
    if found.largest < 0:
        lines.append("the chain mirrors: every determinant is negative")
    return lines
