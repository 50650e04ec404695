"""Chains of transforms as a user lists them, and what a command says about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inforeg.cli import names
from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.register.chains import Chain, Link, Space
    from inforeg.space import Grid
    from inforeg.transforms import Transform

SIDES = ("fixed", "moving")


def side(value: str | None) -> Any:
    """`--on`, checked."""
    return None if value is None else names.one_of("--on", value, SIDES)


def read_links(
    paths: Sequence[Path], format: str | None, fixed: "Grid | None" = None, moving: "Grid | None" = None
) -> "list[Link]":
    """The files and folders of a chain; formats that count in voxels take the grids of the two images."""
    from inforeg.register.chains import read_link

    return [read_link(path, format=format, fixed=fixed, moving=moving) for path in paths]


def read_plain_chain(
    paths: Sequence[Path], format: str | None, fixed: "Grid | None" = None, moving: "Grid | None" = None
) -> "tuple[Transform, str]":
    """A chain from fixed to moving as its files say it, and in words."""
    from inforeg.register.chains import for_points

    if not paths:
        raise UsageError("expected at least one --transform")
    links = read_links(paths, format, fixed, moving)
    found = for_points(links, "fixed", ndim=links[0].transform.ndim)
    return found.transform, found.words


def between(links: "Sequence[Link]", reference: Path, image: Path, ndim: int) -> "Chain":
    """The chain as it is listed, from what one file holds to what the other does."""
    from inforeg.register.chains import Space, to_image

    return to_image(links, Space(str(reference)), Space(str(image)), ndim=ndim, on="moving")


def space_of(path: Path, grid: "Grid | None" = None) -> "Space":
    """An image file as one end of a chain."""
    from inforeg.register.chains import Space

    return Space(str(path), grid if grid is not None else grid_of(path), path)


def grid_of(path: Path | None) -> "Grid | None":
    """The grid of an image file, if there is one."""
    from inforeg.io import read_grid

    return None if path is None else read_grid(path)
