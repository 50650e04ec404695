"""`inforeg apply`: put an image or a label map on another image's grid, through transforms."""

from pathlib import Path
from typing import Annotated

import typer

from inforeg.cli import console, names, options
from inforeg.cli.chain import in_words, read_chain
from inforeg.errors import UsageError


def apply(
    image: Annotated[Path, typer.Option("--image", "-i", help="The image or label map to warp.")],
    reference: Annotated[
        Path, typer.Option("--reference", "-r", help="The image whose grid the output gets (the fixed one).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    transform: options.Chain = None,
    interp: options.Interpolation = "linear",
    outside: Annotated[float, typer.Option("--outside", help="Value where the image has none.")] = 0.0,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="Type to write, such as int16; float32 if not given.")
    ] = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Warp an image (labels: -n label) by the transforms that a registration to the reference wrote."""
    console.start(quiet, verbose, debug)
    names.one_of("--interp", interp, (*names.INTERPOLATIONS, "label"))
    if interp == "label" and dtype is not None:
        raise UsageError("--dtype: labels keep the type of their file; leave it out")
    paths = transform or []

    from inforeg.io.ahead import read_ahead
    from inforeg.io.atomic import refuse_file, refuse_inputs
    from inforeg.io.formats import writer

    writer(output)
    refuse_inputs(output, [image, reference, *paths])
    refuse_file(output, overwrite)
    read_ahead(image, reference)

    import torch

    from inforeg.image import resample, resample_labels
    from inforeg.io import read_image, read_labels, write_image, write_labels

    if threads is not None:
        torch.set_num_threads(threads)
    grid = read_image(reference).grid
    chain = read_chain(paths, grid.ndim)
    words = in_words(paths, reference, image)
    if interp == "label":
        labels = read_labels(image)
        _same_ndim(labels.grid.ndim, grid.ndim, image, reference)
        write_labels(resample_labels(labels, grid, chain, outside=int(outside)), output, overwrite=overwrite)
    else:
        moving = read_image(image)
        _same_ndim(moving.grid.ndim, grid.ndim, image, reference)
        warped = resample(moving, grid, chain, mode=interp, outside=outside)  # type: ignore[arg-type]
        write_image(warped, output, dtype=dtype, overwrite=overwrite)
    if json:
        console.say_json({"output": str(output), "chain": [str(path) for path in paths], "words": words})
    else:
        console.say(words, quiet)
        console.say(f"written: {output}", quiet)


def _same_ndim(of_image: int, of_reference: int, image: Path, reference: Path) -> None:
    if of_image != of_reference:
        raise UsageError(
            f"expected both in 2-D or both in 3-D: {image} is {of_image}-D, {reference} is {of_reference}-D"
        )
