"""`inforeg bench`: measure a method beside the ones it has to beat, on images whose answer is known."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inforeg.cli import console, options
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.bench.drmime.run import Plan

app = typer.Typer(
    help="Measure a method beside the ones it has to beat, on images whose answer is known.",
    rich_markup_mode=None,
    no_args_is_help=True,
)


def drmime(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results, tables and curves; it may be there.")
    ],
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            help="Sets, with commas: fundus, fundus-projective, stains, kidney, slices, brain; all whose images are"
            " there if not given.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods, with commas: drmime, drmime-paper, linear, mmi, jhmi, ncc, mse, nmi, ..., or the published"
            " form without a part: single, direct, random, no-v1; all that are installed if not given.",
        ),
    ] = None,
    cases: Annotated[int, typer.Option("--cases", min=0, max=10_000, help="Cases of each set.")] = 30,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of images, for kidney, slices and brain.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size", min=16, max=4096, help="Voxels along the longest side; each set's own if not given."
        ),
    ] = None,
    iterations: Annotated[
        int, typer.Option("--iterations", min=1, max=1_000_000, help="Steps of the published form.")
    ] = 500,
    curves: Annotated[
        int, typer.Option("--curves", min=0, help="Cases of each set whose error is drawn against time.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option("--jobs", min=1, help="Runs at a time; with more than one, seconds say little.")
    ] = 1,
    again: Annotated[bool, typer.Option("--again", help="Repeat runs that are done.")] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the tables of what is done.")
    ] = False,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Register image sets with known answers by DRMIME, its published form, and other tools; print tables of errors.

    What is done is not repeated: a run that was stopped goes on where it was.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)
    asked_sets, asked_methods = names_in(sets), names_in(methods)

    import torch

    from inforeg.bench.drmime.contestants import chosen_contestants
    from inforeg.bench.drmime.run import Plan, run
    from inforeg.bench.drmime.sets import chosen_sets

    chosen, notes = chosen_sets(asked_sets, data, needed=not table_only)
    contestants, more = chosen_contestants(asked_methods, needed=not table_only)
    plan = Plan(
        output=output,
        sets=chosen,
        methods=contestants,
        cases=cases,
        data=data,
        threads=threads or torch.get_num_threads(),
        seed=seed,
        size=size,
        iterations=iterations,
        jobs=jobs,
        again=again,
    )
    if table_only:
        _tables(plan, chosen, contestants)
        _curves(plan, contestants, 0, quiet)
        return
    for note in (*notes, *more):
        console.say(note, quiet)
    run(plan, lambda line: console.say(line, quiet))
    _tables(plan)
    if curves:
        _curves(plan, asked_methods, curves, quiet)


def deformable(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results and tables; it may be there.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Folder of images: ms/, brats/ and oasis/; needed for all but --table-only."
        ),
    ] = None,
    sets: Annotated[
        str | None,
        typer.Option(
            "--sets",
            help="Sets, with commas: known, still, oasis, oasis-contrast, tissue; all whose images are there if not"
            " given.",
        ),
    ] = None,
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods, with commas: svf, ours with another metric (svf-lncc, ...), or other tools (syn-mi,"
            " greedy-nmi, elastix-bspline, ...); svf and the usual tools that are installed if not given.",
        ),
    ] = None,
    cases: Annotated[
        int, typer.Option("--cases", min=1, max=10_000, help="Cases of each set, as far as it has them.")
    ] = 12,
    spacing: Annotated[
        float,
        typer.Option("--spacing", min=0.2, max=8.0, help="Spacing (mm) to bring the images to: 2, 1, 0.7."),
    ] = 1.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=1.0, help="Seconds after which a run is given up.")
    ] = 3600.0,
    again: Annotated[bool, typer.Option("--again", help="Repeat runs that are done.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep what each run left, in runs/.")] = False,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="Run nothing; make the tables of what is done.")
    ] = False,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Register heads by our deformable method and other tools, each as a whole process; print tables.

    Errors against known warps, overlap of labels, folds, inverse errors, seconds and memory. What is done is not
    repeated: a run that was stopped goes on where it was.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)
    asked_sets, asked_methods = names_in(sets), names_in(methods)

    import torch

    from inforeg.bench.deformable.contestants import chosen_methods
    from inforeg.bench.deformable.run import Plan, run
    from inforeg.bench.deformable.sets import chosen_sets

    chosen, notes = chosen_sets(asked_sets, data, needed=not table_only)
    contestants, more = chosen_methods(asked_methods, needed=not table_only)
    if not table_only:
        for note in (*notes, *more):
            console.say(note, quiet)
        assert data is not None
        plan = Plan(
            output=output,
            sets=chosen,
            methods=contestants,
            data=data,
            cases=cases,
            spacing_mm=spacing,
            threads=threads or torch.get_num_threads(),
            seed=seed,
            limit_s=timeout,
            again=again,
            keep=keep,
        )
        run(plan, lambda line: console.say(line, quiet))
        chosen, contestants = [], []
    _deformable_tables(output, seed, chosen, contestants)


def kidney(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for results and pictures; it may be there.")
    ],
    data: Annotated[
        Path, typer.Option("--data", help="Folder of images, with histology/ and the two sections in it.")
    ],
    methods: Annotated[
        str | None,
        typer.Option(
            "--methods",
            help="Methods, with commas: drmime, drmime-paper, linear, elastix, ants, simpleitk, ...; all of ours, and"
            " these tools where they are installed, if not given.",
        ),
    ] = None,
    threads: options.Threads = None,
    seed: options.Seed = 0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Register two stains of a kidney as their files are, affinely; prints landmark errors and seconds of each method.

    A checkerboard of the fixed and the warped picture is drawn for each.
    """
    console.start(quiet, verbose, debug)
    folders(output, data)

    from inforeg.bench.kidney import run

    code: int = run(data, output, threads, seed, names_in(methods), say=lambda line: console.say(line, quiet))
    return code


