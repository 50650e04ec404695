"""ITK's text files (`.tfm`, `.txt`): a line for the class of each transform, one for each list of its numbers."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inforeg.errors import ReadError
from inforeg.io.transform_formats import Context
from inforeg.io.transform_formats.itk_parts import Part, composite, parts_of, transform_of
from inforeg.io.transform_formats.text import digits, numbers, read_text
from inforeg.transforms import Transform

_HEAD = "#Insight Transform File"
_LISTS = ("Parameters", "FixedParameters")


def recognises(head: bytes) -> bool:
    """Whether a file that begins so is one of these; the line at its head may have been taken off."""
    return head.lstrip().startswith(_HEAD.encode()) or any(
        line.startswith(b"Transform:") for line in head.splitlines()
    )


def read(path: Path, _context: Context) -> Transform:
    """The transform in a file, fixed points to moving points in RAS+ mm; raises `ReadError` for a damaged one."""
    return transform_of(_parts(path), path)


def write(transform: Transform, path: Path, context: Context) -> None:
    """One transform, or a composite of several, with every digit; matrices about the context's centre."""
    parts = parts_of(transform, path, context)
    if len(parts) > 1:
        parts.insert(0, Part(composite(transform.ndim), np.empty(0), np.empty(0)))
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.write(f"{_HEAD} V1.0\n")
        for number, part in enumerate(parts):
            file.write(f"#Transform {number}\nTransform: {part.name}\n")
            if not part.is_composite:
                # Float32 in as many digits as its float64 has: whoever reads it as that gets it exactly.
                parameters = digits(part.parameters.astype(np.float64))
                file.write(f"Parameters: {parameters}\nFixedParameters: {digits(part.fixed)}\n")


def _parts(path: Path) -> list[Part]:
    found: list[tuple[str, dict[str, NDArray[Any]]]] = []
    for line in read_text(path).splitlines():
        tag, colon, rest = line.strip().partition(":")
        if not tag or tag.startswith("#"):
            continue
        tag = tag.strip()
        if colon and tag == "Transform":
            found.append((rest.strip(), {}))
        elif colon and tag in _LISTS and found:
            name, lists = found[-1]
            if tag in lists:
                raise ReadError(f"{path}: expected one line of {tag} for {name[:60]}, got two")
            # Where a field lies is float64 whatever its vectors are.
            lists[tag] = _array(rest, tag == "Parameters" and "_float_" in name, path)
        else:
            raise ReadError(f"expected a transform of ITK in {path}, got the line {line.strip()[:60]!r}")
    for name, lists in found:
        if not name.startswith("CompositeTransform") and len(lists) < 2:
            raise ReadError(f"{path} is cut short: {name[:60]} has not both its lists of parameters")
    none = np.empty(0)
    return [
        Part(name, lists.get("FixedParameters", none), lists.get("Parameters", none)) for name, lists in found
    ]


def _array(text: str, single: bool, path: Path) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):
            return np.array(numbers(text.split()), np.float32 if single else np.float64)
    except ValueError as error:
        raise ReadError(f"{path}: expected numbers, and {error}") from None
