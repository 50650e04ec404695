"""`inforeg demo`: register a made-up T2 to a T1 template, and say how well it went."""

from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, names, options


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result.")] = Path(
        "inforeg-demo"
    ),
    device: options.Device = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Register a made-up T2, turned by 25 degrees and shifted by 20 mm, to the MNI152 T1 template."""
    console.start(quiet, verbose, debug)
    names.device(device)

    from inforeg.io.atomic import refuse_folder

    refuse_folder(output, overwrite)

    from inforeg.demo import run

    with console.progress(shown=not quiet) as progress:
        code: int = run(
            output, device=device, threads=threads, seed=seed, overwrite=overwrite, progress=progress
        )
    return code
