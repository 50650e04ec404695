"""The fuzzer finds what is put in its way, does the same every time, and has whole files for every reader."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from fuzz.cases import digest, keep, kept, lay_out, pick_up
from fuzz.mutate import mutated
from fuzz.run import Tally, fuzz, inputs, table
from fuzz.shrink import shrunk
from fuzz.supervise import Verdict, Worker
from fuzz.targets import Target, targets

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the worker is for Linux")

READERS = sorted(targets())


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_whole_files_and_reads_some(name: str, worker: Worker) -> None:
    verdicts = [worker.judge(name, case) for case in targets()[name].seeds()]
    assert "read" in [verdict.verdict for verdict in verdicts]
    assert [verdict for verdict in verdicts if verdict.verdict == "find"] == []


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, worker: Worker) -> None:
    tally, found = Tally(), []
    fuzz(
        worker,
        targets()[name],
        tally,
        count=12,
        found=lambda _t, case, verdict: found.append((verdict, case)),
    )
    assert found == []
    assert tally.tried == 12 == tally.read + tally.refused


def test_the_same_seed_gives_the_same_inputs() -> None:
    target = targets()["image .nii.gz"]
    first = [digest(case) for case in islice(inputs(target, 7), 30)]
    assert first == [digest(case) for case in islice(inputs(target, 7), 30)]
    assert first[10:] == [digest(case) for case in islice(inputs(target, 7, 10), 20)]
    assert len(set(first)) > 25
    assert first != [digest(case) for case in islice(inputs(target, 8), 30)]


def test_damage_is_damage() -> None:
    whole = {"a.txt": b"some text, 1 2 3\n" * 4, "b.raw": bytes(range(64))}
    before = dict(whole)
    changed = [mutated(Random(n), whole, whole) != whole for n in range(100)]
    assert sum(changed) > 90
    assert whole == before


FAULTS = {
    "crash": ("import ctypes; ctypes.string_at(0)", "dies of SIGSEGV"),
    "ends": ("import os; os._exit(3)", "dies of exit code 3"),
    "hang": ("sum(range(10**12))", "hangs"),
    "much memory": ("bytearray(1 << 40)", "memory"),
    "more memory than the file justifies": ("bytearray(300 << 20)", "memory"),
    "another exception": ("{}['a']", "raises"),
    "a warning": ("import warnings; warnings.warn('no')", "raises"),
    "prints": ("import os; os.write(2, b'libwhatever: no')", "prints"),
    "changes its input": ("path.write_bytes(b'mine')", "changes its input"),
    "leaves something": ("(path.parent / 'more').write_bytes(b'mine')", "changes its input"),
    "leads outside": ("open('/etc/passwd').close()", "reaches out"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_it_sees(name: str, faulty: Worker) -> None:
    code, kind = FAULTS[name]
    verdict = faulty.judge("faulty", {"input.txt": code.encode()})
    assert (verdict.verdict, verdict.kind) == ("find", kind), verdict
    assert faulty.judge("faulty", {"input.txt": b"pass"}).verdict == "read"


@pytest.fixture(scope="module")
def faulty() -> Iterator[Worker]:
    """A worker that has one more reader, which does what its input says."""
    with Worker(cpu_seconds=1, script=Path(__file__).with_name("faulty_worker.py")) as running:
        yield running


def test_a_find_is_noted_once_made_small_and_kept(faulty: Worker, tmp_path: Path) -> None:
    code = b"# a long story\n" * 20 + b"{}[1]\n" + b"# and more\n" * 20
    target = Target("faulty", "input.txt", lambda _path: None, lambda: [{"input.txt": code}])
    found: list[Verdict] = []
    tally = Tally()
    fuzz(faulty, target, tally, count=30, found=lambda _t, _c, verdict: found.append(verdict))
    assert len({verdict.signature for verdict in found}) == len(found)
    first = faulty.judge("faulty", {"input.txt": code})
    small = shrunk(faulty, "faulty", {"input.txt": code}, first)
    assert small["input.txt"].strip() == b"{}[1]"
    keep(tmp_path / "find.json", "faulty", "raises", small)
    assert kept(tmp_path / "find.json") == ("faulty", "raises", small)
    assert "faulty" in table({"faulty": tally})


def test_cases_are_laid_out_and_picked_up(tmp_path: Path) -> None:
    case = {"a/b.raw": bytes(range(256)), "c.txt": b"text\r\n"}
    lay_out(case, tmp_path)
    assert pick_up(tmp_path) == case
    keep(tmp_path / "kept.json", "x", "y", case)
    assert kept(tmp_path / "kept.json")[2] == case
