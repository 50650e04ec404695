"""ITK's transforms: text (`.tfm`, `.txt`), composite HDF5 (`.h5`), and `.mat` and `.xfm` to read.

The only place where transforms are in LPS.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inforeg.errors import ReadError, WriteError
from inforeg.io.files import check_there
from inforeg.io.hdf5 import Tree, hdf5_bytes
from inforeg.io.lps import flip_points, flip_transform
from inforeg.io.simpleitk import LIBRARY_ERRORS, quiet_libraries, reason, simpleitk
from inforeg.io.transform_formats import Context
from inforeg.transforms import Composite, Linear, Transform
from inforeg.transforms.linear import compose

_HDF5 = b"\x89HDF\r\n\x1a\n"
_TEXT_HEAD = "#Insight Transform File V1.0\n"


def recognises(_head: bytes) -> bool:
    """Whether a file that begins so may be one of these."""
    return True


def read(path: Path, _context: Context) -> Transform:
    """The transform in an ITK file, fixed points to moving points in RAS+ mm, with its centre folded in.

    Linear transforms of every kind (Euler, versor, similarity, affine, translation, scale), alone or in
    composites; linear neighbours become one matrix. Raises `ReadError` for a damaged file, and for a part
    that is not linear.
    """
    check_there(path)
    if path.suffix.lower() in (".h5", ".hdf5"):
        with path.open("rb") as file:
            if file.read(8) != _HDF5:
                raise ReadError(
                    f"expected an HDF5 file, and {path} is none; is it of another format, renamed?"
                )
    try:
        with quiet_libraries():
            transform = simpleitk().ReadTransform(str(path))
    except LIBRARY_ERRORS as error:
        raise ReadError(f"expected a transform of ITK in {path}: {reason(error)}") from None
    return from_sitk(transform, str(path))


def from_sitk(transform: Any, name: str) -> Transform:
    """A SimpleITK transform as ours; ITK's composites apply the last part first, as ours do."""
    return compose([_part(part, name) for part in _flat(transform)])


def _flat(transform: Any) -> list[Any]:
    sitk = simpleitk()
    specific = transform.Downcast() if type(transform) is sitk.Transform else transform
    if not isinstance(specific, sitk.CompositeTransform):
        return [specific]
    count = specific.GetNumberOfTransforms()
    if count == 0:
        return [sitk.Transform(specific.GetDimension(), sitk.sitkIdentity)]
    return [flat for n in range(count) for flat in _flat(specific.GetNthTransform(n))]


def _part(transform: Any, name: str) -> Linear:
    if not transform.IsLinear():
        raise ReadError(f"expected linear transforms, and {name} holds a {transform.GetName()}")
    d = transform.GetDimension()
    matrix = np.eye(d + 1)
    if hasattr(transform, "GetMatrix"):
        matrix[:d, :d] = np.reshape(transform.GetMatrix(), (d, d))
        centre = np.asarray(transform.GetCenter()) if hasattr(transform, "GetCenter") else np.zeros(d)
        shift = (
            np.asarray(transform.GetTranslation()) if hasattr(transform, "GetTranslation") else np.zeros(d)
        )
        matrix[:d, d] = shift + centre - matrix[:d, :d] @ centre
    else:
        # Translations, scales and identities have no matrix to ask for; what they do to the axes is their
        # matrix.
        origin = np.asarray(transform.TransformPoint([0.0] * d))
        for axis in range(d):
            matrix[:d, axis] = np.asarray(transform.TransformPoint(list(np.eye(d)[axis]))) - origin
        matrix[:d, d] = origin
    if not np.isfinite(matrix).all():
        raise ReadError(f"{name} holds NaN or infinity")
    return Linear(torch.from_numpy(flip_transform(matrix)))


def write(transform: Transform, path: Path, context: Context) -> None:
    """By the ending: text or composite HDF5."""
    which = write_hdf5 if path.suffix.lower() in (".h5", ".hdf5") else write_text
    which(transform, path, context.centre_mm)


def write_text(transform: Transform, path: Path, centre_mm: Tensor | None = None) -> None:
    """ITK's text: an affine transform about `centre_mm` (the origin if not given), or a composite of them."""
    parts = _parts(transform, path, centre_mm)
    composite = len(parts) > 1
    lines = [_TEXT_HEAD]
    if composite:
        lines.append(f"#Transform 0\nTransform: {_name('Composite', transform.ndim)}\n")
    for number, (parameters, centre) in enumerate(parts, start=int(composite)):
        lines.append(
            f"#Transform {number}\nTransform: {_name('Affine', transform.ndim)}\n"
            f"Parameters: {_numbers(parameters)}\nFixedParameters: {_numbers(centre)}\n"
        )
    path.write_text("".join(lines), encoding="ascii")


def write_hdf5(transform: Transform, path: Path, centre_mm: Tensor | None = None) -> None:
    """ITK's composite `.h5`; a single transform is a composite of one."""
    parts = _parts(transform, path, centre_mm)
    group: dict[str, Tree] = {"0": {"TransformType": _name("Composite", transform.ndim)}}
    for number, (parameters, centre) in enumerate(parts, start=1):
        group[str(number)] = {
            "TransformType": _name("Affine", transform.ndim),
            "TransformFixedParameters": centre,
            "TransformParameters": parameters,
        }
    path.write_bytes(hdf5_bytes({"TransformGroup": group}))


def _parts(
    transform: Transform, path: Path, centre_mm: Tensor | None
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """ITK's parameters and fixed parameters of each part, first the one that is applied last."""
    parts: Sequence[Transform] = transform.parts if isinstance(transform, Composite) else (transform,)
    d = transform.ndim
    centre = np.zeros(d) if centre_mm is None else flip_points(centre_mm.detach().cpu().double().numpy())
    result = []
    for part in parts:
        if not isinstance(part, Linear):
            raise WriteError(f"cannot write a {type(part).__name__} to {path.suffix} yet")
        if not part.is_affine:
            raise WriteError(f"ITK has no projective transform, so {path.suffix} cannot hold it; write .json")
        matrix = flip_transform(part.matrix.detach().cpu().numpy())
        linear = matrix[:d, :d]
        shift = matrix[:d, d] + linear @ centre - centre
        result.append((np.concatenate((linear.reshape(-1), shift)), centre))
    return result


def _name(kind: str, ndim: int) -> str:
    return f"{kind}Transform_double_{ndim}_{ndim}"


def _numbers(values: NDArray[np.float64]) -> str:
    # repr is the shortest text that reads back as the same number: 17 digits where they are needed.
    return " ".join(repr(float(v) + 0.0) for v in values)
