"""Linear transforms of MINC (`.xfm`), with the meaning that ITK gives them.

ITK takes the matrix as it stands for one in LPS, from fixed to moving points; it does the same with the images of MINC,
whose world is RAS+. So a file that ITK, SimpleITK or 3D Slicer wrote goes with any image, and one of MINC's own tools
goes with images that ITK read from `.mnc`.
"""

import re
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from inforeg.errors import InforegError, ReadError
from inforeg.io.lps import flip_transform
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.text import MATRIX_BYTES, digits, numbers, one_matrix, read_text
from inforeg.transforms import Linear, Transform
from inforeg.transforms.linear import compose

_HEAD = "MNI Transform File"
_STATEMENT = re.compile(r"\s*(\w+)\s*=([^=]*)")


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith(_HEAD.encode())


def read(path: Path, _context: Context) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm; of several, the first is applied first.

    Raises `ReadError` for a damaged file, and for grids and thin-plate splines.
    """
    text = read_text(path, MATRIX_BYTES)
    if not text.startswith(_HEAD):
        raise ReadError(f"expected a transform of MINC in {path}: its first line is not {_HEAD!r}")
    lines = [line.split("%", 1)[0] for line in text.splitlines()[1:]]
    *statements, rest = "\n".join(lines).split(";")
    if rest.strip():
        raise ReadError(f"{path} is cut short: it ends with {rest.strip()[:40]!r}, without a semicolon")
    found: list[tuple[bool, NDArray[np.float64] | None]] = []
    for statement in statements:
        said = _STATEMENT.fullmatch(statement)
        if said is None:
            raise ReadError(f"expected a statement of MINC in {path}, got {statement.strip()[:40]!r}")
        _take(found, said[1], said[2].split(), path)
    if not found or any(matrix is None for _, matrix in found):
        raise ReadError(f"expected Transform_Type = Linear and its matrix in {path}, got none")
    try:
        parts = [_linear(matrix, inverted) for inverted, matrix in found if matrix is not None]
    except (InforegError, RuntimeError) as error:  # torch's own, for numbers that have no inverse
        raise ReadError(f"{path}: {error}") from None
    return compose(parts[::-1])


def write(transform: Transform, path: Path, _context: Context) -> None:
    """One linear transform in 3-D, or a chain of them, as one matrix with every digit.

    Raises `WriteError` for anything else.
    """
    matrix = flip_transform(one_matrix(transform, path.suffix))
    rows = "\n".join(" " + digits(row) for row in matrix[:3])
    text = f"{_HEAD}\n\nTransform_Type = Linear;\nLinear_Transform =\n{rows};\n"
    path.write_text(text, encoding="ascii", newline="\n")


def _take(
    found: list[tuple[bool, NDArray[np.float64] | None]], key: str, words: list[str], path: Path
) -> None:
    value = " ".join(words)
    if key == "Transform_Type":
        if value != "Linear":
            raise ReadError(
                f"expected linear transforms in {path}, got {value[:40]}; save it as a field of ITK"
            )
        found.append((False, None))
    elif key == "Invert_Flag" and found and value in ("True", "False"):
        found[-1] = (value == "True", found[-1][1])
    elif key == "Linear_Transform" and found and found[-1][1] is None and len(words) == 12:
        try:
            rows = np.array(numbers(words)).reshape(3, 4)
        except ValueError as error:
            raise ReadError(f"expected 12 numbers in {path}, and {error}") from None
        found[-1] = (found[-1][0], np.vstack((rows, [0.0, 0.0, 0.0, 1.0])))
    else:
        raise ReadError(f"expected a linear transform of MINC in {path}, got {key[:40]} = {value[:40]!r}")


def _linear(matrix: NDArray[np.float64], inverted: bool) -> Linear:
    linear = Linear(torch.from_numpy(flip_transform(matrix)))
    return linear.inverse() if inverted else linear
