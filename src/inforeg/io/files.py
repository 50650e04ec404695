"""Plain facts about files: whether they are there, and what they are byte for byte."""

import hashlib
import os
from pathlib import Path

from inforeg.errors import ReadError


def check_there(path: Path) -> None:
    """Raise `ReadError` unless `path` is a file with something in it."""
    try:
        if not path.exists():
            raise ReadError(f"{path} is not there")
        if path.is_dir():
            raise ReadError(f"expected a file, and {path} is a folder")
        if path.stat().st_size == 0:
            raise ReadError(f"{path} is empty (0 bytes)")
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None


def file_digest(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal; raises `ReadError` where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"cannot read {path}: {why(error)}") from None


def why(error: OSError) -> str:
    """What the operating system says, without its number."""
    return (error.strerror or str(error) or type(error).__name__).lower()
