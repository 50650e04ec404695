"""Plain matrices as text: rows of numbers, in RAS+ mm, fixed to moving (`.txt`, `.csv`, `.mat`).

What NiftyReg (`reg_aladin -aff`), greedy and c3d write, and `numpy.savetxt`. Nothing in such a file says its frame or
direction. FSL's `.mat` looks the same and means another thing, so a `.mat` of four by four numbers is read only where
it is said which it is (--from plain or --from fsl, `format=`).
"""

from pathlib import Path

import torch

from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.text import (
    MATRIX_BYTES,
    digits,
    first_line,
    is_numbers,
    one_matrix,
    read_text,
    rows,
    square,
)
from inforeg.transforms import Linear, Transform


def recognises(head: bytes) -> bool:
    """Whether a file begins with a row of three or four numbers."""
    return is_numbers(first_line(head), (3, 4))


def read(path: Path, _context: Context) -> Transform:
    """A 4x4 matrix (3x3 in 2-D) in RAS+ mm, fixed points to moving points; its last row may be projective.

    Numbers are parted by blanks or commas, and lines that begin with # are passed over. Raises `ReadError` for any
    other shape.
    """
    return Linear(torch.from_numpy(square(rows(read_text(path, MATRIX_BYTES), path), path, (3, 4))))


def write(transform: Transform, path: Path, _context: Context) -> None:
    """The matrix of a linear transform, a row a line, with every digit."""
    matrix = one_matrix(transform, f"a plain matrix ({path.suffix})", (2, 3), projective=True)
    separator = "," if path.suffix.lower() == ".csv" else " "
    path.write_text("".join(digits(row, separator) + "\n" for row in matrix), encoding="ascii")
