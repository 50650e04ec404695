import json
from dataclasses import replace

import pytest
import torch

from inforeg.bench.deformable import run as running
from inforeg.bench.deformable.contestants import Answer, NoAnswer
from inforeg.bench.deformable.process import Taken
from inforeg.bench.deformable.results import read_rows
from inforeg.bench.deformable.run import Plan, Task, run
from inforeg.bench.deformable.sets import SETS, Source
from inforeg.bench.drmime.run import Stopped
from inforeg.errors import ReadError
from inforeg.io import read_image
from inforeg.transforms import Linear

TAKEN = Taken(0, 2.0, 3.0, 100.0, False, "")


class Fake:
    """Answers with nothing done, or has none."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error, self.jobs = error, []

    def missing(self) -> str:
        return ""

    def warm_up(self) -> list[str]:
        return ["true"]

    def answer(self, job):
        assert read_image(job.fixed).grid.same_as(read_image(job.moving).grid)
        self.jobs.append(job)
        if self.error is not None:
            raise self.error
        (job.folder / "left").touch()
        identity = Linear.identity(3)
        return Answer(identity, identity, TAKEN, 1.5, "fake 1", "good", {"knob": 1})


@pytest.fixture
def fakes(monkeypatch):
    late = replace(TAKEN, timed_out=True, seconds=9.0)
    made = {
        "svf": Fake(),
        "syn-mi": Fake(NoAnswer("ended with code 1: no", replace(TAKEN, code=1))),
        "syn-cc": Fake(NoAnswer("not done after 9 s", late)),
    }
    for name, fake in made.items():
        monkeypatch.setitem(running.CONTESTANTS, name, fake)
    return made


@pytest.fixture
def plan(data, tmp_path, monkeypatch, fakes):
    # A case of known truth is made once.
    made = {}

    def make(number, source: Source, own=SETS["known"].make):
        return made.setdefault(number, own(number, source) if number not in made else None)

    monkeypatch.setitem(SETS, "known", replace(SETS["known"], make=make))
    return Plan(tmp_path / "out", ["known"], list(fakes), data, cases=1)


def test_rows_resume_and_what_is_tried_again(plan, fakes):
    said = []
    run(plan, said.append)
    assert len(said) == 3 and said[-1].endswith("[0 left]")
    rows = {row.method: row for row in read_rows(plan.results)}
    good, failed, late = rows["svf"], rows["syn-mi"], rows["syn-cc"]
    assert good.error_mm == good.before_mm > 0.5 and good.inverse_max_mm == 0 and good.folds == 0
    assert (good.seconds, good.call_seconds, good.cpu_seconds, good.peak_mb) == (2.0, 1.5, 3.0, 100.0)
    assert (good.version, good.verdict, good.settings, good.group) == ("fake 1", "good", {"knob": 1}, "T1-T2")
    assert failed.failure == "ended with code 1: no" and failed.error_mm == failed.before_mm
    assert failed.inverse_max_mm is None and late.timed_out and late.seconds == 9.0
    # All got files of one content, and a folder that is gone.
    assert (
        len({(job.fixed, job.moving, job.threads, job.seed) for fake in fakes.values() for job in fake.jobs})
        == 1
    )
    assert not fakes["svf"].jobs[0].folder.exists()
    run(plan, said.append)
    assert [len(fake.jobs) for fake in fakes.values()] == [1, 2, 1]
    run(replace(plan, again=True, methods=["svf"]), said.append)
    assert len(fakes["svf"].jobs) == 2 and len(read_rows(plan.results)) == 3


def test_what_runs_left_is_kept_if_asked(plan):
    run(replace(plan, keep=True, methods=["svf"]))
    assert (plan.output / "runs" / "1mm" / "known-000" / "svf" / "left").is_file()


def test_an_interrupted_run_says_what_is_done(plan, fakes):
    fakes["syn-mi"].error = KeyboardInterrupt()
    with pytest.raises(Stopped, match="interrupted: 1 of 3 runs are in"):
        run(plan)
    assert [row.method for row in read_rows(plan.results)] == ["svf"]


def test_another_method_is_first_on_each_case(plan):
    tasks = list(replace(plan, cases=3).tasks())
    assert [task.method for task in tasks[::3]] == ["svf", "syn-mi", "syn-cc"]
    assert tasks[1] == Task("known", 0, "syn-mi") and len(tasks) == 9
    assert len(list(replace(plan, sets=["tissue"], cases=99).tasks())) == 4 * 3


def test_results_of_another_version_and_cut_off_lines(plan):
    run(replace(plan, methods=["svf"]))
    text = plan.results.read_text(encoding="utf-8")
    plan.results.write_text(text + text[: len(text) // 2], encoding="utf-8")
    assert len(read_rows(plan.results)) == 1
    plan.results.write_text(json.dumps({"set": "known"}) + "\n", encoding="utf-8")
    with pytest.raises(ReadError, match="expected a result of this version in line 1"):
        read_rows(plan.results)


def test_an_answer_that_leads_nowhere_is_a_failure(plan, fakes):
    class Nowhere(Linear):
        def __call__(self, points_mm):
            return points_mm * torch.nan

    fakes["svf"].answer = lambda _job: Answer(Nowhere(torch.eye(4).double()), None, TAKEN, 1.0)
    run(replace(plan, methods=["svf"]))
    (row,) = read_rows(plan.results)
    assert row.failure and row.error_mm == row.before_mm
