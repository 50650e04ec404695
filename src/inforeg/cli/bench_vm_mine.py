"""`inforeg bench vm-mine`: registration networks, trained and tried beside the tools they have to beat."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, options
from inforeg.cli.bench import folders, names_in
from inforeg.errors import UsageError


def vm_mine(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for networks, results and tables; it may be there.")
    ],
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder of images: oasis/ and ms/; needed for all but --table-only."),
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option("--sets", help="Sets, with commas: multi, mono, flair; multi and flair if not given."),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            "--networks",
            help="Networks, with commas: vm-cc, vm-mine-global, vm-mine-local, vm-mine-exact, vm-nmi, brain;"
            " all if none.",
        ),
    ] = None,
    peers: Annotated[
        str | None,
        typer.Option(
            "--peers", help="Others, with commas: syn-mi, syn-cc, svf; syn-mi and svf if not given."
        ),
    ] = None,
    alphas: Annotated[
        str, typer.Option("--alphas", help="Weights that vm-mine-local is trained with too, with commas.")
    ] = "0.5,1,2,5",
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, help="Seeds of each network at most; each one's own if not given."),
    ] = None,
    cases: Annotated[
        int, typer.Option("--cases", min=1, help="Cases of each set, as far as it has them.")
    ] = 6,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps that each network learns for.")] = 2000,
    no_training: Annotated[
        bool, typer.Option("--no-training", help="Train nothing; try the networks that are there.")
    ] = False,
    costs: Annotated[
        bool,
        typer.Option(
            "--costs",
            help="Train and try nothing; measure pairs a second, memory, and a look at the published size.",
        ),
    ] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the tables of what is done.")
    ] = False,
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Train registration networks, and try them on heads held back, beside ANTs SyN and our pair solver.

    What is done is not repeated: a network whose training was stopped goes on, and so do the runs.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)
    if data is None and not table_only:
        raise UsageError("expected --data, the folder of images with oasis/ and ms/ in it")

    import torch

    from inforeg.bench import chosen
    from inforeg.bench.deformable.contestants import CONTESTANTS
    from inforeg.bench.deformable.results import read_rows
    from inforeg.bench.vm_mine import networks as known
    from inforeg.bench.vm_mine.costs import markdown as costs_table
    from inforeg.bench.vm_mine.costs import training_costs
    from inforeg.bench.vm_mine.run import PEERS, look_at_full_size, run
    from inforeg.bench.vm_mine.sets import SETS
    from inforeg.bench.vm_mine.table import markdown
    from inforeg.io import atomic_path

    if not table_only:
        assert data is not None
        asked, _ = chosen.chosen_sets(SETS, names_in(sets) or ["multi", "flair"], data, True)
        others, notes = chosen.chosen_methods(CONTESTANTS, PEERS, names_in(peers), True)
        for note in notes:
            console.say(note, quiet)
        kinds = names_in(networks) or list(known.KINDS)
        for kind in kinds:
            if kind not in known.KINDS:
                raise UsageError(f"--networks: unknown name {kind!r}; expected {', '.join(known.KINDS)}")
        try:
            weights = [float(value) for value in names_in(alphas)]
        except ValueError:
            raise UsageError(f"--alphas: expected numbers with commas between them, got {alphas!r}") from None
        threads = threads or torch.get_num_threads()
        say = partial(console.say, quiet=quiet)
        if costs:
            found = training_costs(kinds, data, output, known.Schedule(steps=steps), threads, say)
            look_at_full_size(data, output, threads, say)
            full = read_rows(output / "full-size" / "results.jsonl")
            console.say(f"{costs_table(found)}\n{markdown(full)}".rstrip("\n"))
            return
        run(
            known.networks(kinds, seeds, weights),
            data,
            output,
            sets=asked,
            peers=others,
            cases=cases,
            schedule=known.Schedule(steps=steps),
            threads=threads,
            training=not no_training,
            say=say,
        )
    rows = read_rows(output / "results.jsonl")
    text = markdown(rows)
    if rows:
        with atomic_path(output / "tables.md", overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    console.say(text.rstrip("\n"))
