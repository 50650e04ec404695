"""The door for transforms: which format reads and writes a file."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import InforegError, ReadError, UsageError
from inforeg.io.atomic import atomic_path
from inforeg.io.files import check_there
from inforeg.io.streams import Stream
from inforeg.io.transform_formats import FORMATS, Context, Format, MissingImages
from inforeg.space import Grid
from inforeg.transforms import Transform, as_displacements

_HEAD_BYTES = 4096


# Numbers of a damaged file are checked; numpy need not say as well that they overflow.
@np.errstate(all="ignore")
def read_transform(
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    fixed: Grid | None = None,
    moving: Grid | None = None,
) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm.

    What the file holds says which format it is; `format` (see `transform_formats.FORMATS`) says it where the file
    cannot: a `.mat` of sixteen numbers may be FSL's or a plain matrix, and is not guessed. Formats that count in
    voxels (FSL) need the grids of both images. Linear neighbours in a chain become one matrix. Raises `ReadError` for
    a file that is missing, damaged or of a kind that is not read, and `UsageError` for an unknown format or a missing
    grid.
    """
    path = Path(path)
    context = Context(fixed, moving)
    candidates = _of_suffix(path, format, "to read")
    check_there(path)
    if format is None or len(candidates) > 1:
        known = _recognised(path, candidates)
        if not known:
            names = " or ".join(dict.fromkeys(candidate.name for candidate in candidates))
            raise ReadError(f"expected a transform ({names}) in {path}, and it holds none; is it renamed?")
        if len({candidate.name for candidate in known}) > 1:
            names = " and ".join(candidate.name for candidate in known)
            raise UsageError(
                f"{path} could be of {names}, which mean different things: say which (--from, format=)"
            )
        candidates = known
    try:
        transform: Transform = candidates[0].load().read(path, context)
        return transform
    except (ReadError, MissingImages):
        raise
    except InforegError as error:
        raise ReadError(f"{path}: {error}") from None


def write_transform(
    transform: Transform,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,
    fixed: Grid | None = None,
    moving: Grid | None = None,
    centre_mm: Float[Tensor, " d"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a transform in the format that the file's name says, or `format` where several have that ending.

    `centre_mm` (RAS+) is the centre that ITK's matrices are written about; it changes the numbers, not the
    transform. Formats that count in voxels (FSL, FreeSurfer) need the grids of both images. A velocity field is
    written as the displacements it amounts to, on its own grid. The same transform gives the same bytes. Raises
    `WriteError` for a transform the format cannot hold, and `OutputExists` without `overwrite`.
    """
    path = Path(path)
    chosen = next((f for f in _of_suffix(path, format, "to write") if f.writes), None)
    if chosen is None:
        raise UsageError(
            f"{format or path.suffix} is read and not written; use one of {_endings(writes=True)}"
        )
    with atomic_path(path, overwrite) as temporary:
        chosen.load().write(as_displacements(transform), temporary, Context(fixed, moving, centre_mm))


def formats_of(path: Path, format: str | None = None) -> list[Format]:
    """The formats of transforms that a file can be of, by its name and what it begins with; the first one reads it."""
    return _recognised(path, _named(path, format))


def _recognised(path: Path, candidates: list[Format]) -> list[Format]:
    head = _head(path)
    return [candidate for candidate in candidates if candidate.load().recognises(head)]


def _named(path: Path, format: str | None) -> list[Format]:
    name = path.name.lower()
    return [f for f in FORMATS if name.endswith(f.suffixes) and format in (None, f.name)]


def _of_suffix(path: Path, format: str | None, purpose: str) -> list[Format]:
    if format is not None and format not in {f.name for f in FORMATS}:
        known = ", ".join(dict.fromkeys(f.name for f in FORMATS))
        raise UsageError(f"unknown format of transforms {format!r}; expected one of {known}")
    found = _named(path, format)
    if not found:
        what = f"of format {format} " if format else ""
        kind = UsageError if purpose == "to write" else ReadError
        raise kind(f"expected a transform {what}{purpose} ({_endings(format)}), got {path}")
    return found


def _endings(format: str | None = None, writes: bool = False) -> str:
    chosen = [f for f in FORMATS if format in (None, f.name) and (f.writes or not writes)]
    return ", ".join(dict.fromkeys(suffix for f in chosen for suffix in f.suffixes))


def _head(path: Path) -> bytes:
    """What the file begins with, unpacked if it is gzip: nothing where that is damaged."""
    with Stream(path, "auto") as stream:
        try:
            return stream.read(_HEAD_BYTES)
        except ReadError:
            if stream.encoding == "raw":
                raise
            return b""
