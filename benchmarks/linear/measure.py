"""Run one process and measure it: seconds from start to end, and the most memory it held.

The harness itself stays small and imports nothing heavy: on Linux a child's peak memory is never reported
below what its parent held when it started the child.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """What a finished process took."""

    exit_code: int
    seconds: float
    peak_mb: float
    timed_out: bool
    last_line: str


def run(command: list[str], log: Path, threads: int, timeout_s: float) -> Run:
    """Run a command to its end, its output into `log`; at the timeout it and its children are killed."""
    environment = os.environ | dict.fromkeys(
        (
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
        ),
        str(threads),
    )
    late = threading.Event()
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,  # so that its children end with it
        )

        def end() -> None:
            late.set()
            os.killpg(process.pid, signal.SIGKILL)

        timer = threading.Timer(timeout_s, end)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    per_mb = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    lines = log.read_text(errors="replace").strip().splitlines()
    return Run(
        process.returncode, seconds, usage.ru_maxrss / per_mb, late.is_set(), lines[-1][:300] if lines else ""
    )
