"""Numbers in point files: from text without Python's liberties, and back without losing a digit."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError, WriteError

# Possessive, so that a long line of digits with a fault at its end is not tried over and over.
_NUMBER = re.compile(r"[+-]?+(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?+\d++)?+", re.ASCII)
_COUNT = re.compile(rb"\d{1,18}+")


def is_number(text: str) -> bool:
    """Whether the text is a decimal number; `nan`, `inf` and `1_000` are not."""
    return _NUMBER.fullmatch(text.strip()) is not None


def parse(text: str) -> float:
    """The number in a piece of text; raises `ValueError` where it is none, or beyond float64."""
    if not is_number(text) or not np.isfinite(value := float(text)):
        raise ValueError(text)
    return value


def parse_all(words: list[bytes], name: str) -> NDArray[np.float64]:
    """Numbers written as text; raises `ReadError` where one is none, or not finite."""
    try:
        # Python takes 1_000 for a number; no file format does.
        values = np.fromiter((float(word) for word in words), np.float64, len(words))
        wrong = next((word for word in words if b"_" in word), None)
    except ValueError:
        values, wrong = np.empty(0), next(word for word in words if not _is_float(word))
    if wrong is not None:
        raise ReadError(f"{name}: expected numbers, got {wrong[:40]!r}")
    return finite(values, name)


def _is_float(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def finite(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """The values in float64; raises `ReadError` where one is NaN or infinite."""
    result: NDArray[np.float64] = values.astype(np.float64)
    if not np.isfinite(result).all():
        raise ReadError(f"{name}: a coordinate is NaN or infinite")
    return result


def count(text: bytes, what: str, name: str) -> int:
    """A number of things; raises `ReadError` where the text is none."""
    if _COUNT.fullmatch(text) is None:
        raise ReadError(f"{name}: expected the number of {what}, got {text[:40]!r}")
    return int(text)


def promised(needed: int, there: int, what: str, name: str) -> None:
    """Raise `ReadError` where a file promises more than it holds, before memory is asked for."""
    if needed > there:
        raise ReadError(
            f"{name} is cut short: it promises {what} ({needed} bytes), and {there} bytes are left"
        )


def cast(numbers: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The numbers in the type of a file; raises `WriteError` where they do not fit into it."""
    with np.errstate(over="ignore"):
        result: NDArray[Any] = numbers.astype(dtype)
    if not np.isfinite(result).all():
        raise WriteError(f"expected coordinates that fit into {dtype.name}, got {np.abs(numbers).max():.3g}")
    return result


def lines(numbers: NDArray[Any], between: str = " ") -> str:
    """One line a point, each number with as many digits as its type needs to be read back the same."""
    if numbers.dtype == np.float64:
        return "".join(between.join(map(repr, row)) + "\n" for row in numbers.tolist())
    return "".join(between.join(row) + "\n" for row in numbers.astype(np.str_).tolist())
