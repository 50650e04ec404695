"""`inforeg bench keymorph`: keypoints beside global searches and other tools."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, options
from inforeg.cli.bench import folders, names_in


def keymorph(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results and tables; it may be there.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images: ms/, brats/ and oasis/.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="A model of keypoints: a file, or the name of a shipped one.")
    ] = "brain-keypoints",
    sets: Annotated[
        str | None,
        typer.Option("--sets", help="Sets, with commas: rigid, affine, same, heads, upright; all if none."),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods, with commas: keymorph, keymorph+linear, linear, greedy, ants, elastix, ...; those each set"
            " is about if none.",
        ),
    ] = None,
    cases: Annotated[
        int, typer.Option("--cases", min=1, max=10_000, help="Cases of each set, the angles in turn.")
    ] = 20,
    first: Annotated[int, typer.Option("--first", min=0, help="The first of them.")] = 0,
    spacing: Annotated[
        float, typer.Option("--spacing", min=1, help="Voxels of both images, in mm; a whole number.")
    ] = 2.0,
    train: Annotated[
        bool,
        typer.Option(
            "--train", help="Train brain-keypoints from nothing first, on synthseg/ of --data, and try that."
        ),
    ] = False,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps that it learns for.")] = 15_000,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Measure whole processes on the first cases of rigid, and nothing else."
        ),
    ] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the tables of what is done.")
    ] = False,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Turn heads by 0 to 180 degrees, and register them by keypoints, our global search, and other tools.

    What is done is not repeated: a run that was stopped goes on where it was.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)

    import torch

    from inforeg.bench import chosen
    from inforeg.bench.keymorph.contestants import CONTESTANTS, Setting
    from inforeg.bench.keymorph.run import rows_of, run
    from inforeg.bench.keymorph.sets import SETS
    from inforeg.bench.keymorph.table import markdown
    from inforeg.io import atomic_path
    from inforeg.shipped import model_path

    needed = not table_only
    asked, notes = chosen.chosen_sets(SETS, names_in(sets), data, needed)
    who, more = chosen.chosen_methods(CONTESTANTS, CONTESTANTS, names_in(methods), needed)
    for note in [*notes, *more]:
        console.say(note, quiet)
    if needed:
        assert data is not None
        threads = threads or torch.get_num_threads()
        torch.set_num_threads(threads)
        output.mkdir(parents=True, exist_ok=True)
        if train:
            from inforeg.bench.keymorph.training import train_model

            model = str(train_model(data, output, steps, threads, partial(console.say, quiet=quiet)))
        model_path(model)
        if whole:
            from inforeg.bench.keymorph import whole as processes

            say = partial(console.say, quiet=quiet)
            taken = processes.whole_processes(data, model, cases, spacing, threads, say)
            console.say(processes.markdown(taken).rstrip("\n"))
            return
        run(
            asked,
            who if names_in(methods) else [],
            first,
            cases,
            data,
            output,
            Setting(model, threads, seed, output),
            spacing,
            partial(console.say, quiet=quiet),
        )
    rows = rows_of(output / "results.jsonl")
    text = markdown(rows)
    if rows:
        with atomic_path(output / "tables.md", overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    console.say(text.rstrip("\n"))
