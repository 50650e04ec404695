"""One file for each kind of transform file, and their table; the door is `inforeg.io.transforms`.

A module of this package has up to three functions:

    recognises(head: bytes) -> bool                   by the first bytes of the file, unpacked if it is gzip
    read(path: Path, context: Context) -> Transform
    write(transform: Transform, path: Path, context: Context) -> None

What they read and return is in RAS+ mm, from fixed points to moving points; every other frame, and every format that
stores the opposite direction, is turned inside its own file.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from torch import Tensor

from inforeg.errors import UsageError
from inforeg.space import Grid


class MissingImages(UsageError):
    """A format counts in voxels of images that were not given."""


@dataclass(frozen=True, eq=False)
class Context:
    """What some formats leave out of their files: the grids of the two images, and a centre to write about."""

    fixed: Grid | None = None
    moving: Grid | None = None
    centre_mm: Tensor | None = None

    def both(self, what: str) -> tuple[Grid, Grid]:
        """The grids of both images; raises `MissingImages` where one is, for a format that needs them."""
        if self.fixed is None or self.moving is None:
            raise MissingImages(
                f"{what} counts in voxels of its two images, so both are needed: give --fixed and --moving"
                " (fixed=, moving=)"
            )
        return self.fixed, self.moving


@dataclass(frozen=True)
class Format:
    """A kind of file: the name users call it by, the endings it has, and the module that knows it."""

    name: str
    suffixes: tuple[str, ...]
    module: str
    writes: bool = True

    def load(self) -> Any:
        """The module."""
        return import_module(f"inforeg.io.transform_formats.{self.module}")


# A format is one line here. Of two with the same ending, the first is written unless the other's name is given;
# what is in a file says which one reads it.
FORMATS = (
    Format("itk", (".tfm", ".txt"), "itk_text"),
    Format("itk", (".h5", ".hdf5"), "itk_hdf5"),
    Format("itk", (".mat",), "itk_matlab"),
    Format("itk", (".nii.gz", ".nii", ".mha", ".nrrd"), "field"),
    Format("itk", (".mhd", ".nhdr"), "field", writes=False),
    Format("minc", (".xfm",), "minc"),
    Format("elastix", (".txt", ".toml"), "elastix", writes=False),
    Format("fsl", (".mat",), "fsl"),
    Format("fsl", (".nii.gz", ".nii"), "fsl_warp"),
    Format("freesurfer", (".lta",), "freesurfer"),
    Format("afni", (".1D", ".1d"), "afni"),
    Format("plain", (".txt", ".csv", ".mat"), "plain"),
    Format("x5", (".x5",), "x5"),
    Format("inforeg", (".json",), "own"),
)
