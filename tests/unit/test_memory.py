"""How much memory there is, on machines made of files; and what runs are said to need against what they took."""

import os
import resource
import subprocess
import sys
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch

from inforeg import memory
from inforeg.errors import NotEnoughMemory
from inforeg.io import Header
from inforeg.memory import Size, available_bytes, require, to_apply, to_read_thinned, to_register

GB = 10**9


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with 8 GB available and no other limit; a test adds what it wants."""
    monkeypatch.setattr(memory, "PROC", tmp_path / "proc")
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "groups")
    write(tmp_path / "proc" / "meminfo", f"MemTotal: 1 kB\nMemAvailable:    {8 * GB // 1024} kB\n")
    write(tmp_path / "proc" / "self" / "statm", "1000 500 0 0 0 0 0\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def about(value: int | None) -> float:
    assert value is not None
    return round(value / GB, 3)


def test_what_the_kernel_says(machine: Path) -> None:
    assert about(available_bytes()) == 8.0


def test_a_machine_that_says_nothing_has_at_most_what_is_built_in(machine: Path) -> None:
    (machine / "proc" / "meminfo").unlink()
    assert available_bytes() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize("visible", [True, False])
def test_control_groups_of_version_2(machine: Path, visible: bool) -> None:
    """Inside a container the group's path is the host's, and only the root of the tree is there."""
    write(machine / "proc" / "self" / "cgroup", "0::/user.slice/job\n")
    group = machine / "groups" / ("user.slice/job" if visible else "")
    write(group / "memory.max", f"{4 * GB}\n")
    write(group / "memory.current", f"{3 * GB}\n")
    write(group / "memory.stat", f"anon 5\nactive_file {GB}\ninactive_file {GB // 2}\n")
    assert about(available_bytes()) == 1.5


def test_the_tightest_group_on_the_way_up_counts(machine: Path) -> None:
    write(machine / "proc" / "self" / "cgroup", "0::/a/b\n")
    for place, limit, used in (("a/b", "max", 1), ("a", str(6 * GB), 4 * GB), ("", str(50 * GB), 45 * GB)):
        write(machine / "groups" / place / "memory.max", limit)
        write(machine / "groups" / place / "memory.current", str(used))
    assert about(available_bytes()) == 2.0


def test_control_groups_of_version_1(machine: Path) -> None:
    write(machine / "proc" / "self" / "cgroup", "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n0::/\n")
    group = machine / "groups" / "memory" / "docker" / "abc"
    write(group / "memory.limit_in_bytes", str(2 * GB))
    write(group / "memory.usage_in_bytes", str(3 * GB // 2))
    write(group / "memory.stat", f"inactive_file 1\ntotal_inactive_file {GB // 4}\n")
    # No limit is a number that no machine has.
    write(machine / "groups" / "memory" / "memory.limit_in_bytes", "9223372036854771712")
    write(machine / "groups" / "memory" / "memory.usage_in_bytes", str(GB))
    assert about(available_bytes()) == 0.75


def test_a_group_that_is_over_its_limit_leaves_nothing(machine: Path) -> None:
    write(machine / "proc" / "self" / "cgroup", "0::/\n")
    write(machine / "groups" / "memory.max", "100")
    write(machine / "groups" / "memory.current", "200")
    assert available_bytes() == 0


def test_an_address_space_with_a_limit(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of which threads that are yet to start take some that they never fill."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (3 * GB, resource.RLIM_INFINITY))
    for thread in ("1", "7"):
        write(machine / "proc" / "self" / "task" / thread / "comm", "python")
    assert available_bytes() == 3 * GB - 1000 * os.sysconf("SC_PAGE_SIZE") - 4 * 72 * 2**20
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GB // 100, GB))
    assert available_bytes() == 0


def test_a_device_has_what_is_free_and_what_torch_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (5 * GB, 80 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 3 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * GB)
    assert about(available_bytes("cuda:1")) == 6.0
    assert about(available_bytes(torch.device("cuda"))) == 6.0


def test_what_is_needed_beyond_what_there_is_is_refused_with_numbers() -> None:
    require(10, None, "it", "")
    require(10, 10, "it", "")
    with pytest.raises(NotEnoughMemory) as caught:
        require(3_210_000_000, 987_000_000, "warping a.nii", "close other programs")
    assert str(caught.value) == (
        "warping a.nii needs about 3.21 GB of memory, 987 MB are there; close other programs"
    )
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_600, "1 MB"),
        (70_230_000, "70.2 MB"),
        (8.59e9, "8.59 GB"),
        (108 * 10**12, "108 TB"),
    ],
)
def test_bytes_in_words(count: float, words: str) -> None:
    assert memory.in_words(count) == words


def size(n: int | tuple[int, ...], itemsize: int = 2, channels: int = 1, volumes: int = 1) -> Size:
    shape = n if isinstance(n, tuple) else (n,) * 3
    return Size(shape, channels, volumes, prod(shape) * itemsize * channels * volumes)


def test_a_header_is_what_an_estimate_asks_for() -> None:
    assert isinstance(size(4), memory.Sizes)
    assert {"shape", "channels", "volumes", "voxel_bytes"} <= set(Header.__dataclass_fields__)


# The largest resident sets that were measured, in MB; see `memory`.
REGISTER = [
    (size(256), size(256), [], 568),
    (size(320), size(320), [], 853),
    (size(64), size(320), [], 377),
    (size(320), size(64), [], 641),
    (size(256), size(256), [size(256, 1)] * 2, 521),
    (size((4096, 4096), 1), size((4096, 4096), 1), [], 550),
    (size((6000, 6000), 1), size((6000, 6000), 1), [], 954),
    (size((4096, 4096), 1, 3), size((4096, 4096), 1, 3), [], 1319),
    (size((6000, 6000), 1, 3), size((6000, 6000), 1, 3), [], 2442),
]
APPLY: list[tuple[Size, tuple[int, ...], str, str, int]] = [
    (size(320), (320,) * 3, "linear", "float32", 478),
    (size(64), (320,) * 3, "linear", "float32", 375),
    (size(320), (320,) * 3, "linear", "int16", 633),
    (size(320), (320,) * 3, "linear", "int32", 1265),
    (size(256), (256,) * 3, "nearest", "float32", 523),
    (size(320), (320,) * 3, "bspline", "float32", 834),
    (size(320), (64,) * 3, "bspline", "float32", 843),
    (size(64), (320,) * 3, "bspline", "float32", 613),
    (size(320), (320,) * 3, "label", "float32", 1388),
    (size(256), (256,) * 3, "label", "float32", 916),
    (size(320), (64,) * 3, "label", "float32", 718),
    (size(64), (320,) * 3, "label", "float32", 1182),
    (size((6000, 6000), 1, 3), (6000, 6000), "linear", "uint8", 2082),
    (size((6000, 6000), 1), (6000, 6000), "linear", "uint8", 790),
    (size(64, 2, 1, 300), (192,) * 3, "linear", "float32", 398),
]


@pytest.mark.parametrize(("fixed", "moving", "masks", "measured"), REGISTER)
def test_register_takes_no_more_than_is_said_and_not_much_less(
    fixed: Size, moving: Size, masks: list[Size], measured: int
) -> None:
    assert 1.0 <= to_register(fixed, moving, masks) / (measured * 1e6) <= 1.5


@pytest.mark.parametrize(("image", "shape", "interpolation", "dtype", "measured"), APPLY)
def test_apply_takes_no_more_than_is_said_and_not_much_less(
    image: Size, shape: tuple[int, ...], interpolation: str, dtype: str, measured: int
) -> None:
    assert 1.0 <= to_apply(image, shape, interpolation, dtype) / (measured * 1e6) <= 1.5


@pytest.mark.parametrize(("shape", "measured"), [((182, 218, 182), 850), ((256,) * 3, 1900)])
def test_deforming_takes_no_more_than_is_said_and_not_much_less(
    shape: tuple[int, ...], measured: int
) -> None:
    image = size(shape)
    assert 1.0 <= to_register(image, image, method="svf") / (measured * 1e6) <= 1.5


@pytest.mark.parametrize(
    ("method", "image", "measured", "most"),
    [
        ("drmime", size((64, 64), 1), 296, 1.5),
        ("drmime", size((2000, 2000), 1), 343, 1.5),
        ("drmime", size((2000, 2000), 1, 3), 597, 1.5),
        ("drmime", size(256), 518, 1.5),
        ("drmime-paper", size((64, 64), 1), 234, 1.5),
        # How many voxels lie on edges is not known before.
        ("drmime-paper", size((2000, 2000), 1), 1688, 2.1),
        ("drmime-paper", size((2000, 2000), 1, 3), 1116, 3.3),
        ("drmime-paper", size(160), 3018, 1.5),
        ("drmime-paper", size(256), 6978, 1.5),
    ],
)
def test_networks_take_no_more_than_is_said(method: str, image: Size, measured: int, most: float) -> None:
    assert 1.0 <= to_register(image, image, method=method) / (measured * 1e6) <= most


def test_fields_take_more_than_matrices() -> None:
    image, shape = size(192), (192,) * 3
    extra = to_apply(image, shape, "linear", affine=False) - to_apply(image, shape, "linear")
    assert 200e6 < extra < 500e6


def test_thinned_images_are_read_as_they_are_stored() -> None:
    image = size(512)
    assert image.thinned((2, 2, 3)).shape == (256, 256, 171)
    assert image.voxel_bytes < to_read_thinned(image, (4, 4, 4)) <= 1.5 * image.voxel_bytes
    assert to_read_thinned(image, (2, 2, 2)) < to_register(image, image) / 4


MEASURE = """
import re, resource, sys
from importlib import import_module
for name in ("register.saving", "register.front", "io.images", "image.sample", "describe.image"):
    import_module("inforeg." + name)
