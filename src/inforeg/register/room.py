"""Whether a run fits into memory: asked from headers, before anything large is read."""

import logging
import os
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inforeg import io, memory
from inforeg.image import Image, Labels
from inforeg.io.headers import Header
from inforeg.io.thinned import read_thinned
from inforeg.space import Grid
from inforeg.transforms import Linear, Transform

_log = logging.getLogger("inforeg")

# An image thinned below this many voxels along its longest axis is no longer worth registering.
_FEWEST = 48


def read_pair(
    sources: Sequence[Any],
    masks: Sequence[Any],
    device: torch.device,
    *,
    method: str = "linear",
    beside: int = 0,
) -> tuple[list[Image], list[Image | None], list[str]]:
    """Fixed and moving, and their masks (None where there is none), and what to note of how they were read.

    Where the run would not fit into the memory there is, all are read thinned by whole factors, no further than
    needed, and one line is logged. `beside` is what the method takes whatever the images are, in bytes. The world is in
    millimetres, so what is found holds for the whole images. Raises `NotEnoughMemory` where they would not fit so
    either, and `ReadError` as `read_image` does.
    """
    given = [*sources, *(mask for mask in masks if mask is not None)]
    headers = [_header(source) for source in given]
    known = [header for header in headers if header is not None and header.volumes == 1]
    factors: list[tuple[int, ...] | None] = [None] * len(given)
    notes: list[str] = []
    if len(known) == len(given):
        factors, notes = _plan(known, device, method, beside)
    for note in notes:
        _log.warning("%s", note)
    images = [
        io.read_image(source) if factor is None else read_thinned(source, factor)
        for source, factor in zip(given, factors, strict=True)
    ]
    rest = iter(images[2:])
    return images[:2], [None if mask is None else next(rest) for mask in masks], notes


def check_apply(
    header: Header, grid: Grid, transform: Transform, interpolation: str, dtype: str | None
) -> None:
    """Raise `NotEnoughMemory` where warping an image of that header onto a grid would not fit into memory."""
    affine = isinstance(transform, Linear) and transform.is_affine
    kind = dtype or (header.dtype if header.channels == 3 else "float32")
    needed = memory.to_apply(header, grid.shape, interpolation, kind, affine=affine)
    what = f"warping {header.name} onto a grid of {'x'.join(map(str, grid.shape))}"
    memory.require(
        needed, memory.available_bytes(), what, "close other programs, or give a coarser image as reference"
    )


def _plan(
    headers: list[Header], device: torch.device, method: str, beside: int
) -> tuple[list[tuple[int, ...] | None], list[str]]:
    """By what to thin each image along each axis, None for not at all; and what to note of it."""
    room, where = _room(device)
    room = None if room is None else max(0, room - beside)
    whole = memory.to_register(headers[0], headers[1], headers[2:], method=method)
    if room is None or whole <= room:
        return [None] * len(headers), []
    what = f"registering {headers[0].name} and {headers[1].name} whole"
    finest = min(min(header.spacing_mm) for header in headers[:2])
    longest = max(max(header.shape) for header in headers[:2])
    least = whole
    for times in range(2, max(2, longest // _FEWEST) + 1):
        # Thick slices are kept until the pixels within them have come up to them, or nearly so.
        factors = [
            [max(1, int(times * finest / mm + 0.25)) for mm in header.spacing_mm] for header in headers
        ]
        needed = _thinned_need(headers, factors, method)
        least = min(least, needed)
        if needed <= room:
            note = (
                f"{what} needs about {memory.in_words(whole)} of memory{where} and {memory.in_words(room)} are there:"
                f" they are read thinned to {times * finest:.3g} mm, and so is the warped image; the transform holds"
                " for the whole images (inforeg apply)"
            )
            return [tuple(f) if max(f) > 1 else None for f in factors], [note]
    memory.require(
        whole,
        room,
        what,
        f"thinned it would still be {memory.in_words(least)}{where}; close other programs, or crop the images",
    )
    raise AssertionError  # it was more than there is


def _thinned_need(headers: list[Header], factors: list[list[int]], method: str) -> int:
    """The most that is taken at a time: while one of the images is read, or in the run."""
    sizes = [
        memory.Size(tuple(ceil(n / f) for n, f in zip(header.shape, by, strict=True)), header.channels)
        for header, by in zip(headers, factors, strict=True)
    ]
    run = memory.to_register(sizes[0], sizes[1], sizes[2:], method=method)
    return max(
        run, *(memory.to_read_thinned(header, by) for header, by in zip(headers, factors, strict=True))
    )


def _room(device: torch.device) -> tuple[int | None, str]:
    """What may be taken, and where, if not on the machine itself.

    The work is the same on a device, and the images are kept on both sides: each has to have room for it.
    """
    here = memory.available_bytes()
    there = memory.available_bytes(device) if device.type == "cuda" else None
    if there is not None and (here is None or there < here):
        return there, f" on {device}"
    return here, ""


def _header(source: Any) -> Header | None:
    """What is known of an image before it is read; what is in memory already takes nothing to read."""
    if isinstance(source, str | os.PathLike):
        return io.read_header(Path(source))
    if isinstance(source, Image | Labels):
        matrix: np.ndarray[Any, Any] = source.grid.voxel_to_world.numpy()
        return Header(
            source.name, "", source.grid.shape, matrix, source.dtype, 0, channels=source.data.shape[1]
        )
    return None
