"""`inforeg info`: what a file holds, and how two images lie to each other."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inforeg.cli import console, names, options
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.io.headers import Header


def info(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE [FILE]",
            help="Images, transforms, points, or folders that register wrote; two at most.",
        ),
    ],
    values: Annotated[
        bool, typer.Option("--values", help="Read the voxels too: range, NaN, and whether they are labels.")
    ] = False,
    from_format: options.FromFormat = None,
    fixed: options.FixedOfFormat = None,
    moving: options.MovingOfFormat = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    debug: options.Debug = False,
) -> None:
    """Say what a file holds: an image's geometry, a transform's parts, points; of two images, how they overlap."""
    # What a header may surprise with is part of the answer, and need not be said twice.
    console.start(quiet or not (verbose or debug), verbose, debug)
    if from_format is not None:
        names.one_of("--from", from_format, names.FORMATS)
    if len(files) > 2:
        raise UsageError(f"expected one file or two, got {len(files)}")

    from inforeg.describe.image import pair_facts, pair_lines

    found = [_described(path, values, from_format, fixed, moving) for path in files]
    facts = [each for each, _, _ in found]
    lines = [line for _, lines, _ in found for line in lines]
    headers = [header for _, _, header in found if header is not None]
    together = pair_facts(*headers) if len(headers) == 2 else None
    if json:
        answer = {"files": facts} if together is None else {"files": facts, "together": together}
        console.say_json(_plain(answer))
        return
    for line in lines if together is None else lines + pair_lines(together):
        console.say(line)


def _described(
    path: Path, values: bool, format: str | None, fixed: Path | None, moving: Path | None
) -> "tuple[dict[str, Any], list[str], Header | None]":
    """Facts, lines, and the header of an image."""
    from inforeg.describe.kind import kind_of

    kind, header = ("transform", None) if format is not None else kind_of(path)
    if kind == "registration":
        from inforeg.describe.folder import folder_facts, folder_lines

        facts = folder_facts(path)
        return facts, folder_lines(facts), None
    if kind == "points":
        from inforeg.describe.points import points_facts, points_lines

        facts = points_facts(path)
        return facts, points_lines(facts), None
    if kind == "transform":
        from inforeg.describe.transform import read_facts, transform_lines
        from inforeg.io.transform_formats import MissingImages

        try:
            facts = read_facts(path, format, fixed, moving)
            return facts, transform_lines(facts), None
        except MissingImages as error:
            if header is None:
                raise
            reason = str(error)
    from inforeg.describe.image import image_facts, image_lines, read_values

    assert header is not None
    facts = image_facts(header)
    if kind == "transform":
        # Its grid can be told without the images that its vectors need.
        facts["notes"].append(reason)
    elif values:
        facts["values"] = read_values(path)
    return facts, image_lines(facts), header


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become null."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
