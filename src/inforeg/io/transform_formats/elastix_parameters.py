"""The parameter files of elastix, text and TOML: names, each with its values."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.transform_formats.text import numbers, read_text


@dataclass(frozen=True)
class Parameters:
    """What one parameter file says; every way to ask for a value raises `ReadError` where it is not as expected."""

    path: Path
    values: dict[str, list[Any]]

    def word(self, *names: str, default: str | None = None) -> str:
        """The one word or text under the first of these names that is there."""
        for name in names:
            if name in self.values:
                found = self.values[name]
                if len(found) != 1 or not isinstance(found[0], str):
                    raise ReadError(f"expected one text as {name} in {self.path}, got {len(found)} values")
                return found[0]
        if default is None:
            raise ReadError(
                f"expected a file of transform parameters of elastix, and {self.path} has no {names[0]}"
            )
        return default

    def flag(self, name: str, default: bool) -> bool:
        """A value of true or false."""
        said = self.word(name, default="true" if default else "false")
        if said not in ("true", "false"):
            raise ReadError(f'expected "true" or "false" as {name} in {self.path}, got {said[:40]!r}')
        return said == "true"

    def floats(self, name: str, count: int | None = None) -> NDArray[np.float64]:
        """Finite numbers, as many as wanted."""
        if name not in self.values:
            raise ReadError(f"expected {name} in {self.path}, and it is not there")
        try:
            found = np.array(numbers(self.values[name]), np.float64)
        except ValueError as error:
            raise ReadError(f"expected numbers as {name} in {self.path}, and {error}") from None
        if count is not None and len(found) != count:
            raise ReadError(f"expected {count} numbers as {name} in {self.path}, got {len(found)}")
        if not np.isfinite(found).all():
            raise ReadError(f"{name} in {self.path} holds NaN or infinity")
        return found

    def whole(self, name: str, count: int | None = None, default: int | None = None) -> list[int]:
        """Whole numbers, as many as wanted."""
        if name not in self.values and default is not None:
            return [default] * (count or 1)
        found = self.floats(name, count)
        if (found != np.rint(found)).any() or (np.abs(found) > 1 << 40).any():
            raise ReadError(f"expected whole numbers as {name} in {self.path}")
        return [int(n) for n in found]

    def direction(self, name: str, ndim: int) -> NDArray[np.float64]:
        """Direction cosines, which elastix writes column after column; none means along the axes."""
        if name not in self.values:
            return np.eye(ndim)
        return self.floats(name, ndim * ndim).reshape(ndim, ndim).T


def read_parameters(path: Path) -> Parameters:
    """A file of transform parameters, `.toml` or elastix's own text; raises `ReadError` for anything else."""
    text = read_text(path)
    values = _toml(text, path) if path.suffix.lower() == ".toml" else _lines(text, path)
    return Parameters(path, values)


def _toml(text: str, path: Path) -> dict[str, list[Any]]:
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReadError(
            f"expected a TOML file of elastix in {path}: {str(error) or 'it is too deep'}"
        ) from None
    return {
        name: [_plain(v) for v in (value if isinstance(value, list) else [value])]
        for name, value in content.items()
    }


def _plain(value: Any) -> Any:
    return ("true" if value else "false") if isinstance(value, bool) else value


def _lines(text: str, path: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("//"):
            continue
        words = _words(stripped)
        # What stands in the file is not repeated: it may be a file that has nothing to do with elastix.
        if not words:
            raise ReadError(
                f"expected a parameter file of elastix in {path}, and line {number} is no (Name value)"
            )
        name, *values = words
        if name in found:
            raise ReadError(f"{path} says {name[:40]} twice")
        found[name] = values
    return found


def _words(line: str) -> list[str]:
    """Name and values of `(Name value "text")`, perhaps with a comment behind it; none if it is another line."""
    masked = re.sub(r'"[^"]*"', lambda text: "x" * len(text[0]), line) if '"' in line else line
    end = masked.find(")")
    behind = masked[end + 1 :].lstrip()
    if not line.startswith("(") or end < 0 or (behind and not behind.startswith("//")):
        return []
    words = re.findall(r'"[^"]*"|[^\s"]+', line[1:end])
    if not words or not re.fullmatch(r"[A-Za-z]\w*", words[0]):
        return []
    return [word.strip('"') for word in words]
