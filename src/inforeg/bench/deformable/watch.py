"""Run one command to its end and write down what it took: `python watch.py SECONDS LOG ANSWER COMMAND ...`.

It is a script of the standard library alone and a process of its own. On Linux a child is never reported to have held
less memory than its parent did when it was started, and the benchmark holds images; this holds nothing.
"""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path


def main() -> None:
    """Run the command that follows, at most so many seconds."""
    limit_s, log, answer, *command = sys.argv[1:]
    late = threading.Event()
    with Path(log).open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(float(limit_s), end)
        timer.daemon = True
        timer.start()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        seconds = time.perf_counter() - began
    per_mb = 1e6 if sys.platform == "darwin" else 1e6 / 1024  # bytes there, KiB elsewhere
    found = {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / per_mb,
        "timed_out": late.is_set(),
    }
    Path(answer).write_text(json.dumps(found), encoding="utf-8")
    # It is reaped already: nothing is left to wait for.
    process.returncode = int(found["code"])


if __name__ == "__main__":
    main()
