"""Our own `.json`: a chain of matrices in RAS+ mm, projective ones included."""

import json
from pathlib import Path
from typing import Any

import torch

from inforeg.errors import ReadError, WriteError
from inforeg.io.transform_formats import Context
from inforeg.transforms import Composite, Linear, Transform
from inforeg.transforms.linear import compose

_FRAME = "RAS+ mm, fixed to moving"


def recognises(head: bytes) -> bool:
    """Whether a file that begins so may be one of these."""
    return b"inforeg_transform" in head


def write(transform: Transform, path: Path, _context: Context) -> None:
    """A chain of matrices; the last of the chain is applied first, as in a product."""
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    chain = []
    for part in parts:
        if not isinstance(part, Linear):
            raise WriteError(f".json holds matrices and no {type(part).__name__}; write .h5")
        chain.append({"matrix": part.matrix.tolist()})
    text = json.dumps({"inforeg_transform": 1, "frame": _FRAME, "chain": chain}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def read(path: Path, _context: Context) -> Transform:
    """The chain as one matrix; raises `ReadError` for what is not one of these."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.get("inforeg_transform") != 1:
            raise ReadError(f'expected a transform of inforeg in {path}: it has no "inforeg_transform": 1')
        if content["frame"] != _FRAME:
            raise ReadError(f"{path}: expected the frame {_FRAME!r}, got {content['frame']!r}")
        return compose(
            [Linear(torch.tensor(part["matrix"], dtype=torch.float64)) for part in content["chain"]]
        )
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, OSError, RecursionError) as error:
        raise ReadError(f"expected a transform of inforeg in {path}: {error}") from None
