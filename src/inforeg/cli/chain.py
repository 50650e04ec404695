"""Chains of transforms as a user lists them: in the order points travel from the reference to the image."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inforeg.errors import UsageError

if TYPE_CHECKING:
    from inforeg.transforms import Transform


def read_chain(paths: Sequence[Path], ndim: int) -> "Transform":
    """One transform from files, the first applied first to points of the reference; none is the identity."""
    from inforeg.io import read_transform
    from inforeg.transforms import Linear
    from inforeg.transforms.linear import compose

    if not paths:
        return Linear.identity(ndim)
    parts = [read_transform(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.ndim != ndim:
            raise UsageError(f"expected a {ndim}-D transform for these images, and {path} is {part.ndim}-D")
    # In a product, what is applied first stands last.
    return compose(parts[::-1])


def in_words(paths: Sequence[Path], reference: Path, image: Path) -> str:
    """The chain as the tool understood it."""
    steps = " -> ".join(str(path) for path in paths) if paths else "no transform (the headers as they are)"
    return f"points travel {reference} -> {steps} -> {image}"
