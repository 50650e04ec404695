"""Whole processes, measured from their start to their end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_WATCH = Path(__file__).with_name("watch.py")
_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


@dataclass(frozen=True)
class Taken:
    """What a finished process took, and the last thing it said."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    timed_out: bool
    said: str


def run_measured(
    command: list[str],
    folder: Path,
    threads: int,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> Taken:
    """Run a command to its end, at most so many seconds, with so many threads; its words go to `log.txt` there.

    Memory is the most that the process held (`ru_maxrss`); processor seconds are those of all its threads. What is
    interrupted here is ended there too.
    """
    log, answer = folder / "log.txt", folder / "taken.json"
    known = os.environ if environment is None else environment
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_WATCH), str(limit_s), str(log), str(answer), *command],
        stdin=subprocess.DEVNULL,
        env={**known, **dict.fromkeys(_THREADS, str(threads))},
        start_new_session=True,
    )
    try:
        process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    said = [line for line in lines if line]
    if not answer.exists():
        return Taken(process.returncode or 1, 0.0, 0.0, 0.0, False, f"could not be started: {command[0]}")
    return Taken(**json.loads(answer.read_text(encoding="utf-8")), said=said[-1][:300] if said else "")
