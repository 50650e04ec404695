"""Fuzzing guided by coverage: atheris keeps the inputs that reach lines of inforeg not reached before.

It only sees Python, so it is for the readers that are written in it. What it finds is judged again by the plain
worker, so that a find means the same whoever found it. Where atheris is not installed, this says so and does nothing.
"""

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fuzz.cases import digest
from fuzz.supervise import Worker
from fuzz.targets import Target

if TYPE_CHECKING:
    from fuzz.run import State

# Read by ITK's libraries, where there is nothing to see.
_NOT_PYTHON = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def guided(readers: dict[str, Target], state: "State", until: float, turn: float) -> None:
    """Give every reader its turn until the time is over; what was learnt stays in the state folder."""
    if find_spec("atheris") is None:
        state.say("atheris is not installed: pip install atheris")
        return
    chosen = {n: t for n, t in readers.items() if t.entry and not t.entry.endswith(_NOT_PYTHON) and t.seeds()}
    with Worker() as worker:
        while time.monotonic() < until:
            for name, target in chosen.items():
                left = until - time.monotonic()
                if left <= 1:
                    break
                _turn(worker, target, state, min(max(turn, 10.0), left), name)
                state.save()


def _turn(worker: Worker, target: Target, state: "State", seconds: float, name: str) -> None:
    from fuzz.run import Tally

    corpus = state.folder / "corpus" / name.replace(" ", "-")
    corpus.mkdir(parents=True, exist_ok=True)
    for case in target.seeds():
        if list(case) == [target.entry]:
            (corpus / digest(case)).write_bytes(plain(case[target.entry], target.entry))
    tally = state.tallies.setdefault(f"{name} guided", Tally())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="inforeg-guided-") as folder:
        suspects = Path(folder) / "suspects"
        suspects.mkdir()
        with (Path(folder) / "said").open("w+b") as said:
            run = subprocess.run(
                [
                    sys.executable,
                    str(Path(__file__).with_name("guided_worker.py")),
                    name,
                    str(suspects),
                    str(corpus),
                    f"-max_total_time={int(seconds)}",
                    f"-artifact_prefix={suspects}/",
                    *("-timeout=20", "-rss_limit_mb=3000", "-max_len=16384", "-print_final_stats=1"),
                ],
                stdout=said,
                stderr=said,
                timeout=seconds + 120,
                check=False,
            )
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
        tried = [line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line]
        if not tried:
            state.say(f"{name}: atheris ended with {run.returncode}: {text[-500:]}")
        tally.tried += int(tried[0]) if tried else 0
        for suspect in sorted(suspects.iterdir()):
            case = {target.entry: packed(suspect.read_bytes(), target.entry)}
            verdict = worker.judge(name, case)
            if verdict.verdict == "find":
                seen = tally.finds.get(verdict.signature, 0)
                tally.finds[verdict.signature] = seen + 1
                if not seen:
                    state.found(worker)(target, case, verdict)
    tally.seconds += time.monotonic() - began


def plain(data: bytes, entry: str) -> bytes:
    """What atheris mutates: the content, without the gzip that would hide it."""
    import gzip

    return gzip.decompress(data) if entry.endswith(("gz",)) and data[:2] == b"\x1f\x8b" else data


def packed(data: bytes, entry: str) -> bytes:
    """The file for a content."""
    import gzip

    return gzip.compress(data, compresslevel=1, mtime=0) if entry.endswith("gz") else data
