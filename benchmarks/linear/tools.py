"""The tools that are compared: how each is called, and how its answer is read."""

import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS_VENV = HERE.parent / ".peers-venv"
PINS = HERE.parent / "peers-constraints.txt"
PEER_PACKAGES = ("picsl_greedy", "antspyx", "itk-elastix", "SimpleITK")

# Greedy's other starts cost time and gain nothing where its first one does: they run on the far turns.
TURNED = ("rotations", "cut-moving-third", "cut-moving-half", "cut-fixed", "brainweb", "templates")


@dataclass(frozen=True)
class Tool:
    """A tool's name, its script (none: inforeg), its start, and the sets it runs on (none: all)."""

    name: str
    script: str = ""
    init: str = ""
    sets: tuple[str, ...] = ()


TOOLS = (
    Tool("inforeg"),
    Tool("greedy", "run_greedy.py", "centres"),
    Tool("greedy-moments", "run_greedy.py", "moments", TURNED),
    Tool("greedy-search", "run_greedy.py", "search", TURNED),
    Tool("ants", "run_ants.py", "mass"),
    Tool("elastix", "run_elastix.py", "centres"),
    Tool("simpleitk", "run_simpleitk.py", "centres"),
)


@dataclass(frozen=True)
class Programs:
    """Where the programs are, and how many threads each may use."""

    inforeg: str
    peers_python: str
    threads: int


def command(tool: Tool, programs: Programs, case: Path, truth: dict, out: Path) -> list[str]:
    """The command line that registers this case into the folder `out`."""
    fixed, moving = str(case / truth["fixed"]), str(case / truth["moving"])
    if not tool.script:
        files = ["-f", fixed, "-m", moving, "-o", str(out)]
        how = ["-t", truth["transform"], "-j", str(programs.threads), "-q"]
        return [programs.inforeg, "register", *files, *how]
    return [
        programs.peers_python,
        str(HERE / "peers" / tool.script),
        *("--fixed", fixed, "--moving", moving, "--transform", truth["transform"]),
        *("--out", str(out), "--init", tool.init, "--threads", str(programs.threads)),
    ]


def errors_mm(tool: Tool, out: Path, truth: dict) -> tuple[list[float], float]:
    """Distance of every landmark from where it belongs, and the seconds inside the tool's call."""
    points, right = truth["landmarks_mm"], truth["matrix"]
    if tool.script:
        answer = json.loads((out / "answer.json").read_text())
        found = [_apply(answer["matrix"], point) for point in points]
        seconds = answer["seconds"]
    else:
        found = _through_itk(out / "transform.h5", points)
        seconds = json.loads((out / "result.json").read_text())["seconds"]
    belong = [_apply(right, point) for point in points]
    return [math.dist(x, y) for x, y in zip(found, belong, strict=True)], float(seconds)


def _apply(matrix: list[list[float]], point: list[float]) -> list[float]:
    return [sum(m * x for m, x in zip(row, [*point, 1.0], strict=True)) for row in matrix[:-1]]


def _through_itk(transform: Path, points: list[list[float]]) -> list[list[float]]:
    """Move points by a transform file with SimpleITK, in a process of its own to keep this one small."""
    script = """
import json, sys
import SimpleITK as sitk
transform = sitk.ReadTransform(sys.argv[1])
flip = lambda p: [-p[0], -p[1], *p[2:]]
print(json.dumps([flip(transform.TransformPoint(flip(p))) for p in json.load(sys.stdin)]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(transform)],
        input=json.dumps(points),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def peers_python(say: Callable[[str], None] = print) -> str:
    """The interpreter of the peers' own environment, which is made on first use from the pins."""
    python, stamp = PEERS_VENV / "bin" / "python", PEERS_VENV / ".made"
    pins = hashlib.sha256(PINS.read_bytes()).hexdigest()
    if not (stamp.exists() and stamp.read_text() == pins):
        say(f"making {PEERS_VENV}: greedy, ANTs, elastix and SimpleITK are about 1 GB, this takes minutes")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(PEERS_VENV)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(PINS), *PEER_PACKAGES]
        subprocess.run(install, check=True)
        stamp.write_text(pins)
    return str(python)
