"""What the fuzzer found once stays mended: every kept find is read again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz.cases import kept
from fuzz.supervise import Worker

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the worker is for Linux")

FINDS = sorted(Path(__file__).with_name("finds").glob("*.json"))


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as running:
        yield running


@pytest.mark.parametrize("path", FINDS, ids=lambda path: path.stem)
def test_a_find_is_read_or_refused(path: Path, worker: Worker) -> None:
    target, was, case = kept(path)
    verdict = worker.judge(target, case)
    assert verdict.verdict in ("read", "refused"), f"it did this before: {was}; now: {verdict}"


def test_finds_are_small() -> None:
    assert [path.name for path in FINDS if path.stat().st_size > 16384] == []
