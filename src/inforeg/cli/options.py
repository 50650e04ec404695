"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated

import typer

Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace an output that inforeg wrote before."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say errors only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
Debug = Annotated[bool, typer.Option("--debug", help="Say everything, tracebacks included.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", "-j", min=1, help="Processor threads; all if not given."),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result.")]
Interpolation = Annotated[
    str, typer.Option("--interp", "-n", help="linear, nearest, bspline or label (keeps every id).")
]
Chain = Annotated[
    list[Path] | None,
    typer.Option(
        "--transform",
        "-t",
        help="Transform file (.h5, .tfm, .txt, .mat, .json); several in the order in which points travel from"
        " the reference to the image, as in ANTs.",
    ),
]
