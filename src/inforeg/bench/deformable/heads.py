"""The affine transform between two heads that every tool starts from: found once, kept in a file."""

import json
from pathlib import Path

import torch

from inforeg.image import Image
from inforeg.io import atomic_path
from inforeg.methods import named
from inforeg.transforms import Linear


def affine_between(fixed: Image, moving: Image, path: Path) -> Linear:
    """Fixed to moving points (RAS+ mm), by our linear method; that of the file where there is one."""
    if not path.exists():
        found = named("linear", "affine", seed=0)(fixed, moving).transform
        assert isinstance(found, Linear)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, overwrite=True) as temporary:
            temporary.write_text(
                json.dumps({"fixed_to_moving_ras_mm": found.matrix.tolist()}), encoding="utf-8"
            )
    matrix = json.loads(path.read_text(encoding="utf-8"))["fixed_to_moving_ras_mm"]
    return Linear(torch.tensor(matrix, dtype=torch.float64))