import nibabel, scipy.ndimage
pages = int(open("/proc/self/statm").read().split()[1])
from inforeg.cli.main import main
code = main(sys.argv[1:])
assert code in (0, 3), code
# Not ru_maxrss, which a process inherits from the one that started it.
most = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
print(most - pages * resource.getpagesize())
"""


def taken_by(*arguments: Any) -> int:
    """By how much a command grows beyond what it has imported, the same in every run.

    The C library is told to give back at once what is above 1 MB: else gaps stay, and runs differ.
    """
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, arguments)],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert run.returncode == 0, run.stderr
    return int(run.stdout.split()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in another way")
def test_what_apply_takes_today(tmp_path: Path) -> None:
    """The figures above are of one day: this sees where apply comes to take more than is said."""
    import nibabel as nib
    import numpy as np

    n = 160
    ramp = np.broadcast_to(np.arange(n, dtype=np.int16), (n, n, n))
    nib.save(nib.Nifti1Image(np.ascontiguousarray(ramp), np.eye(4)), tmp_path / "a.nii.gz")
    common = ["-i", tmp_path / "a.nii.gz", "-r", tmp_path / "a.nii.gz", "-q"]
    for interpolation in ("linear", "label"):
        output = tmp_path / f"{interpolation}.nii.gz"
        taken = taken_by("apply", *common, "-o", output, "-n", interpolation)
        assert taken <= to_apply(size(n), (n,) * 3, interpolation)
