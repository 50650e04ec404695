"""One file for each kind of point file, and their table; the door is `inforeg.io.points`.

A module of this package has two functions, and a third where another format shares its ending:

    read(data: bytes, name: str) -> Found
    write(numbers: NDArray[np.float64], label: str | None, kept: Any) -> bytes
    recognises(data: bytes) -> bool

`read` gets a whole file and what errors call it. `write` gets the numbers as they stand in the file, `(n, d)`, and what
`read` kept of the file whose other content stays, or nothing for a new file; `label` is the space to say in the file,
or nothing where the file says what it said before. LPS and voxels are turned by the door; a module turns only frames
that are its format's own (the corners and millimetre voxels of TRK, FreeSurfer's surface frame).
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Found:
    """What a file holds: numbers `(n, 2 or 3)` and what they are, as far as the file says it.

    `kept` is what `write` needs; `beyond` says in words what the file holds besides coordinates, and `stale` what of it
    no longer fits once the points have moved.
    """

    numbers: NDArray[np.float64]
    space: str | None
    kept: Any
    beyond: str = ""
    stale: str = ""


@dataclass(frozen=True)
class Format:
    """A kind of file: its name, endings and module, and the spaces that it can say or always means.

    `plain`: it can be written from coordinates alone. `flat`: it holds 2-D points; the others have a z.
    """

    name: str
    suffixes: tuple[str, ...]
    module: str
    spaces: tuple[str, ...] = ("ras", "lps")
    plain: bool = True
    flat: bool = False

    def load(self) -> Any:
        """The module."""
        return import_module(f"inforeg.io.point_formats.{self.module}")


# A format is one line here. Of two with the same ending, the first that recognises the content reads it; the last is
# written, unless the points came from the other.
FORMATS = (
    Format("elastix", (".txt", ".pts"), "elastix", spaces=("lps", "voxel"), flat=True),
    Format("table", (".csv", ".tsv", ".txt"), "table", spaces=("ras", "lps", "voxel"), flat=True),
    Format("markups", (".mrk.json", ".json"), "markups"),
    Format("json", (".json",), "own", spaces=("ras", "lps", "voxel"), flat=True),
    Format("fcsv", (".fcsv",), "fcsv", spaces=("ras", "lps", "voxel")),
    Format("vtk", (".vtk",), "vtk"),
    Format("vtkxml", (".vtp", ".vtu"), "vtkxml", plain=False),
    Format("gifti", (".gii",), "gifti", spaces=("ras",), plain=False),
    Format("ply", (".ply",), "ply"),
    Format("stl", (".stl",), "stl", plain=False),
    Format("obj", (".obj",), "obj"),
    Format("trk", (".trk",), "trk", spaces=("ras",), plain=False),
    Format("tck", (".tck",), "tck", spaces=("ras",), plain=False),
)
