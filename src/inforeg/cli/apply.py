"""`inforeg apply`: put an image, a series or a label map on another image's grid, through transforms."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import chain, console, names, options
from inforeg.cli.writing import refuse
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.io import Header
    from inforeg.register.chains import Chain
    from inforeg.space import Grid

log = logging.getLogger("inforeg")


def apply(
    image: Annotated[Path, typer.Option("--image", "-i", help="The image, series or label map to warp.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            "-r",
            help="The image whose grid the output gets (the fixed one). With a registration's folder it can be"
            " left out: its other image.",
        ),
    ] = None,
    transform: options.Chain = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            help="Which image of the registration this one lies with: moving, or fixed, for which the chain is"
            " turned round. Needed where neither file nor grid tells.",
        ),
    ] = None,
    interp: options.Interpolation = "linear",
    outside: Annotated[float, typer.Option("--outside", help="Value where the image has none.")] = 0.0,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="Type to write, such as int16; float32 if not given.")
    ] = None,
    from_format: options.FromFormat = None,
    threads: options.Threads = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Warp an image (labels: -n label) through transforms, onto another image's grid.

    Folders that register wrote are walked the way that is needed. Of files the image is taken to lie with the moving
    image, and the reference with the fixed one, unless --on says otherwise.
    """
    console.start(quiet, verbose, debug)
    names.one_of("--interp", interp, (*names.INTERPOLATIONS, "label"))
    wanted = chain.side(on)
    if interp == "label" and dtype is not None:
        raise UsageError("--dtype: labels keep the type of their file; leave it out")
    if interp == "label" and not (outside.is_integer() and abs(outside) <= 2**53):
        raise UsageError(f"--outside: labels are whole numbers, got {outside:g}")
    paths = transform or []

    refuse([output], [image, reference, *paths], overwrite)

    from inforeg.io.ahead import read_ahead
    from inforeg.io.formats import series_writer, writer
    from inforeg.io.headers import read_header

    header = read_header(image)
    (series_writer if header.volumes > 1 else writer)(output)
    if header.volumes == 1:
        read_ahead(image)

    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    found, grid = _found(paths, from_format, image, header, reference, wanted)
    console.say(found.words, quiet or json)

    from inforeg.register.room import check_apply

    check_apply(header, grid, found.transform, interp, dtype)
    _write(header, image, output, grid, found, interp, outside, dtype, overwrite)
    if json:
        console.say_json(
            {"output": str(output), "chain": [str(path) for path in paths], "words": found.words}
        )
    else:
        console.say(f"written: {output}", quiet)


def _found(
    paths: list[Path], format: str | None, image: Path, header: "Header", reference: Path | None, on: Any
) -> "tuple[Chain, Grid]":
    """The chain that is needed, and the grid to draw on."""
    from inforeg.io.grids import grid_in
    from inforeg.register.chains import other_end, to_image

    moving = chain.space_of(image, grid_in(image, header.shape, header.voxel_to_world))
    target = None if reference is None else chain.space_of(reference)
    links = chain.read_links(paths, format, None if target is None else target.grid, moving.grid)
    if target is None:
        if len(links) != 1 or not links[0].of_registration:
            raise UsageError("give the image whose grid the output gets: --reference")
        target = other_end(links[0], moving, on)
    assert target.grid is not None and moving.grid is not None
    if target.grid.ndim != moving.grid.ndim:
        raise UsageError(
            f"expected both in 2-D or both in 3-D: {image} is {moving.grid.ndim}-D,"
            f" {target.name} is {target.grid.ndim}-D"
        )
    return to_image(links, target, moving, ndim=target.grid.ndim, on=on), target.grid


def _write(
    header: "Header",
    image: Path,
    output: Path,
    grid: "Grid",
    found: "Chain",
    interp: str,
    outside: float,
    dtype: str | None,
    overwrite: bool,
) -> None:
    from inforeg.image import resample, resample_labels
    from inforeg.io import read_image, read_labels, read_series, write_image, write_labels, write_series

    through: Any = found.transform
    mode: Any = interp
    if header.volumes > 1:
        series = read_series(image)
        numbers = range(len(series))
        if interp == "label":
            kept = int(outside)
            warped: Any = (resample_labels(series.labels(n), grid, through, outside=kept) for n in numbers)
        else:
            warped = (resample(series[n], grid, through, mode=mode, outside=outside) for n in numbers)
        write_series(
            warped,
            output,
            count=len(series),
            step=series.step,
            step_unit=series.step_unit,
            dtype=dtype,
            overwrite=overwrite,
        )
    elif interp == "label":
        moved = resample_labels(read_labels(image), grid, through, outside=int(outside))
        write_labels(moved, output, overwrite=overwrite)
    else:
        moving = read_image(image)
        if interp in ("linear", "bspline"):
            from inforeg.image.checks import looks_like_labels

            if looks_like_labels(moving):
                log.warning(
                    "%s looks like a label map, and %s interpolation mixes its ids; use -n label",
                    image,
                    interp,
                )
        write_image(
            resample(moving, grid, through, mode=mode, outside=outside),
            output,
            dtype=dtype,
            overwrite=overwrite,
        )
