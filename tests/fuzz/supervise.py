"""A worker kept alive: it may crash, hang or run out of memory, and what it was reading then is the find."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from fuzz.cases import Case, lay_out

_SCRIPT = Path(__file__).with_name("worker.py")
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "OPENBLAS_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@dataclass(frozen=True)
class Verdict:
    """What became of one input: `read`, `refused`, or `find` with its kind, words and place."""

    verdict: str
    kind: str = ""
    what: str = ""
    where: str = ""
    seconds: float = 0.0

    @property
    def signature(self) -> str:
        """What finds of one cause have in common."""
        said = self.what.split(":")[0] if self.kind == "raises" else ""
        return f"{self.kind} {said} {self.where}".strip()


class Worker:
    """Reads inputs in a process of its own, one after the other; a context manager."""

    def __init__(
        self,
        megabytes: int = 2048,
        cpu_seconds: float = 5.0,
        wall_seconds: float = 60.0,
        script: Path = _SCRIPT,
    ) -> None:
        self._script = script
        self._megabytes = megabytes
        self._cpu_seconds = cpu_seconds
        self._wall_seconds = wall_seconds
        self._process: subprocess.Popen[bytes] | None = None
        shared = Path("/dev/shm")
        self._folder = Path(tempfile.mkdtemp(prefix="inforeg-fuzz-", dir=shared if shared.is_dir() else None))
        self._heard = b""

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def judge(self, target: str, case: Case) -> Verdict:
        """What becomes of a case; its files lie on disk until the next, should this process end as well."""
        return self.judge_all(target, [case])[0]

    def judge_all(self, target: str, cases: Sequence[Case]) -> list[Verdict]:
        """What becomes of each case. Many at once are quicker: the two processes wait for each other less often."""
        verdicts: list[Verdict] = []
        while len(verdicts) < len(cases):
            self._send(target, cases[len(verdicts) :])
            # The worker reads one after the other, so that the one without an answer is the one that ended it.
            while self._process is not None and len(verdicts) < len(cases):
                verdicts.append(self._answer(self._process))
        return verdicts

    def _send(self, target: str, cases: Sequence[Case]) -> None:
        last = self._folder / "last"
        shutil.rmtree(last, ignore_errors=True)
        orders = ""
        for number, case in enumerate(cases):
            lay_out(case, last / str(number))
            orders += json.dumps({"target": target, "folder": str(last / str(number))}) + "\n"
        process = self._running()
        assert process.stdin is not None
        process.stdin.write(orders.encode())

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [sys.executable, str(self._script), str(self._said), str(self._megabytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env={**os.environ, **_ENVIRONMENT},
            )
            self._heard = b""
            assert self._process.stdout is not None
            if not self._process.stdout.readline():  # the word that it is ready, and nothing behind it yet
                raise RuntimeError(f"the worker does not start: {self._said.read_text(errors='replace')}")
        return self._process

    @property
    def _said(self) -> Path:
        return self._folder / "said"

    @property
    def _trace(self) -> Path:
        return self._folder / "said.trace"

    def _answer(self, process: "subprocess.Popen[bytes]") -> Verdict:
        """The next answer; where none comes the worker is ended, and the next one is started for the next case."""
        assert process.stdout is not None
        began, cpu = time.monotonic(), _cpu_seconds(process.pid)
        while b"\n" not in self._heard:
            if select.select([process.stdout], [], [], 1.0)[0]:
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    break
                self._heard += data
                continue
            # On a busy machine a process that waits for its turn is no process that hangs.
            used, waited = _cpu_seconds(process.pid) - cpu, time.monotonic() - began
            if used > self._cpu_seconds or waited > self._wall_seconds:
                where = self._stack(process)
                self._stop()
                return Verdict("find", "hangs", f"{used:.0f} s of work in {waited:.0f} s", where)
        line, end, rest = self._heard.partition(b"\n")
        if end:
            self._heard = rest
            return Verdict(**json.loads(line))
        code = process.wait()
        self._stop()
        said = self._trace.read_text(errors="replace")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Verdict("find", f"dies of {name}", said[:600], _top_frame(said))

    def _stack(self, process: "subprocess.Popen[bytes]") -> str:
        """Where it is, by the trace that faulthandler writes when it is aborted."""
        process.send_signal(signal.SIGABRT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        return _top_frame(self._trace.read_text(errors="replace"))

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()
        self._process = None


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _top_frame(trace: str) -> str:
    """The innermost frame, and the innermost of inforeg, from a trace of faulthandler."""
    lines = trace.splitlines()
    marks = [n for n, line in enumerate(lines) if line.startswith("Current thread")]
    frames = [line.strip() for line in lines[marks[0] if marks else 0 :] if line.strip().startswith("File ")]
    ours = [frame for frame in frames if "inforeg" in frame]
    return " > ".join(dict.fromkeys(_short(frame) for frame in (*ours[:1], *frames[:1])))


def _short(frame: str) -> str:
    """`File "…/nifti.py", line 3 in read` as `nifti.py:read`."""
    file = frame.split('"')[1].rsplit("/", 1)[-1]
    return f"{file}:{frame.rsplit(' in ', 1)[-1]}"
