"""Running every contestant on every case, one at a time, and writing down what came of it."""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from math import isfinite
from pathlib import Path

import torch

from inforeg import io
from inforeg.bench.deformable.case import Case, case_name
from inforeg.bench.deformable.contestants import CONTESTANTS, Contestant, Job, NoAnswer
from inforeg.bench.deformable.measure import Measures, before, measured
from inforeg.bench.deformable.process import Taken, run_measured
from inforeg.bench.deformable.results import Row, append_row, read_rows
from inforeg.bench.deformable.sets import SETS, PairSet, Source
from inforeg.bench.drmime.run import Stopped
from inforeg.errors import InforegError


@dataclass(frozen=True)
class Plan:
    """What to run: sets and contestants by name, the first so many cases of each set, in a folder."""

    output: Path
    sets: list[str]
    methods: list[str]
    data: Path
    cases: int = 12
    spacing_mm: float = 1.0
    threads: int = 1
    seed: int = 0
    limit_s: float = 3600.0
    again: bool = False
    keep: bool = False
    known_sets: Mapping[str, PairSet] = field(default_factory=lambda: SETS)
    contestants: Mapping[str, Contestant] = field(default_factory=lambda: CONTESTANTS)

    @property
    def results(self) -> Path:
        """The file of results."""
        return self.output / "results.jsonl"

    def tasks(self) -> Iterator["Task"]:
        """All runs, case by case; another method is first on each, so that a slower machine is slow for all."""
        for name in self.sets:
            for number in range(min(self.cases, self.known_sets[name].count)):
                turn = number % max(1, len(self.methods))
                for method in (*self.methods[turn:], *self.methods[:turn]):
                    yield Task(name, number, method)


@dataclass(frozen=True)
class Task:
    """One run: a contestant on a case."""

    set: str
    number: int
    method: str


def run(plan: Plan, say: Callable[[str], None] = lambda _line: None) -> None:
    """Run what is not in the file of results yet, one line said for each; raises `Stopped` when interrupted."""
    rows = [] if plan.again else read_rows(plan.results)
    done = {row.key for row in rows if row.done}
    todo = [
        task
        for task in plan.tasks()
        if (case_name(task.set, task.number), task.method, plan.seed, plan.spacing_mm) not in done
    ]
    if not todo:
        return
    plan.output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(plan.threads)
    finished = 0
    try:
        with tempfile.TemporaryDirectory(prefix="inforeg-bench-") as work:
            _warm_up(todo, Path(work), plan)
            for task in todo:
                row = one(plan, task, Path(work))
                append_row(plan.results, row)
                finished += 1
                say(f"{_line(row)} [{len(todo) - finished} left]")
    except KeyboardInterrupt:
        raise Stopped(
            f"interrupted: {finished} of {len(todo)} runs are in {plan.results}; the same command goes on"
        ) from None
    finally:
        _made.cache_clear()


def one(plan: Plan, task: Task, work: Path) -> Row:
    """Run a contestant on a case. Going wrong is a result too: the errors are then those of doing nothing."""
    case, nothing, files = _made(
        plan.data, plan.seed, plan.spacing_mm, plan.output, work, plan.known_sets[task.set], task.number
    )
    load, when = os.getloadavg()[0], time.strftime("%Y-%m-%dT%H:%M:%S%z")
    folder = work / "run"
    folder.mkdir()
    job = Job(files[0], files[1], folder, plan.threads, plan.seed, plan.limit_s)
    found, failure, answer = nothing, "", None
    taken = Taken(0, 0.0, 0.0, 0.0, False, "")
    try:
        answer = plan.contestants[task.method].answer(job)
        taken, found = answer.taken, measured(case, answer.transform, answer.inverse)
        if not all(isfinite(value) for value in (found.error_mm, found.dice) if value is not None):
            found, failure = nothing, "the answer takes voxels to no finite place"
    except NoAnswer as error:
        taken, failure = error.taken, str(error)
    except InforegError as error:
        failure = str(error)
    finally:
        if plan.keep:
            kept = plan.output / "runs" / f"{plan.spacing_mm:g}mm" / case.name / task.method
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept)
        shutil.rmtree(folder)
    return Row(
        set=task.set,
        case=case.name,
        group=case.group,
        method=task.method,
        seed=plan.seed,
        spacing_mm=plan.spacing_mm,
        before_mm=nothing.error_mm,
        before_dice=nothing.dice,
        **asdict(found),
        seconds=taken.seconds,
        call_seconds=answer.call_seconds if answer else taken.seconds,
        cpu_seconds=taken.cpu_seconds,
        peak_mb=taken.peak_mb,
        threads=plan.threads,
        load=round(load, 2),
        when=when,
        verdict=answer.verdict if answer else "",
        failure=failure,
        timed_out=taken.timed_out,
        version=answer.version if answer else "",
        settings=answer.settings if answer else {},
    )


def _warm_up(todo: list[Task], work: Path, plan: Plan) -> None:
    """Have every program in the page cache, so that the first case is not the slowest for having been first."""
    seen = []
    for method in dict.fromkeys(task.method for task in todo):
        command = plan.contestants[method].warm_up()
        if command not in seen:
            run_measured(command, work, plan.threads, plan.limit_s)
            seen.append(command)


@lru_cache(maxsize=1)
def _made(
    data: Path, seed: int, spacing_mm: float, output: Path, work: Path, set: PairSet, number: int
) -> tuple[Case, Measures, tuple[Path, Path]]:
    """The case, the measures of doing nothing, and its files; the last one is kept."""
    case = set.make(number, Source(data, seed, spacing_mm, output / "affines"))
    files = work / "fixed.nii.gz", work / "moving.nii.gz"
    for image, path in zip((case.fixed, case.moving), files, strict=True):
        io.write_image(image, path, overwrite=True)
    return case, before(case), files


def _line(row: Row) -> str:
    if row.error_mm is not None:
        said = f"{row.before_mm:6.3f} to {row.error_mm:6.3f} mm"
    else:
        said = f"Dice {row.before_dice:.4f} to {row.dice:.4f}"
    what = f"{row.case:18s} {row.group:10s} {row.method:15s} {said}"
    return f"{what}  folds {row.folds:6d}  {row.seconds:7.1f} s  {row.peak_mb:6.0f} MB  {row.failure or row.verdict}"
