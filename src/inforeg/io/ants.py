"""The files that antsRegistration would leave behind, and how antsApplyTransforms wants them listed."""

import os
from contextlib import ExitStack
from pathlib import Path

import torch

from inforeg.errors import WriteError
from inforeg.io.atomic import atomic_path, refuse_file
from inforeg.io.transforms import write_transform
from inforeg.transforms import Composite, Displacement, Linear, Transform, as_displacements


def write_ants_files(
    transform: Transform,
    folder: str | os.PathLike[str],
    inverse: Transform | None = None,
    *,
    overwrite: bool = False,
) -> list[str]:
    """A chain as `0GenericAffine.mat`, `1Warp.nii.gz` and, with an inverse, `1InverseWarp.nii.gz`.

    Numbers count from the part that is applied last to fixed points, as ANTs counts its stages. What is returned goes
    to antsApplyTransforms: first the `-t` options that draw the moving image on the fixed grid, then, where every part
    has an inverse, those for the other way. A velocity field is written as its displacements. Raises `WriteError` for
    parts that ANTs has no file for, and `OutputExists` without `overwrite`.
    """
    parts = _parts(transform)
    back = () if inverse is None else _parts(inverse)
    files: dict[str, Transform] = {}
    there: list[str] = []
    otherwise: list[str] = []
    for number, part in enumerate(parts):
        mirror = back[len(parts) - 1 - number] if len(back) == len(parts) else None
        if isinstance(part, Linear):
            files[f"{number}GenericAffine.mat"] = part
            there.insert(0, f"-t {number}GenericAffine.mat")
            otherwise.append(f"-t [{number}GenericAffine.mat,1]")
        elif isinstance(part, Displacement):
            files[f"{number}Warp.nii.gz"] = _float32(part)
            there.insert(0, f"-t {number}Warp.nii.gz")
            if isinstance(mirror, Displacement):
                files[f"{number}InverseWarp.nii.gz"] = _float32(mirror)
                otherwise.append(f"-t {number}InverseWarp.nii.gz")
        else:
            raise WriteError(
                f"ANTs has no file for a {type(part).__name__}; inforeg compose turns it into a field"
                " (Displacement.of, on a grid)"
            )
    for name in files:
        refuse_file(Path(folder) / name, overwrite)
    # They get their names when all of them are whole.
    with ExitStack() as together:
        for name, part in files.items():
            write_transform(part, together.enter_context(atomic_path(Path(folder) / name, overwrite)))
    return [" ".join(there), *([" ".join(otherwise)] if len(otherwise) == len(parts) else [])]


def _parts(transform: Transform) -> tuple[Transform, ...]:
    held = as_displacements(transform)
    return held.parts if isinstance(held, Composite) else (held,)


def _float32(field: Displacement) -> Displacement:
    """ANTs' own precision: half the size, and what its programs read anyway."""
    return field if field.vectors.dtype == torch.float32 else Displacement(field.vectors.float(), field.grid)
