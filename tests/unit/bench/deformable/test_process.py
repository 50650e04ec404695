import os
import sys

import pytest

from inforeg.bench.deformable.process import run_measured


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


def test_seconds_memory_and_the_last_word(tmp_path):
    held = bytearray(400_000_000)  # What the benchmark itself holds is not the process's.
    code = "import time; x = bytearray(150_000_000); time.sleep(0.2); print('one'); print('two'); raise SystemExit(3)"
    taken = run_measured(python(code), tmp_path, 1, 60.0)
    assert (taken.code, taken.said, taken.timed_out) == (3, "two", False)
    assert 0.2 < taken.seconds < 30 and taken.cpu_seconds < taken.seconds
    assert 150 < taken.peak_mb < 250 < len(held) / 1e6


def test_threads_are_those_asked_for(tmp_path):
    code = (
        "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS'])"
    )
    assert run_measured(python(code), tmp_path, 3, 60.0).said == "3 3"
    assert run_measured(python(code), tmp_path, 3, 60.0, {"OMP_NUM_THREADS": "9"}).said == "3 3"


def test_what_takes_too_long_is_ended(tmp_path):
    taken = run_measured(
        python("import os, time; print(os.getpid(), flush=True); time.sleep(60)"), tmp_path, 1, 0.5
    )
    assert taken.timed_out and taken.code < 0 and taken.seconds < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(taken.said), 0)


def test_a_program_that_is_not_there(tmp_path):
    taken = run_measured(["/no/such/program"], tmp_path, 1, 60.0)
    assert taken.code != 0 and not taken.timed_out
