"""`inforeg group`: many images to the mean of their keypoints."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, options
from inforeg.errors import QUALITY_EXIT_CODE, UsageError


def group(
    images: Annotated[list[Path], typer.Argument(help="Two or more images, of any contrasts and poses.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make.")],
    model: Annotated[
        str, typer.Option("--model", help="A model of keypoints: a file, or the name of a shipped one.")
    ] = "brain-keypoints",
    transform: Annotated[
        str, typer.Option("--transform", "-t", help="rigid, similarity, affine or tps.")
    ] = "affine",
    spacing: Annotated[
        float | None,
        typer.Option(
            "--spacing", min=0.01, help="Voxels of the group's grid, in mm; the finest of the images'."
        ),
    ] = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    device: options.Device = "auto",
    threads: options.Threads = None,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> int:
    """Bring many images to the space between them, by their keypoints, and write their transforms and their mean."""
    quiet = quiet or json
    console.start(quiet, verbose, debug)
    names = [_name(path) for path in images]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"expected images of different names, got {', '.join(twice)} more than once")

    import torch

    from inforeg import io
    from inforeg.cohort import align_group
    from inforeg.cohort.saving import record_of, save_group
    from inforeg.register.front import device_of

    if threads is not None:
        torch.set_num_threads(threads)
    target = device_of(device)
    io.refuse_folder(output, overwrite)
    found = align_group(
        [io.read_image(path).to(target) for path in images], model, transform, spacing_mm=spacing, names=names
    )
    save_group(found, output, images, overwrite=overwrite, say=partial(console.say, quiet=quiet))
    if json:
        console.say_json(record_of(found, images))
    console.say(found.notes[0], quiet)
    for doubt in found.doubts:
        console.say(f"check: {doubt}", quiet)
    console.say(f"written: members, mean.nii.gz and result.json in {output}", quiet)
    return 0 if found.ok else QUALITY_EXIT_CODE


def _name(path: Path) -> str:
    name = path.name
    while (shorter := Path(name).stem) != name:
        name = shorter
    return name
