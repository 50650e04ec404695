"""`inforeg register`: bring one image to another."""

import json as json_text
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from inforeg.cli import console, names, options
from inforeg.errors import QUALITY_EXIT_CODE, UsageError


def register(
    fixed: Annotated[Path, typer.Option("--fixed", "-f", help="The image that stays.")],
    moving: Annotated[Path, typer.Option("--moving", "-m", help="The image that is brought to it.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder for the warped image, transforms, result.json, report.html."
        ),
    ],
    transform: Annotated[
        str,
        typer.Option(
            "--transform",
            "-t",
            help=f"{', '.join(names.TRANSFORMS)}, or a chain such as rigid+affine. svf deforms, and comes last:"
            " rigid+affine+svf, which svf alone is short for.",
        ),
    ] = "auto",
    init: Annotated[
        str,
        typer.Option(
            "--init",
            help=f"Where to start: {', '.join(names.STARTS)}, a transform file, or a model of keypoints.",
        ),
    ] = "auto",
    metric: Annotated[
        str | None,
        typer.Option(
            "--metric",
            help=f"{', '.join(names.METRICS)}; of a deformation (svf) {', '.join(names.DEFORMABLE_METRICS)}."
            " Or the file of a learnt metric (inforeg train), for any transform but projective. The method's own if not"
            " given.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            help="linear (if not given: mutual information from a table), svf (the same, then a smooth deformation;"
            " if not given and the transform ends with it), drmime (by a network, which sees all channels),"
            " drmime-paper (the same as published), or a trained model: its file, or its name if inforeg ships it"
            " (inforeg models list); of a learnt metric that is the same as --metric. MODEL+svf refines what a model"
            " says by 20 steps of svf, MODEL+svf60 by 60; MODEL+linear goes on from keypoints.",
        ),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option("--settings", help="Settings of the method, .json or .toml.")
    ] = None,
    fixed_mask: Annotated[
        Path | None, typer.Option("--fixed-mask", help="Where in the fixed image to look (above 0.5).")
    ] = None,
    moving_mask: Annotated[
        Path | None, typer.Option("--moving-mask", help="Where in the moving image to look (above 0.5).")
    ] = None,
    interp: Annotated[
        str,
        typer.Option(
            "--interp", "-n", help="How the warped image is interpolated: linear, nearest, bspline."
        ),
    ] = "linear",
    naming: options.Naming = None,
    device: options.Device = "auto",
    threads: options.Threads = None,
    seed: options.Seed = 0,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Register the moving image to the fixed one, and write the result into a folder."""
    console.start(quiet, verbose, debug)
    names.transform_chain(transform)
    names.start(init)
    names.one_of("--interp", interp, names.INTERPOLATIONS)
    names.device(device)
    if naming is not None:
        names.one_of("--naming", naming, ("ants",))
        if "projective" in transform.split("+"):
            raise UsageError("--naming ants: ANTs has no projective transform")
    if metric is not None:
        deforms = method == "svf" or (method is None and "svf" in transform.split("+"))
        names.metric(metric, deforms)
    if method is not None:
        names.method(method)

    from inforeg.io.ahead import read_ahead
    from inforeg.io.atomic import refuse_folder, refuse_inputs

    # What is refused at the end is refused now, before anyone waits for it.
    inputs = [
        path for path in (fixed, moving, fixed_mask, moving_mask, settings, Path(init)) if path is not None
    ]
    refuse_inputs(output, inputs)
    refuse_folder(output, overwrite)
    if naming is not None and settings is not None:
        _refuse_projective(settings, method)
    read_ahead(fixed, moving)

    from inforeg.register import register as run

    chosen: dict[str, Any] = {"metric": metric, "method": method, "settings": settings}
    with console.progress(shown=not (quiet or json)) as progress:
        result = run(
            fixed,
            moving,
            transform=transform,
            init=init,
            fixed_mask=fixed_mask,
            moving_mask=moving_mask,
            device=device,
            threads=threads,
            seed=seed,
            progress=progress,
            **{name: value for name, value in chosen.items() if value is not None},
        )
        result.save(output, overwrite=overwrite, interpolation=interp, naming=naming)
    if json:
        console.say_json(json_text.loads((output / "result.json").read_text(encoding="utf-8")))
    else:
        _tell(result, output, quiet)
    return 0 if result.ok else QUALITY_EXIT_CODE


def _refuse_projective(settings: Path, method: str | None) -> None:
    """Settings may ask for what ANTs cannot hold, like the flag."""
    from inforeg.methods import from_settings

    values = from_settings(settings, method).to_dict()
    if "projective" in (values.get("transform"), *values.get("stages", ())):
        raise UsageError(f"--naming ants: ANTs has no projective transform, which {settings} asks for")


def _tell(result: Any, output: Path, quiet: bool) -> None:
    # A method that climbs by several networks does the same again and again.
    stages = " then ".join(name for name, _ in groupby(stage.name for stage in result.stages))
    console.say(f"{stages}, {result.seconds:.1f} s: points of the fixed image go to the moving image", quiet)
    for note in result.notes:
        console.say(f"note: {note}", quiet)
    reasons = "; ".join(result.quality.reasons)
    console.say(f"quality: {result.quality.verdict}{': ' + reasons if reasons else ''}", quiet)
    console.say(f"written: {', '.join(sorted(entry.name for entry in output.iterdir()))} in {output}", quiet)
