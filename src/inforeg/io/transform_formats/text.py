"""Text files of numbers and matrices: read within bounds, written with every digit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError
from inforeg.io.files import check_there, why
from inforeg.transforms import Composite, Linear, Transform
from inforeg.transforms.linear import compose

# A file of one matrix is a few hundred bytes, and long if somebody keeps notes in it.
MATRIX_BYTES = 1 << 18


def read_text(path: Path, most_bytes: int | None = None) -> str:
    """A text file as it is; raises `ReadError` if it is not there, not a plain file, or larger than it may be."""
    check_there(path)
    if not path.is_file():
        raise ReadError(f"expected a file, and {path} is a device or a pipe")
    try:
        size = path.stat().st_size
        if most_bytes is not None and size > most_bytes:
            raise ReadError(f"expected at most {most_bytes} bytes of numbers in {path}, and it has {size}")
        # Every byte is a letter in Latin-1; names of files may be in any code, and numbers are the same in all.
        return path.read_bytes().decode("latin-1")
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None


def first_line(head: bytes, comments: tuple[str, ...] = ("#",)) -> str:
    """The first line that says something, or nothing where the file begins with bytes that are no text."""
    if b"\0" in head:
        return ""
    for line in head.decode("latin-1").splitlines():
        if line.strip() and not line.lstrip().startswith(comments):
            return line.strip()
    return ""


def is_numbers(line: str, counts: Sequence[int]) -> bool:
    """Whether a line holds nothing but one of these counts of numbers."""
    try:
        return len(numbers(line.replace(",", " ").split())) in counts
    except ValueError:
        return False


def numbers(words: Sequence[object]) -> list[float]:
    """Words as numbers; raises `ValueError` that names the first that is none."""
    found = []
    for word in words:
        # Python takes 1_000 for a number, and no other program does.
        if not isinstance(word, str | int | float) or (isinstance(word, str) and "_" in word):
            raise ValueError(f"{_short(word)} is no number")
        try:
            found.append(float(word))
        except (ValueError, OverflowError):
            raise ValueError(f"{_short(word)} is no number") from None
    return found


def rows(text: str, path: Path) -> list[list[float]]:
    """The numbers of each line, parted by blanks or commas; lines that begin with # are passed over."""
    found = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].replace(",", " ").split()
        if words:
            try:
                found.append(numbers(words))
            except ValueError as error:
                raise ReadError(f"expected rows of numbers in {path}, and {error}") from None
    return found


def square(found: list[list[float]], path: Path, sizes: Sequence[int] = (4,)) -> NDArray[np.float64]:
    """Rows as a square matrix that has an inverse; raises `ReadError` for any other, and for NaN or infinity."""
    shape = f"{len(found)} rows of {_counts(found)}"
    if len(found) not in sizes or any(len(row) != len(found) for row in found):
        wanted = " or ".join(f"{n}x{n}" for n in sizes)
        raise ReadError(f"expected a matrix of {wanted} numbers in {path}, got {shape}")
    matrix = np.array(found, np.float64)
    return regular(matrix, path)


def regular(matrix: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """The matrix as it is; raises `ReadError` where it has no inverse, or holds NaN or infinity."""
    if not np.isfinite(matrix).all():
        raise ReadError(f"{path} holds NaN or infinity")
    with np.errstate(all="ignore"):
        scaled = matrix / np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
        # Numbers so large that their squares are infinite come out as zeros.
        values = np.linalg.svd(scaled, compute_uv=False) if np.isfinite(scaled).all() else np.zeros(1)
    if values[-1] <= 1e-9 * values[0]:
        raise ReadError(f"expected a matrix that has an inverse in {path}, and this one is singular")
    return matrix


def affine(matrix: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """The matrix, its last row made exactly `0 ... 0 1`; raises `ReadError` where it is another one."""
    last = matrix[-1]
    # Programs that count in float32 leave 1.0000001 there.
    if np.abs(last[:-1]).max() > 1e-6 or abs(last[-1] - 1) > 1e-3:
        said = " ".join(f"{v:g}" for v in last)
        raise ReadError(f"expected a matrix whose last row is 0 0 0 1 in {path}, got {said}")
    scaled: NDArray[np.float64] = matrix / last[-1]
    scaled[-1] = [0.0] * (len(last) - 1) + [1.0]
    return scaled


def one_matrix(
    transform: Transform, what: str, ndims: Sequence[int] = (3,), projective: bool = False
) -> NDArray[np.float64]:
    """The matrix of a linear transform, or of a chain of them.

    Raises `WriteError` for what `what` cannot hold: a warp, 2-D, or a projective matrix.
    """
    parts = transform.parts if isinstance(transform, Composite) else (transform,)
    merged = compose(parts)
    if not isinstance(merged, Linear):
        kind = next(type(part).__name__ for part in parts if not isinstance(part, Linear))
        raise WriteError(f"{what} holds one matrix and no {kind}; write .h5, which holds both")
    if merged.ndim not in ndims:
        raise WriteError(f"{what} is for 3-D images and the transform is {merged.ndim}-D; write .tfm")
    if not merged.is_affine and not projective:
        raise WriteError(f"{what} has no projective transform; write .json")
    return merged.matrix.detach().cpu().numpy()


def digits(values: NDArray[np.floating[Any]], separator: str = " ") -> str:
    """Numbers in the shortest text that reads back as the same numbers, and no -0."""
    return separator.join(repr(float(v) + 0.0) for v in values.reshape(-1))


def _counts(found: list[list[float]]) -> str:
    counts = sorted({len(row) for row in found}) or [0]
    return " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) + " numbers"


def _short(word: object) -> str:
    text = repr(word)
    return text if len(text) <= 40 else text[:36] + "...'"
