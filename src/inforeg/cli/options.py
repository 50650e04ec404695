"""Options that several commands share, each said once."""

from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import names

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
        help="A transform file, or a folder that register wrote; several in the order in which points travel"
        " from the fixed to the moving image, as in ANTs.",
    ),
]
FromFormat = Annotated[
    str | None,
    typer.Option(
        "--from", help=f"Format of the transforms, where a file could be of two: {', '.join(names.FORMATS)}."
    ),
]
ToFormat = Annotated[
    str | None,
    typer.Option("--to", help=f"Format to write, where the name could mean two: {', '.join(names.FORMATS)}."),
]
Naming = Annotated[
    str | None, typer.Option("--naming", help="ants: write the files that antsApplyTransforms expects.")
]
FixedOfFormat = Annotated[
    Path | None,
    typer.Option(
        "--fixed", "-f", help="The fixed image, for formats that count in its voxels (FSL, FreeSurfer)."
    ),
]
MovingOfFormat = Annotated[
    Path | None,
    typer.Option("--moving", "-m", help="The moving image, for formats that count in its voxels."),
]
