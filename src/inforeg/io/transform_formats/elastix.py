"""elastix's transforms, to read: `TransformParameters.0.txt`, and the `.toml` of elastix 5.2.

They take fixed points to moving points in LPS mm, as ITK's do. A file may name one before it: the points go through
that one first, and then through this one ("Compose"), or the displacements of both are added ("Add").
"""

import os
import re
from math import prod
from pathlib import Path, PureWindowsPath

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.grids import grid_in
from inforeg.io.lps import flip_points, flip_transform, flip_world
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.elastix_matrices import MATRICES, linear_part
from inforeg.io.transform_formats.elastix_parameters import Parameters, read_parameters
from inforeg.io.transform_formats.text import first_line
from inforeg.transforms import BSpline, Linear, Transform
from inforeg.transforms.linear import compose

_SPLINES = ("BSplineTransform", "RecursiveBSplineTransform")

_NONE = "NoInitialTransform"

# elastix writes a file a stage; nobody has this many.
_MOST_FILES = 32


def recognises(head: bytes) -> bool:
    """Whether a file begins with `(Name value)`, or in TOML with `Name = `."""
    return re.match(r"\(\s*[A-Za-z]\w*\s|[A-Za-z]\w*\s*=", first_line(head, ("//", "#"))) is not None


def read(path: Path, _context: Context) -> Transform:
    """The transform with all that it names before it, fixed points to moving points in RAS+ mm.

    Translation, Euler, similarity, affine (also in its logarithmic and DTI form) and cubic B-spline transforms. A file
    named by an absolute path that is gone is looked for beside the file that names it. Raises `ReadError` for other
    kinds and orders, for chains in a circle, and for sums that no chain of transforms equals.
    """
    chain: list[Parameters] = []
    seen: set[Path] = set()
    place: Path | None = path
    while place is not None:
        real = Path(os.path.realpath(place))
        if real in seen:
            raise ReadError(f"{path} leads in a circle: {place} names a file that came before")
        if len(chain) == _MOST_FILES:
            raise ReadError(
                f"expected a chain of at most {_MOST_FILES} files, and {path} begins a longer one"
            )
        seen.add(real)
        chain.append(read_parameters(place))
        place = _before(chain[-1])
    transform: Transform | None = None
    for parameters in reversed(chain):
        own = _own(parameters)
        if transform is not None:
            if own.ndim != transform.ndim:
                raise ReadError(
                    f"{parameters.path} is {own.ndim}-D and the file it names is {transform.ndim}-D"
                )
            how = parameters.word("HowToCombineTransforms", default="Compose")
            if how not in ("Compose", "Add"):
                raise ReadError(f'expected "Compose" or "Add" in {parameters.path}, got {how[:40]!r}')
            own = compose([own, transform]) if how == "Compose" else _sum(own, transform, parameters.path)
        transform = own
    assert transform is not None
    return transform


def _before(parameters: Parameters) -> Path | None:
    """The file this one names, where it is now."""
    name = parameters.word(
        "InitialTransformParameterFileName", "InitialTransformParametersFileName", default=_NONE
    )
    if name == _NONE:
        return None
    if not name or "\0" in name:
        raise ReadError(f"expected the name of the transform before {parameters.path}, got {name[:40]!r}")
    beside = parameters.path.parent
    for place in (beside / name, beside / PureWindowsPath(name).name):
        try:
            if place.is_file():
                return place
        except OSError:  # a name that no file can have
            continue
    raise ReadError(
        f"{parameters.path} needs the transform before it, {name}, and that is not there; put it into the same folder"
    )


