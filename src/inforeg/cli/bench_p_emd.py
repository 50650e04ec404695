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
            help="Ways of adapting, with commas: none, l1, swd, pemd-2, pemd-16, pemd-16+swd, pemd-16+swd+even,"
            " windows, known; all if none.",
        ),
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            help="Contrasts and patches, with commas: outline, within, within-inverted, flair, volumes; the first if"
            " none.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1000, help="Runs of each way.")] = 5,
    taught: Annotated[
        int, typer.Option("--taught", min=1, help="How often a network is taught before it is adapted.")
    ] = 1000,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds",
            min=1,
            help="How often it is taught after that, with five other steps between where it adapts.",
        ),
    ] = 100,
    parts: Annotated[
        int, typer.Option("--parts", min=1, help="Parts of a run, after each of which it is tried.")
    ] = 2,
    dense: Annotated[
        bool,
        typer.Option(
            "--dense",
            help="Then fields of known warps too, by the networks of the first seed that are there.",
        ),
    ] = False,
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

    from inforeg.bench.pemd import dense as fields
    from inforeg.bench.pemd.run import SETS, VOLUMES, WAYS, rows_of, run
    from inforeg.bench.pemd.slices import write_slices, write_volumes
    from inforeg.bench.pemd.table import markdown, pictures
    from inforeg.errors import UsageError

    asked = {"--ways": names_in(ways) or list(WAYS), "--sets": names_in(sets) or list(SETS)[:1]}
    for flag, known in (("--ways", WAYS), ("--sets", SETS)):
        for name in asked[flag]:
            if name not in known:
                raise UsageError(f"{flag}: unknown name {name!r}; expected {', '.join(known)}")
    if parts > rounds:
        raise UsageError(f"expected at least as many rounds as parts, got {rounds} for {parts}")
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    say = partial(console.say, quiet=quiet)
    if not table_only:
        if data is None:
            raise UsageError("expected --data, the folder of images; or --table-only")

        def table_for(name: str) -> Path:
            kind, write = ("volumes", write_volumes) if name == VOLUMES else ("slices", write_slices)
            return write(data, output / kind)

        run(asked["--sets"], asked["--ways"], seeds, taught, rounds, parts, table_for, output, threads, say)
    rows = rows_of(output / "accuracy.jsonl")
    text = markdown(rows)
    if dense and data is not None and not table_only:
        fields.run(data, output, say)
    if bent := fields.rows_of(output):
        text += "\n" + fields.markdown(bent)
    if rows:
        written(output, {"tables.md": text, **pictures(rows)})
    console.say(text.rstrip("\n"))
