"""`inforeg compose`: several transforms as one file."""

from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import chain, console, options
from inforeg.cli.writing import refuse, write


def compose(
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="The file to write; .nii.gz makes one displacement field of all."
        ),
    ],
    transform: options.Chain = None,
    reference: Annotated[
        Path | None,
        typer.Option("--reference", "-r", help="The fixed image, whose grid a field gets."),
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
    """Write a chain of transforms as one: matrices are multiplied, fields stay parts of a composite."""
    console.start(quiet, verbose, debug)
    paths = transform or []
    refuse([output], [*paths, reference, fixed, moving], overwrite)
    grids = (chain.grid_of(fixed), chain.grid_of(moving))
    whole, words = chain.read_plain_chain(paths, from_format, *grids)
    console.say(words, quiet or json)
    write(whole, output, to_format, grids, overwrite, chain.grid_of(reference))
    if json:
        console.say_json({"output": str(output), "words": words})
    else:
        console.say(f"written: {output}", quiet)
