"""`inforeg bench p-emd`: a network of displacements carried from T1 to T2, by every discrepancy."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, options
from inforeg.cli.bench import folders, names_in, written


def p_emd(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for runs, results, table and curves.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images: ms/, brats/ and oasis/.")
    ] = None,
    ways: Annotated[
        str | None,
        typer.Option(
            "--ways",
            help="Ways of adapting, with commas: none, l1, swd, pemd-2, pemd-16, pemd-16+swd, pemd-16+swd+even, known;"
            " all if none.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="Runs of each way.")] = 5,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", min=1, help="How often each network is taught; adapting takes five steps more."
        ),
    ] = 1000,
    parts: Annotated[
        int, typer.Option("--parts", min=1, help="Parts of a run, after each of which it is tried.")
    ] = 5,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the table of what is done.")
    ] = False,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Teach networks displacements of T1, carry them to T2 without labels, and try them on other subjects.

    What is done is not repeated: a run that was stopped goes on where it was.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)

    import torch

    from inforeg.bench.pemd.run import WAYS, rows_of, run
    from inforeg.bench.pemd.slices import write_slices
    from inforeg.bench.pemd.table import markdown, picture
    from inforeg.errors import UsageError

    asked = names_in(ways) or list(WAYS)
    for way in asked:
        if way not in WAYS:
            raise UsageError(f"--ways: unknown name {way!r}; expected {', '.join(WAYS)}")
    if parts > rounds:
        raise UsageError(f"expected at least as many rounds as parts, got {rounds} for {parts}")
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    if not table_only:
        if data is None:
            raise UsageError("expected --data, the folder of images; or --table-only")
        say = partial(console.say, quiet=quiet)
        run(asked, seeds, rounds, parts, write_slices(data, output / "slices"), output, threads, say)
    rows = rows_of(output / "accuracy.jsonl")
    text = markdown(rows)
    if rows:
        written(output, {"tables.md": text, "accuracy.svg": picture(rows)})
    console.say(text.rstrip("\n"))
