"""Damaged files, the same ones every time: cut short, with bytes changed, and with numbers changed."""

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inforeg.errors import ReadError
from inforeg.io import read_transform
from inforeg.transforms import Transform

NUMBERS = [
    "",
    "nan",
    "-inf",
    "1e999",
    "-1e308",
    "1e-320",
    "0",
    "-1",
    "99999999999999999999",
    "1_0",
    "x",
    "3 3",
]


def damaged(content: bytes, count: int = 300) -> Iterator[bytes]:
    """A third cut short, a third with a few bytes changed, and a third with a number changed or a line twice."""
    draw = random.Random(0)
    places = [found.span() for found in re.finditer(rb"-?\d[\d.eE+-]*", content[:20_000])]
    for n in range(count):
        if n % 3 == 0:
            yield content[: n * len(content) // count]
        elif n % 3 == 1 or not places:
            changed = bytearray(content)
            for _ in range(draw.randint(1, 4)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            yield bytes(changed)
        elif n % 2:
            start, end = draw.choice(places)
            yield content[:start] + draw.choice(NUMBERS).encode() + content[end:]
        else:
            lines = content.splitlines(keepends=True)
            place = draw.randrange(len(lines))
            yield b"".join(lines[:place] + lines[place:][: draw.randint(0, 2)] + lines[place:])


def read_damaged(path: Path, content: bytes, count: int = 300, **context: Any) -> list[Transform]:
    """Read every damaged version by the door; returns what is still a transform, and checks that all else is an error.

    An error is a `ReadError` of one line with the path in it.
    """
    survivors, errors = [], []
    for version in damaged(content, count):
        path.write_bytes(version)
        try:
            survivors.append(read_transform(path, **context))
        except ReadError as error:
            errors.append(str(error))
    assert [error for error in errors if "\n" in error or str(path) not in error] == []
    return survivors
