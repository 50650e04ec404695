import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from inforeg.bench.drmime import run as running
from inforeg.bench.drmime.contestants import CONTESTANTS, Answer
from inforeg.bench.drmime.results import append_row, read_rows
from inforeg.bench.drmime.run import FAULT, Plan, Stopped, run
from inforeg.errors import PairError
from inforeg.transforms import Linear


@dataclass
class Counted:
    """A contestant that answers with the truth a millimetre aside, or as it is told, and counts how often."""

    error: BaseException | None = None
    far: bool = False
    calls: int = 0

    def missing(self) -> str:
        return ""

    def answer(self, case, conditions) -> Answer:
        self.calls += 1
        assert conditions.work.is_dir()
        if self.error is not None:
            raise self.error
        shift = torch.tensor([float("inf") if self.far else 1.0, 0.0], dtype=torch.float64)
        if self.far:
            # Finite, and so far off that its square is not.
            shift[0] = 1e200
        return Answer(Linear.translation(shift) @ case.truth, 0.5, "good", "converged")


@pytest.fixture
def plan(data: Path, tmp_path: Path) -> Plan:
    return Plan(tmp_path / "out", ["slices"], ["start", "aside"], cases=2, data=data, size=40)


def contestant(monkeypatch: pytest.MonkeyPatch, **more) -> Counted:
    made = Counted(**more)
    monkeypatch.setitem(CONTESTANTS, "aside", made)
    return made


def test_every_contestant_meets_every_case_and_its_errors_are_written_down(plan, monkeypatch):
    aside = contestant(monkeypatch)
    said: list[str] = []
    run(plan, said.append)
    rows = read_rows(plan.results)
    assert [(row.case, row.method) for row in rows] == [
        ("slices-00", "start"),
        ("slices-00", "aside"),
        ("slices-01", "start"),
        ("slices-01", "aside"),
    ]
    assert aside.calls == 2 and len(said) == 4 and said[-1].endswith("[0 left]")
    found = rows[1]
    assert found.distance == pytest.approx(1.0)
    assert (found.seconds, found.verdict, found.status, found.failure) == (0.5, "good", "converged", "")
    assert (found.seed, found.size, found.threads, found.unit, found.transform) == (0, 40, 1, "mm", "rigid")
    assert {"inforeg", "torch"} <= set(found.versions)
    assert Linear(torch.tensor(found.matrix, dtype=torch.float64)).ndim == 2
    assert rows[0].distance > 2.0


def test_what_is_done_is_not_repeated_and_what_is_not_is_made_up_for(plan, monkeypatch):
    aside = contestant(monkeypatch)
    run(replace(plan, cases=1))
    assert aside.calls == 1
    run(plan)
    assert aside.calls == 2
    before = plan.results.read_bytes()
    monkeypatch.setattr(running, "make_case", lambda *_: pytest.fail("nothing is to be made"))
    run(plan)
    assert aside.calls == 2 and plan.results.read_bytes() == before


def test_another_seed_or_size_is_another_run_and_again_repeats(plan, monkeypatch):
    aside = contestant(monkeypatch)
    run(replace(plan, cases=1))
    run(replace(plan, cases=1, seed=1))
    run(replace(plan, cases=1, size=48))
    assert aside.calls == 3
    run(replace(plan, cases=1, again=True))
    assert aside.calls == 4
    assert len(read_rows(plan.results)) == 6


def test_going_wrong_counts_as_doing_nothing_and_is_not_repeated(plan, monkeypatch):
    aside = contestant(monkeypatch, error=PairError("expected a pair, got none"))
    run(plan)
    start, failed = read_rows(plan.results)[:2]
    assert failed.failure == "expected a pair, got none"
    assert (failed.naed, failed.rtre_median) == (start.naed, start.rtre_median)
    assert failed.verdict == ""
    run(plan)
    assert aside.calls == 2


def test_a_fault_is_written_down_and_tried_again(plan, monkeypatch):
    contestant(monkeypatch, error=ZeroDivisionError("by zero"))
    run(plan)
    assert read_rows(plan.results)[1].failure == f"{FAULT}ZeroDivisionError: by zero"
    mended = contestant(monkeypatch)
    run(plan)
    assert mended.calls == 2
    assert [row.failure for row in read_rows(plan.results)] == [""] * 4


def test_an_answer_that_leads_nowhere_is_a_failure(plan, monkeypatch):
    contestant(monkeypatch, far=True)
    run(plan)
    assert "no finite place" in read_rows(plan.results)[1].failure


def test_a_run_that_is_stopped_goes_on_where_it_was(plan, monkeypatch):
    contestant(monkeypatch, error=KeyboardInterrupt())
    with pytest.raises(
        Stopped, match=r"interrupted: 1 of 4 runs are in .*results.jsonl; the same command"
    ) as stopped:
        run(plan)
    assert stopped.value.exit_code == 128 + signal.SIGINT
    assert len(read_rows(plan.results)) == 1
    contestant(monkeypatch)
    said: list[str] = []
    run(plan, said.append)
    assert len(said) == 3


def test_rows_of_other_sets_stay(plan, monkeypatch):
    contestant(monkeypatch)
    run(plan)
    other = replace(read_rows(plan.results)[0], set="stains", case="stains-00")
    append_row(plan.results, other)
    run(plan)
    assert other in read_rows(plan.results)


@pytest.mark.slow
def test_several_at_a_time_find_what_one_after_the_other_finds(plan):
    methods = ["start", "linear"]
    run(replace(plan, methods=methods, cases=1))
    run(replace(plan, methods=methods, cases=1, jobs=2, output=plan.output / "two"))

    def found(results: Path) -> dict[tuple[str, str], list[list[float]]]:
        return {(row.case, row.method): row.matrix for row in read_rows(results)}

    assert found(plan.output / "two" / "results.jsonl") == found(plan.results)
