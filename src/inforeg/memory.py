"""How much memory there is, and how much a run will need: known before anything large is read. Needs no torch."""

import os
import resource
import sys
from math import prod
from pathlib import Path
from typing import Any, Protocol

from inforeg.errors import NotEnoughMemory

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


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
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _first_number(PROC / "self" / "statm")
    if limit == resource.RLIM_INFINITY or pages is None:
        return None
    return limit - pages * os.sysconf("SC_PAGE_SIZE")


def _first_number(path: Path) -> int | None:
    lines = _lines(path)
    word = lines[0].split()[0] if lines and lines[0].split() else ""
    return int(word) if word.isdigit() else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
