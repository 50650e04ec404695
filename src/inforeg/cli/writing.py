"""Writing transforms for the commands that make new ones from old ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.space import Grid
    from inforeg.transforms import Transform


def refuse(outputs: Sequence[Path], inputs: Sequence[Path | None], overwrite: bool) -> None:
    """What would be refused at the end is refused before anyone waits for it."""
    from inforeg.io.atomic import refuse_file, refuse_inputs

    for output in outputs:
        refuse_inputs(output, inputs)
        refuse_file(output, overwrite)


def write(
    transform: "Transform",
    output: Path,
    format: str | None,
    grids: "tuple[Grid | None, Grid | None]",
    overwrite: bool,
    field_grid: "Grid | None" = None,
) -> None:
    """A transform to a file; where the file is a field, the transform becomes one first."""
    from inforeg.io import write_transform
    from inforeg.io.transform_formats import FORMATS

    # What a file with an ending of an image holds is a field and nothing else.
    written = (form.suffixes for form in FORMATS if form.module == "field" and form.writes)
    if output.name.lower().endswith(tuple(ending for endings in written for ending in endings)):
        transform = as_field(transform, field_grid)
    write_transform(transform, output, format=format, fixed=grids[0], moving=grids[1], overwrite=overwrite)


def as_field(transform: "Transform", grid: "Grid | None") -> "Transform":
    """One displacement field: on the grid, or on that of the field that is applied first."""
    from inforeg.transforms import Composite, Displacement

    first = transform.parts[-1] if isinstance(transform, Composite) else transform
    if grid is None:
        if not isinstance(first, Displacement):
            raise UsageError("a field needs a grid: give --reference, the fixed image")
        if first is transform:
            return transform
        grid = first.grid
    return Displacement.of(transform, grid)