def folders(output: Path, data: Path | None) -> None:
    """Raises `UsageError` for an output that is a file, and for data that is no folder."""
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: expected a folder, and {output} is a file")
    if data is not None and not data.is_dir():
        raise UsageError(f"--data: expected a folder, and {data} is none")


def written(output: Path, contents: Mapping[str, str]) -> None:
    """Write texts by their names into a folder, in place of what is there."""
    from inforeg.io import atomic_path

    for name, content in contents.items():
        with atomic_path(output / name, overwrite=True) as temporary:
            temporary.write_text(content, encoding="utf-8")


def names_in(given: str | None) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in given.split(",") if name.strip()] if given else []


def _tables(plan: "Plan", sets: list[str] | None = None, methods: list[str] | None = None) -> None:
    from inforeg.bench.drmime.results import read_rows
    from inforeg.bench.drmime.table import markdown
    from inforeg.io import atomic_path

    # All that was ever run with this seed and size, not what this call was about alone.
    rows = [
        row
        for row in read_rows(plan.results)
        if (row.seed, row.size) == (plan.seed, plan.size)
        and (sets is None or row.set in sets)
        and (methods is None or row.method in methods)
    ]
    text = markdown(rows)
    if rows:
        with atomic_path(plan.output / "tables.md", overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    console.say(text.rstrip("\n"))


def _deformable_tables(output: Path, seed: int, sets: list[str], methods: list[str]) -> None:
    """The tables of all that was ever run with this seed; of some sets and methods, where they are given."""
    from inforeg.bench.deformable.results import read_rows
    from inforeg.bench.deformable.table import markdown
    from inforeg.io import atomic_path

    rows = [
        row
        for row in read_rows(output / "results.jsonl")
        if row.seed == seed and (not sets or row.set in sets) and (not methods or row.method in methods)
    ]
    text = markdown(rows)
    if rows:
        with atomic_path(output / "tables.md", overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")
    console.say(text.rstrip("\n"))


def _curves(plan: "Plan", methods: list[str], count: int, quiet: bool) -> None:
    from inforeg.bench.drmime.trace import DRAWN, trace

    names = methods or [name for name in DRAWN if name in plan.methods]
    for name in plan.sets:
        if count or (plan.output / f"curves-{name}.csv").exists():
            said = trace(plan, name, names, count, lambda line: console.say(line, quiet))
            console.say(f"{name}: {plan.output / f'curves-{name}.svg'}. {said}".strip())
