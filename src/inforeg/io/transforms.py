"""The door for transforms: which file format reads and writes them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg.errors import InforegError, ReadError, UsageError, WriteError
from inforeg.io import itk
from inforeg.io.atomic import atomic_path
from inforeg.io.files import check_there
from inforeg.transforms import Composite, Linear, Transform
from inforeg.transforms.linear import compose

# A format is one line here.
READERS: dict[str, Callable[[Path], Transform]] = {
    ".tfm": itk.read,
    ".txt": itk.read,
    ".h5": itk.read,
    ".hdf5": itk.read,
    ".mat": itk.read,
    ".xfm": itk.read,
    ".json": lambda path: _read_json(path),
}
WRITERS: dict[str, Callable[[Transform, Path, Tensor | None], None]] = {
    ".tfm": itk.write_text,
    ".txt": itk.write_text,
    ".h5": itk.write_hdf5,
    ".hdf5": itk.write_hdf5,
    ".json": lambda transform, path, _: _write_json(transform, path),
}

_FRAME = "RAS+ mm, fixed to moving"


def read_transform(path: str | os.PathLike[str]) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm.

    ITK's `.tfm`, `.txt`, `.h5`, `.mat` and `.xfm` (centre folded in, LPS turned into RAS+), and our `.json`.
    Linear neighbours become one matrix. Raises `ReadError` for a file that is missing, damaged or of a kind
    that is not read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in READERS:
        raise ReadError(f"expected a transform ({', '.join(READERS)}), got {path}")
    try:
        return READERS[suffix](path)
    except ReadError:
        raise
    except InforegError as error:
        raise ReadError(f"{path}: {error}") from None


def write_transform(
    transform: Transform,
    path: str | os.PathLike[str],
    *,
    centre_mm: Float[Tensor, " d"] | None = None,
    overwrite: bool = False,
) -> None:
    """Write a transform as ITK's text (`.tfm`, `.txt`) or composite (`.h5`), or as our `.json`.

    `centre_mm` (RAS+) is the centre that ITK's matrices are written about; it changes the numbers, not the
    transform. ITK has no projective transform: those go to `.json`, a plain matrix in RAS+ mm. The same
    transform gives the same bytes. Raises `WriteError` for a transform the format cannot hold, and
    `OutputExists` without `overwrite`.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise UsageError(f"expected a file name in {', '.join(WRITERS)} for a transform, got {path}")
    with atomic_path(path, overwrite) as temporary:
        WRITERS[suffix](transform, temporary, centre_mm)


def _write_json(transform: Transform, path: Path) -> None:
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    chain = []
    for part in parts:
        if not isinstance(part, Linear):
            raise WriteError(f"cannot write a {type(part).__name__} to .json")
        chain.append({"matrix": part.matrix.tolist()})
    # The last of the chain is applied first, as in a product of matrices.
    text = json.dumps({"inforeg_transform": 1, "frame": _FRAME, "chain": chain}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def _read_json(path: Path) -> Transform:
    check_there(path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("inforeg_transform") != 1:
            raise ReadError(f'expected a transform of inforeg in {path}: it has no "inforeg_transform": 1')
        if content["frame"] != _FRAME:
            raise ReadError(f"{path}: expected the frame {_FRAME!r}, got {content['frame']!r}")
        return compose(
            [Linear(torch.tensor(part["matrix"], dtype=torch.float64)) for part in content["chain"]]
        )
    except (ValueError, KeyError, TypeError, IndexError, OSError, RecursionError) as error:
        raise ReadError(f"expected a transform of inforeg in {path}: {error}") from None
