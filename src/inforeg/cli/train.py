"""`inforeg train`: a recipe and images in, a model file out."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, names, options
from inforeg.errors import QUALITY_EXIT_CODE, UsageError


def train(
    recipe: Annotated[
        Path | None,
        typer.Argument(help="What to train on, and how: a .toml or .json file.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder of the run: model.safetensors, log.jsonl, tensorboard/, pictures/, and a checkpoint.",
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a recipe with every setting and what it means, and stop.")
    ] = False,
    network: Annotated[
        str,
        typer.Option("--network", help="Whose settings --example prints: velocity, keypoints or patches."),
    ] = "velocity",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's checkpoint, to the same result.")
    ] = False,
    overfit_pair: Annotated[
        bool,
        typer.Option(
            "--overfit-pair",
            help="Train on one pair alone, as a test of images and recipe; ends with 3 where that gets nowhere.",
        ),
    ] = False,
    ranks: Annotated[
        int, typer.Option("--ranks", min=1, help="Processes that share the work, one on each device.")
    ] = 1,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Train a network to register images, as a recipe says. The best model so far is in the folder at any time."""
    console.start(quiet, verbose, debug)
    names.device(device)
    names.one_of("--network", network, ("velocity", "keypoints", "patches"))
    if example:
        from inforeg.train.recipes import example as example_recipe

        console.say(example_recipe(network))
        return 0
    if recipe is None or output is None:
        raise UsageError("expected a recipe and a folder: inforeg train recipe.toml -o folder")

    from inforeg.io import refuse_inputs

    refuse_inputs(output, [recipe])

    from inforeg.train.loop import train as run
    from inforeg.train.machine import Machine, follows, launched
    from inforeg.train.recipes import VelocityRecipe, read_recipe

    wanted = read_recipe(recipe)
    # Of several ranks the first one speaks.
    quiet = quiet or follows()

    def say(line: str) -> None:
        console.say(line, quiet)

    if overfit_pair:
        if not isinstance(wanted, VelocityRecipe):
            raise UsageError(
                "--overfit-pair: expected a recipe of a velocity network; of keypoints look at `anchor`, of patches at"
                " `right`, in the log"
            )
        from inforeg.train.overfit import overfit

        before, after = overfit(wanted, output, say=say)
        gained = after.nmi > before.nmi
        console.say(
            f"one pair: NMI {before.nmi:.4f} to {after.nmi:.4f}"
            + (f", Dice {before.dice:.3f} to {after.dice:.3f}" if after.dice is not None else "")
            + f", {after.folds} folds: {'it learns' if gained else 'it does not learn'}",
            quiet,
        )
        return 0 if gained else QUALITY_EXIT_CODE
    with console.progress(shown=not quiet) as progress:
        done = run(
            wanted, output, resume=resume, machine=Machine(device, ranks, threads), progress=progress, say=say
        )
    for warning in done.warnings:
        console.say(f"warning: {warning}", quiet)
    if done.last is not None and done.best.best is not None:
        best = done.last.score_in_words(done.best.best)
        console.say(f"best at step {done.best.best_step} of {done.steps}: {best} on pairs held back", quiet)
    console.say(f"written: {output / 'model.safetensors'}; use it with inforeg register --method", quiet)
    if launched():
        # All is written. To take down what ranks share can abort one of them, or hang.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return 0
