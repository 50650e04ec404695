"""How much memory there is, and how much a run will need: known before anything large is read. Needs no torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from inforeg.errors import NotEnoughMemory

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")
# Threads that are yet to start reserve address space that they never fill: a stack of 8 MB, an arena of 64 MB each.
_THREAD_SPACE = 72 * 2**20

# Bytes, as fitted to the largest resident set of whole commands (`ru_maxrss`, less what it was once everything was
# imported) on Linux with torch 2.13 and two threads; where runs differ, to the largest of up to six. All are to lie
# above what was measured, and below 1.5 times that from about 0.4 GB on. MB measured, and estimated in brackets:
#   register  192^3 263 (431) · 256^3 568 (693) · 320^3 853 (1125) · 320^3 to 64^3 641 (816) · 64^3 to 320^3 377 (556)
#             256^3 with masks 521 (760), nearest 677, bspline 662 · 6000^2 954 (1212), in colour 2442 (3156)
#   apply     256^3 303 (362) · 320^3 478 (650) · 64^3 to 320^3 375 (455) · to int16 633 (781) · to int32 1265 (1305)
#             256^3 nearest 523 (635) · 320^3 bspline 834 (1185) · 256^3 label 916 (970) · 320^3 label 1388 (1578)
#             6000^2 to PNG 790 (816), in colour 2082 (2328) · a field of 192^3 on 320^3 737 (1017), itself aside
# The types that files are stored in matter only while they are read: 252 (float64) to 276 (uint8) for 192^3.
# On a device the images and levels are the same; there it was not measured.
_LEAST = 60 * 10**6
_REGISTER, _FIXED_VALUE, _MOVING_VALUE, _MASK_VALUE = 240 * 10**6, 17.5, 9.5, 2
# To deform, for each fixed voxel besides: 592 MB more for 182x218x182, of which a brain is a quarter, and
# 1457 for 256^3 that a head fills.
_DEFORMED_VALUE = 90
# By a learnt metric, whose widest features of the finest level are there at once, for each fixed voxel besides: a brain
# that fills half of 7 million voxels took 20 in bfloat16; one that fills all of them takes 80 in 32 bits, and room.
_BY_PATCHES_VALUE = 120
# By a network, which works on samples and keeps its own: 2-D pictures of 64^2 296 (301), of 2000^2 343 (408) and in
# colour 597 (624), volumes of 256^3 518 (753).
_BY_NETWORK = 300 * 10**6
# The published one looks at all edges in every step. How many there are is only known when they are found: of a noisy
# head of 160^3 16 % of the voxels, of others 3 to 8 %, and of each level no more than a million. 2000^2 1688 (3352), in
# colour 1116 (3568), 160^3 3018 (3424), 256^3 6978 (7193).
_POSITION, _ON_EDGES, _MOST_POSITIONS = 4600, 0.16, 1.4e6
_FLOAT = 4
# What a value of the output takes until it is written, by the type it is written in.
_OUTPUT_VALUE = {"float32": 12, "int8": 16, "uint8": 16, "int16": 16, "uint16": 16}
_WIDE_OUTPUT_VALUE = 32
# A series is written volume after volume, and the next one is made while the last one is there.
_SERIES_VALUE = 16
# Arrays below 32 MiB the C library takes from a heap, where gaps stay: once in some runs that is so much a value.
_HEAP_VALUES, _HEAP_VALUE = 1 << 23, 24
# Positions are worked out a part of the output at a time.
_PART_VOXELS, _PLACE, _FIELD_PLACE = 1 << 20, 260, 350


@runtime_checkable
class Sizes(Protocol):
    """What an estimate needs to know of an image file; `io.Header` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis."""

    @property
    def channels(self) -> int:
        """Values in a voxel."""

    @property
    def volumes(self) -> int:
        """Volumes of that shape."""

    @property
    def voxel_bytes(self) -> int:
        """What all values take up as they are stored."""


@dataclass(frozen=True)
class Size:
    """An image as it will be in memory: `voxel_bytes` is what has to be read for it, 0 if it is there already."""

    shape: tuple[int, ...]
    channels: int = 1
    volumes: int = 1
    voxel_bytes: int = 0

    def thinned(self, factors: Sequence[int]) -> "Size":
        """The same with every `factor`-th voxel along each axis, once that is read."""
        return Size(tuple(ceil(n / f) for n, f in zip(self.shape, factors, strict=True)), self.channels)


def to_register(
    fixed: Sizes,
    moving: Sizes,
    masks: Sequence[Sizes] = (),
    *,
    method: str = "linear",
) -> int:
    """What `register` by that method and saving its result take at most, in bytes, from where nothing is read yet."""
    kept = _FIXED_VALUE * _values(fixed) + _MOVING_VALUE * _values(moving)
    reading = sum(image.voxel_bytes + _FLOAT * _values(image) for image in (fixed, moving))
    # Of small images fewer samples are drawn, and they are written in fewer parts.
    rest = min(_REGISTER, _LEAST + 100 * (_values(fixed) + _values(moving)))
    if method in ("svf", "svf-patches", "network"):
        kept += _DEFORMED_VALUE * prod(fixed.shape)
    if method == "svf-patches":
        kept += _BY_PATCHES_VALUE * prod(fixed.shape)
    if method in ("drmime", "drmime-paper"):
        rest = _BY_NETWORK
    if method == "drmime-paper":
        kept += _POSITION * min(_ON_EDGES * prod(fixed.shape), _MOST_POSITIONS)
    return int(rest + max(kept, reading) + _MASK_VALUE * sum(map(_values, masks)))


def to_read_thinned(image: Sizes, factors: Sequence[int]) -> int:
    """What reading an image thinned takes: all of it as it is stored, and what is left of it axis by axis."""
    return int(image.voxel_bytes + 3 * _FLOAT * _values(image) / prod(factors[:-1]) + _PART_VOXELS * 32)


def to_apply(
    image: Sizes, shape: Sequence[int], interpolation: str, dtype: str = "float32", *, affine: bool = True
) -> int:
    """What `apply` takes at most, in bytes, to put an image on a grid of that shape, its transforms being there."""
    one, out = prod(image.shape) * image.channels, prod(shape) * image.channels
    read = image.voxel_bytes + _FLOAT * one
    written: float = _OUTPUT_VALUE.get(dtype, _WIDE_OUTPUT_VALUE) * out
    places = min(prod(shape), _PART_VOXELS) * (0 if affine and interpolation == "linear" else _PLACE)
    if not affine:
        places = min(prod(shape), _PART_VOXELS) * _FIELD_PLACE
    if image.volumes > 1:
        written += _SERIES_VALUE * out
    if out < _HEAP_VALUES:
        places += _HEAP_VALUE * out
    if interpolation == "bspline":
        return int(_LEAST + places + max(26 * one + image.voxel_bytes * (image.volumes > 1), read + written))
    if interpolation == "label":
        return int(
            _LEAST + places + image.voxel_bytes * (image.volumes > 1) + max(22 * one, 4 * one + 34 * out)
        )
    return int(_LEAST + places + read + written)


def require(needed: int, available: int | None, what: str, way_out: str) -> None:
    """Raise `NotEnoughMemory`, with the numbers, unless there is as much as is needed, or nobody knows."""
    if available is not None and needed > available:
        raise NotEnoughMemory(
            f"{what} needs about {in_words(needed)} of memory, {in_words(available)} are there; {way_out}"
        )


def in_words(count: float) -> str:
    """A number of bytes with its unit, to three digits."""
    for power, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        # What rounds to a thousand is one of the next unit.
        if count >= 0.9995 * power:
            return f"{count / power:.3g} {unit}"
    return f"{count:.0f} bytes"


def _values(image: Sizes) -> int:
    return prod(image.shape) * image.channels * image.volumes


def available_bytes(device: Any = "cpu") -> int | None:
    """What a run may still take of a device's memory; None where the system does not say.

    Of the machine's memory: what the kernel calls available, what is left of the limits of the control groups (v1 and
    v2) this process is in, and of its address space. Of a CUDA device: what is free, and what torch holds in reserve.
    """
    if str(device).startswith("cuda"):
        import torch

        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + int(reserve)
    found = [_machine(), *_groups(), _address_space()]
    return min((max(0, value) for value in found if value is not None), default=None)


def _machine() -> int | None:
    for line in _lines(PROC / "meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:  # other systems say only how much there is in all
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _groups() -> list[int]:
    """What is left of each limit on the way from this process's control group to the root."""
    found = []
    for line in _lines(PROC / "self" / "cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            root, names = GROUPS, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = GROUPS / "memory"
        else:
            continue
        # Inside a container the path may be the host's, of which only the root is to be seen.
        inner = [part for part in Path(path.strip()).parts if part not in ("/", "..")]
        for depth in range(len(inner), -1, -1):
            left = _left(root.joinpath(*inner[:depth]), *names)
            if left is not None:
                found.append(left)
    return found


def _left(group: Path, limit: str, used: str, reclaimable: str) -> int | None:
    numbers = [_first_number(group / name) for name in (limit, used)]
    if numbers[0] is None or numbers[1] is None:
        return None
    # Pages of files that nobody has looked at lately are given back when memory is asked for.
    cache = [line.split()[1] for line in _lines(group / "memory.stat") if line.startswith(reclaimable + " ")]
    return numbers[0] - numbers[1] + (int(cache[0]) if cache else 0)


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:  # there is no such limit on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _first_number(PROC / "self" / "statm")
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    try:
        started = len(os.listdir(PROC / "self" / "task"))
    except OSError:
        started = 1
    to_start = max(0, (os.cpu_count() or 1) + 4 - started)
    return limit - pages * os.sysconf("SC_PAGE_SIZE") - to_start * _THREAD_SPACE


def _first_number(path: Path) -> int | None:
    lines = _lines(path)
    word = lines[0].split()[0] if lines and lines[0].split() else ""
    return int(word) if word.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
