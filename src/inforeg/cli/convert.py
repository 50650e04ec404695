"""`inforeg convert`: the same transform, image or points in another tool's file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inforeg.cli import chain, console, names, options
from inforeg.cli.writing import refuse, write
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.transforms import Transform


def convert(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write; with --naming ants, the folder.")
    ],
    transform: Annotated[
        Path | None, typer.Option("--transform", "-t", help="A transform to convert.")
    ] = None,
    image: Annotated[Path | None, typer.Option("--image", "-i", help="An image to convert.")] = None,
    points: Annotated[
        Path | None, typer.Option("--points", "-p", help="Points, a mesh or streamlines to convert.")
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="What the points' numbers are: ras, lps or voxel.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference", "-r", help="The image whose grid a field gets, or points in voxels are on."
        ),
    ] = None,
    volume: Annotated[
        int | None, typer.Option("--volume", min=0, help="One volume of a series, from 0.")
    ] = None,
    fixed: options.FixedOfFormat = None,
    moving: options.MovingOfFormat = None,
    from_format: options.FromFormat = None,
    to_format: options.ToFormat = None,
    naming: options.Naming = None,
    overwrite: options.Overwrite = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Write a transform, an image or points as another tool's file; nothing is moved or resampled."""
    console.start(quiet, verbose, debug)
    sources = [path for path in (transform, image, points) if path is not None]
    if len(sources) != 1:
        raise UsageError("expected one of --transform, --image and --points to convert")
    if naming is not None:
        names.one_of("--naming", naming, ("ants",))
        if transform is None:
            raise UsageError("--naming is for transforms: give --transform")

    inputs = [*sources, reference, fixed, moving]
    told: dict[str, object] = {"output": str(output)}
    if naming is None:
        refuse([output], inputs, overwrite)
    else:
        from inforeg.io.atomic import refuse_inputs

        refuse_inputs(output, inputs)
    if transform is not None:
        grids = (chain.grid_of(fixed), chain.grid_of(moving))
        whole, _ = chain.read_plain_chain([transform], from_format, *grids)
        if naming is None:
            write(whole, output, to_format, grids, overwrite, chain.grid_of(reference))
        else:
            told |= _as_ants(whole, output, overwrite)
    elif image is not None:
        from inforeg.io import convert_image

        convert_image(image, output, volume=volume, overwrite=overwrite)
    elif points is not None:
        from inforeg.io import read_point_set, write_point_set

        grid = chain.grid_of(reference)
        marked = read_point_set(points, space=space, grid=grid)  # type: ignore[arg-type]
        write_point_set(marked, output, grid=grid, overwrite=overwrite)
    if json:
        console.say_json(told)
        return
    for key in ("to_fixed", "to_moving"):
        if key in told:
            console.say(str(told[key]), quiet)
    console.say(f"written: {output}", quiet)


def _as_ants(transform: "Transform", folder: Path, overwrite: bool) -> dict[str, object]:
    from inforeg.io import write_ants_files

    lists = write_ants_files(transform, folder, overwrite=overwrite)
    command = f"antsApplyTransforms -d {transform.ndim} -i MOVING -r FIXED -o OUT"
    told: dict[str, object] = {"to_fixed": f"{command} {lists[0]}"}
    if len(lists) > 1:
        told["to_moving"] = f"antsApplyTransforms -d {transform.ndim} -i FIXED -r MOVING -o OUT {lists[1]}"
    return told
