"""Running every contestant on every case, and writing down what came of it."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from pathlib import Path

import torch

from inforeg._version import __version__
from inforeg.bench.drmime.case import Case
from inforeg.bench.drmime.contestants import CONTESTANTS, START, Answer, Conditions, takes_part
from inforeg.bench.drmime.results import Row, append_row, read_rows
from inforeg.bench.drmime.sets import SETS
from inforeg.errors import InforegError
from inforeg.transforms import Linear

# How the failure of a run begins that did not fail on purpose: it is tried again.
FAULT = "fault: "


class Stopped(InforegError):
    """The benchmark was interrupted; what is done stays done."""

    exit_code = 130


@dataclass(frozen=True)
class Plan:
    """What to run: sets and contestants by name, so many cases of each set, in a folder."""

    output: Path
    sets: list[str]
    methods: list[str]
    cases: int = 30
    data: Path | None = None
    threads: int = 1
    seed: int = 0
    size: int | None = None
    iterations: int = 500
    jobs: int = 1
    again: bool = False

    @property
    def results(self) -> Path:
        """The file of results."""
        return self.output / "results.jsonl"

    def done(self) -> set[tuple[str, str]]:
        """Cases and contestants in the file of results that need not be run again, for this seed and size."""
        return {
            (row.case, row.method)
            for row in read_rows(self.results)
            if (row.seed, row.size) == (self.seed, self.size) and not row.failure.startswith(FAULT)
        }

    def tasks(self) -> Iterator["Task"]:
        """All runs, case by case, so that each case is made once."""
        for name in self.sets:
            for number in range(self.cases):
                for method in self.methods:
                    if takes_part(method, name):
                        yield Task(name, number, method)


@dataclass(frozen=True)
class Task:
    """One run: a contestant on a case."""

    set: str
    number: int
    method: str

    @property
    def case(self) -> str:
        """The name of its case."""
        return f"{self.set}-{self.number:02d}"


def run(plan: Plan, say: Callable[[str], None] = lambda _line: None) -> None:
    """Run what is not in the file of results yet, one line said for each; raises `Stopped` when interrupted."""
    done = set() if plan.again else plan.done()
    todo = [task for task in plan.tasks() if (task.case, task.method) not in done]
    if not todo:
        return
    plan.output.mkdir(parents=True, exist_ok=True)
    left = len(todo)
    try:
        with closing(_rows(plan, todo)) as rows:
            for row in rows:
                append_row(plan.results, row)
                left -= 1
                say(
                    f"{row.case:20s} {row.method:13s} NAED {row.naed:.5f}  {row.seconds:7.2f} s"
                    f"  {row.failure or row.verdict} [{left} left]"
                )
    except KeyboardInterrupt:
        finished = len(todo) - left
        raise Stopped(
            f"interrupted: {finished} of {len(todo)} runs are in {plan.results}; the same command goes on"
        ) from None


def _rows(plan: Plan, todo: list[Task]) -> Generator[Row, None, None]:
    if plan.jobs == 1:
        yield from (one(plan, task) for task in todo)
        return
    # New processes, not forked ones: torch's threads do not survive a fork. Leaving the pool ends what still runs.
    context = multiprocessing.get_context("spawn")
    with context.Pool(plan.jobs, initializer=_end_when_told) as pool:
        yield from pool.imap_unordered(partial(one, plan), todo)
        pool.close()
        pool.join()


def _end_when_told() -> None:
    """Let a worker that is ended unwind its stack, so that the tool it waits for is ended too."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(1))
    # From the keyboard all processes are interrupted; only the first one is to say so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def one(plan: Plan, task: Task) -> Row:
    """Run a contestant on a case. Going wrong is a result too: the errors are then those of doing nothing."""
    torch.set_num_threads(plan.threads)
    case = make_case(plan, task)
    contestant = CONTESTANTS[task.method]
    load, when = os.getloadavg()[0], time.strftime("%Y-%m-%dT%H:%M:%S%z")
    failure = ""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="inforeg-bench-") as work:
        conditions = Conditions(plan.threads, plan.seed, plan.iterations, Path(work))
        try:
            answer = contestant.answer(case, conditions)
            errors = case.errors(answer.transform)
            if not all(map(isfinite, asdict(errors).values())):
                failure = "the answer takes landmarks to no finite place"
        except InforegError as error:
            failure = str(error)
        # A benchmark of hours does not die of one pair.
        except Exception as error:
            failure = f"{FAULT}{type(error).__name__}: {error}"
        if failure:
            start = CONTESTANTS[START].answer(case, conditions)
            answer = replace(start, seconds=time.perf_counter() - began)
            errors = case.errors(answer.transform)
    return Row(
        set=task.set,
        case=case.name,
        method=task.method,
        seed=plan.seed,
        size=plan.size,
        transform=case.transform,
        **asdict(errors),
        unit=case.unit,
        seconds=answer.seconds,
        verdict=answer.verdict,
        status=answer.status,
        failure=failure,
        threads=plan.threads,
        load=round(load, 2),
        when=when,
        settings=answer.settings,
        versions=_versions(),
        matrix=_matrix(answer),
    )


def make_case(plan: Plan, task: Task) -> Case:
    """The case of a task; the last one is kept, for contestants that follow on the same."""
    return _case(task.set, task.number, plan.seed, plan.data, plan.size)


@lru_cache(maxsize=1)
def _case(set: str, number: int, seed: int, data: Path | None, size: int | None) -> Case:
    return SETS[set].case(number, seed, data, size)


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    found = {"inforeg": __version__}
    for name in ("torch", "numpy", "scipy", "SimpleITK", "scikit-image"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _matrix(answer: Answer) -> list[list[float]]:
    matrix: list[list[float]] = (
        answer.transform.matrix.tolist() if isinstance(answer.transform, Linear) else []
    )
    return matrix
