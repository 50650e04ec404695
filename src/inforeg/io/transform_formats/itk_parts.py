"""What ITK's transform files hold, whatever kind of file it is: a list of classes with two lists of numbers each.

The only place, with `itk_linear` and `itk_warps`, that knows what the numbers mean. They are in LPS; a composite
applies its last part first, as ours do.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import InforegError, ReadError, WriteError
from inforeg.io.lps import flip_points, flip_transform
from inforeg.io.transform_formats import Context, itk_warps
from inforeg.io.transform_formats.itk_linear import matrix_of
from inforeg.transforms import BSpline, Composite, Displacement, Linear, Transform
from inforeg.transforms.linear import compose

_CLASS = re.compile(r"([A-Za-z0-9]+)_(double|float)_([0-9]+)_([0-9]+)(?:_([0-9]+))?")
_COMPOSITE = "CompositeTransform"


@dataclass(frozen=True, eq=False)
class Part:
    """One transform of a file: its class (`AffineTransform_double_3_3`), and its numbers, float32 or float64."""

    name: str
    fixed: NDArray[Any]
    parameters: NDArray[Any]

    @property
    def is_composite(self) -> bool:
        """Whether it is no transform of its own, but says that the others are a chain."""
        return self.name.startswith(_COMPOSITE)


def transform_of(parts: Sequence[Part], path: Path) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm, with centres folded in.

    Linear neighbours in a composite become one matrix. Raises `ReadError` for numbers that do not fit their class, for
    classes that are not read, and for several transforms that no composite chains.
    """
    if not parts:
        raise ReadError(f"expected a transform of ITK in {path}, and it holds none")
    chained = parts[0].is_composite
    members = list(parts[1:] if chained else parts)
    if not chained and len(members) > 1:
        raise ReadError(
            f"{path} holds {len(members)} transforms and no composite that chains them (one for each volume of a"
            " series?); save the one that is meant"
        )
    ndim = _ndim(parts[0], path)
    read = []
    for part in members:
        if part.is_composite:
            raise ReadError(f"{path} holds a composite inside a composite; save it as one")
        if _ndim(part, path) != ndim:
            raise ReadError(f"{path}: expected transforms in {ndim}-D, got {part.name}")
        try:
            read.append(_one(part, ndim))
        except InforegError as error:
            raise ReadError(f"{path}: {error}") from None
    return compose(read or [Linear.identity(ndim)])


def parts_of(transform: Transform, path: Path, context: Context) -> list[Part]:
    """A transform as ITK has it, first the part that is applied last; matrices about the context's centre.

    Raises `WriteError` for what ITK has no class for.
    """
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    return [_part(part, path, context) for part in parts]


def composite(ndim: int) -> str:
    """The class of a chain."""
    return f"{_COMPOSITE}_double_{ndim}_{ndim}"


def _ndim(part: Part, path: Path) -> int:
    found = _CLASS.fullmatch(part.name)
    if found is None or found[3] != found[4] or found[3] not in ("2", "3"):
        raise ReadError(f"expected a transform of ITK in 2-D or 3-D in {path}, got {part.name[:60]!r}")
    return int(found[3])


def _one(part: Part, ndim: int) -> Transform:
    found = _CLASS.fullmatch(part.name)
    kind, order = (found[1], found[5]) if found else ("", None)
    for values in (part.fixed, part.parameters):
        if not np.isfinite(values).all():
            raise ReadError(f"its {kind} holds NaN or infinity")
    reader = _WARPS.get(kind)
    if reader is not None:
        if order not in (None, "3"):
            raise ReadError(f"expected a B-spline of order 3, got one of order {order}; save it as a field")
        return reader(part.fixed.astype(np.float64), part.parameters, ndim)
    matrix = matrix_of(kind, part.fixed.astype(np.float64), part.parameters.astype(np.float64), ndim)
    return Linear(torch.from_numpy(flip_transform(matrix)))


_WARPS: dict[str, Callable[[NDArray[np.float64], NDArray[Any], int], Transform]] = {
    "DisplacementFieldTransform": itk_warps.read_displacement,
    # How its updates are smoothed while it is fitted is no matter afterwards.
    "GaussianSmoothingOnUpdateDisplacementFieldTransform": itk_warps.read_displacement,
    "BSplineSmoothingOnUpdateDisplacementFieldTransform": itk_warps.read_displacement,
    "BSplineTransform": itk_warps.read_bspline,
}


def _part(part: Transform, path: Path, context: Context) -> Part:
    d = part.ndim
    if isinstance(part, Displacement):
        fixed, parameters = itk_warps.displacement_numbers(part)
        precision = "float" if parameters.dtype == np.float32 else "double"
        return Part(f"DisplacementFieldTransform_{precision}_{d}_{d}", fixed, parameters)
    if isinstance(part, BSpline):
        return Part(f"BSplineTransform_double_{d}_{d}", *itk_warps.bspline_numbers(part))
    if not isinstance(part, Linear):
        raise WriteError(
            f"{path.suffix} holds no {type(part).__name__}; make it a field first (Displacement.of, on a grid)"
        )
    if not part.is_affine:
        raise WriteError(f"ITK has no projective transform, so {path.suffix} cannot hold it; write .json")
    centre = np.zeros(d)
    if context.centre_mm is not None:
        centre = flip_points(context.centre_mm.detach().cpu().double().numpy())
    matrix = flip_transform(part.matrix.detach().cpu().numpy())
    linear = matrix[:d, :d]
    shift = matrix[:d, d] + linear @ centre - centre
    # Minus zero is zero to everybody but the reader of a text.
    return Part(
        f"AffineTransform_double_{d}_{d}", centre + 0.0, np.concatenate((linear.reshape(-1), shift)) + 0.0
    )
