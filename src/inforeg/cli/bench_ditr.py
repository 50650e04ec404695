"""`inforeg bench ditr`: a learnt metric of patches beside mutual information and other tools."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, options
from inforeg.cli.bench import folders, names_in, written


def ditr(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for metrics, results, tables and pictures.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images: ms/, brats/ and oasis/.")
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            help="Sets, with commas: rigid, affine, edges, edges-soft, edges-part, edges-shadows, edges-turned, stains;"
            " all if none.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods, with commas: ditr, ditr-plain, ditr-search, ditr-header, ditr-powell, ditr-published,"
            " mi-powell, mi-powell-scales, linear, greedy, ...; those each set is about if none.",
        ),
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=1, max=10_000, help="Cases of each set.")] = 40,
    first: Annotated[int, typer.Option("--first", min=0, help="The first of them.")] = 0,
    steps: Annotated[
        int, typer.Option("--steps", min=1, help="Steps that each network of a metric learns for.")
    ] = 1000,
    responses: Annotated[
        bool,
        typer.Option(
            "--responses", help="Draw the response functions of the stages and of a shift, and nothing else."
        ),
    ] = False,
    warps: Annotated[
        int,
        typer.Option(
            "--warps", min=0, help="Compare metrics in svf on so many known warps, and nothing else."
        ),
    ] = 0,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the tables of what is done.")
    ] = False,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train metrics on misaligned pairs of some patients, and register others by them and by mutual information.

    A metric is trained where it is needed and not there yet. What is done is not repeated: a run that was stopped goes
    on where it was.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)

    import torch

    from inforeg.bench import chosen
    from inforeg.bench.ditr import dense, response
    from inforeg.bench.ditr.cases import SETS
    from inforeg.bench.ditr.contestants import CONTESTANTS, USUAL, Setting, metrics_of
    from inforeg.bench.ditr.run import rows_of, run
    from inforeg.bench.ditr.table import box_plots, markdown
    from inforeg.bench.ditr.training import trained
    from inforeg.errors import UsageError

    say = partial(console.say, quiet=quiet)
    needed = not table_only
    if (responses or warps) and data is None:
        raise UsageError("--responses and --warps need --data, the folder of images")
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)

    def made(name: str) -> Path:
        return trained(name, data, output, steps, threads, say)

    if responses:
        assert data is not None
        console.say(response.drawn(made, data, output).rstrip("\n"))
        return
    if warps:
        assert data is not None
        console.say(dense.markdown(dense.run(data, output, made("dithered"), warps, seed, say)).rstrip("\n"))
        return
    asked, notes = chosen.chosen_sets(SETS, names_in(sets), data, needed)
    who, more = chosen.chosen_methods(CONTESTANTS, CONTESTANTS, names_in(methods), needed)
    for note in [*notes, *more]:
        say(note)
    if needed:
        output.mkdir(parents=True, exist_ok=True)
        usual = {name: who if names_in(methods) else USUAL[name] for name in asked}
        metrics = {name: made(name) for name in metrics_of(usual)}
        setting = Setting(metrics, threads, seed, output)
        run(asked, who if names_in(methods) else [], first, cases, data or output, output, setting, say)
    rows = rows_of(output / "results.jsonl")
    text = markdown(rows)
    if rows:
        pictures = {f"{name}.svg": svg for name, svg in box_plots(rows).items()}
        written(output, {"tables.md": text, **pictures})
    console.say(text.rstrip("\n"))