def _own(parameters: Parameters) -> Transform:
    """The transform of one file, without those before it."""
    path = parameters.path
    name = parameters.word("Transform")
    # elastix's whole-number tables of stacks and the like begin with the same words.
    if name not in MATRICES and name not in _SPLINES:
        known = ", ".join(kind.removesuffix("Transform") for kind in (*MATRICES, *_SPLINES))
        raise ReadError(
            f"expected one of elastix's {known} in {path}, got {name[:60]!r};"
            " transformix -def all writes it as a field, which is read"
        )
    (ndim,) = parameters.whole("FixedImageDimension", 1)
    (moving_ndim,) = parameters.whole("MovingImageDimension", 1, default=ndim)
    if ndim not in (2, 3) or moving_ndim != ndim:
        raise ReadError(f"expected two 2-D or two 3-D images in {path}, got {ndim}-D and {moving_ndim}-D")
    if not parameters.flag("UseDirectionCosines", True):
        raise ReadError(
            f'{path} says (UseDirectionCosines "false"), which leaves out how both images are turned;'
            ' register with "true"'
        )
    if parameters.flag("UseBinaryFormatForTransformationParameters", False):
        raise ReadError(
            f"{path} keeps its numbers in a binary file, which is not read; run elastix with"
            ' (UseBinaryFormatForTransformationParameters "false")'
        )
    (count,) = parameters.whole("NumberOfParameters", 1)
    with np.errstate(all="ignore"):  # numbers beyond all bounds come out as no transform
        if name not in MATRICES:
            return _spline(parameters, ndim, count)
        return Linear(torch.from_numpy(flip_transform(linear_part(name, parameters, ndim, count))))


def _spline(parameters: Parameters, ndim: int, count: int) -> BSpline:
    path = parameters.path
    (order,) = parameters.whole("BSplineTransformSplineOrder", 1, default=3)
    if order != 3:
        raise ReadError(
            f"expected B-splines of order 3 in {path}, got {order}; transformix -def all gives a field"
        )
    if parameters.flag("UseCyclicTransform", False):
        raise ReadError(f"{path} is a cyclic B-spline, which is not read; transformix -def all gives a field")
    shape = tuple(parameters.whole("GridSize", ndim))
    if min(shape) < 1 or prod(shape) * ndim != count:
        raise ReadError(f"expected {ndim} numbers for each of {shape} control points in {path}, got {count}")
    coefficients = _coefficients(parameters.floats("TransformParameters", count), shape)
    matrix = np.eye(ndim + 1)
    matrix[:ndim, :ndim] = parameters.direction("GridDirection", ndim) * parameters.floats(
        "GridSpacing", ndim
    )
    first = np.array(parameters.whole("GridIndex", ndim, default=0), np.float64)
    matrix[:ndim, ndim] = parameters.floats("GridOrigin", ndim) + matrix[:ndim, :ndim] @ first
    return BSpline(coefficients, grid_in(path, shape, flip_world(matrix)))


def _coefficients(values: NDArray[np.float64], shape: tuple[int, ...]) -> torch.Tensor:
    """All of x, then all of y, and so on, each with the first axis fastest, to `(d, *shape)` in RAS+."""
    blocks = values.reshape(len(shape), *reversed(shape)).transpose(0, *range(len(shape), 0, -1))
    turned = flip_points(np.moveaxis(blocks, 0, -1))
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(turned, -1, 0)))


def _sum(own: Transform, before: Transform, path: Path) -> Transform:
    """`x -> own(x) + before(x) - x`, for the pairs that have a transform that does exactly that."""
    if isinstance(own, Linear) and isinstance(before, Linear):
        return Linear(own.matrix + before.matrix - torch.eye(own.ndim + 1, dtype=torch.float64))
    linear, other = (own, before) if isinstance(own, Linear) else (before, own)
    if isinstance(linear, Linear):
        d = linear.ndim
        part = linear.matrix[:d, :d]
        if isinstance(other, BSpline) and float(torch.linalg.det(part).abs()) > 1e-9:
            # A x + t + u(x) = A (x + inv(A) u(x)) + t
            turned = torch.einsum("ab,b...->a...", torch.linalg.inv(part), other.coefficients)
            return compose([linear, BSpline(turned, other.grid)])
        if torch.equal(part, torch.eye(d, dtype=torch.float64)):
            return compose([linear, other])
    elif isinstance(own, BSpline) and isinstance(before, BSpline) and own.grid.same_as(before.grid, 1e-9):
        return BSpline(own.coefficients + before.coefficients, own.grid)
    raise ReadError(
        f'{path} adds its displacements to those before it (HowToCombineTransforms "Add"), and no chain of'
        ' transforms equals that sum; transformix -def all gives a field, or register with "Compose"'
    )
