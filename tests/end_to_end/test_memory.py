"""The command under a real limit of memory: a coarser plan, or a refusal, and never half a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from phantoms import field_of_view, phantom, turn

from inforeg import memory
from inforeg.io import read_header, write_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold to the limit")

# The limit leaves so much beyond what is imported and what threads reserve.
LIMITED = """
import os, resource, sys
from importlib import import_module
import torch
for name in ("register.saving", "register.front", "register.room"):
    import_module("inforeg." + name)
from inforeg.cli.main import main
from inforeg.memory import _THREAD_SPACE
pages = int(open("/proc/self/statm").read().split()[0])
reserved = ((os.cpu_count() or 1) + 4) * _THREAD_SPACE
limit = pages * resource.getpagesize() + reserved + int(float(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pair")
    grid = field_of_view(3, 1.8)
    write_image(phantom(grid), folder / "t1.nii.gz", dtype="float32")
    write_image(phantom(grid, "t2", turn(12.0, 3, (4.0, -2.0, 3.0)), seed=5), folder / "t2.nii.gz")
    return folder / "t1.nii.gz", folder / "t2.nii.gz"


def limited(room: float, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LIMITED, str(room), *map(str, arguments)],
        # Threads take address space for themselves, one by one as they are started.
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_register_makes_do_with_thinned_images(pair: tuple[Path, Path], tmp_path: Path) -> None:
    fixed, moving = pair
    whole = memory.to_register(read_header(fixed), read_header(moving))
    run = limited(
        0.7 * whole, "register", "-f", fixed, "-m", moving, "-o", tmp_path / "out", "-t", "rigid", "-j", 1
    )
    assert run.returncode == 0, run.stderr
    warned = [line for line in run.stderr.splitlines() if "warning" in line]
    assert len(warned) == 1 and "they are read thinned to 3.6 mm" in warned[0]
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert "they are read thinned to 3.6 mm" in record["notes"][0]
    assert read_header(tmp_path / "out" / "warped.nii.gz").shape == (49, 49, 49)


@pytest.mark.parametrize("command", ["register", "apply"])
def test_what_cannot_fit_is_refused_and_leaves_nothing(
    command: str, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    fixed, moving = pair
    images = ("-f", fixed, "-m", moving) if command == "register" else ("-r", fixed, "-i", moving)
    run = limited(30e6, command, *images, "-o", tmp_path / "out.nii.gz", "-j", 1)
    assert run.returncode == 4, run.stderr
    assert run.stderr.count("\n") == 1
    assert "MB of memory" in run.stderr and "close other programs" in run.stderr
    assert list(tmp_path.iterdir()) == []
