"""What is compared: our command with its settings, the tools of others, and doing nothing."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from inforeg import io
from inforeg.bench import chosen
from inforeg.bench.competitors import PEERS_VARIABLE, Tool
from inforeg.bench.deformable.process import Taken, run_measured
from inforeg.bench.peers.fields import FieldJob, read_field_answer, write_field_job
from inforeg.errors import InforegError
from inforeg.transforms import Transform

_SCRIPTS = Path(__file__).parent.parent / "peers"
# register ends so where a result is written and its own check has doubts.
_DOUBTS = 3


class NoAnswer(InforegError):
    """A process that crashed, took too long, or left no transform; `taken` is what it took."""

    def __init__(self, said: str, taken: Taken) -> None:
        super().__init__(said)
        self.taken = taken


@dataclass(frozen=True)
class Job:
    """What every contestant gets: the same two files, threads, a seed, a time limit, and a folder of its own."""

    fixed: Path
    moving: Path
    folder: Path
    threads: int
    seed: int
    limit_s: float


@dataclass(frozen=True, eq=False)
class Answer:
    """Fixed to moving points, the way back where the tool gives one, and what the whole process took."""

    transform: Transform
    inverse: Transform | None
    taken: Taken
    call_seconds: float
    version: str = ""
    verdict: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@runtime_checkable
class Contestant(Protocol):
    """A way to an answer."""

    def missing(self) -> str:
        """Why it cannot be run here; nothing where it can."""
        ...

    def warm_up(self) -> list[str]:
        """A command that has its program read from the disk once, before anything is measured."""
        ...

    def answer(self, job: Job) -> Answer:
        """Its answer; raises `NoAnswer` where it has none."""
        ...


@dataclass(frozen=True)
class Ours:
    """`inforeg register -t svf --init header` with more arguments, and settings that go through a file."""

    arguments: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    transform: str = "svf"

    def missing(self) -> str:
        return "" if _program() else "there is no program inforeg beside this Python"

    def warm_up(self) -> list[str]:
        return [sys.executable, "-c", "import inforeg.register"]

    def answer(self, job: Job) -> Answer:
        out = job.folder / "out"
        command = [_program(), "register", "-f", str(job.fixed), "-m", str(job.moving), "-o", str(out)]
        command += ["--device", "cpu", "-q", "-j", str(job.threads), *self.arguments]
        if self.settings:
            # A file of settings says all of it.
            chosen = job.folder / "settings.json"
            said = {"method": "svf", "stages": [], "init": "header", "seed": job.seed, **self.settings}
            chosen.write_text(json.dumps(said), encoding="utf-8")
            command += ["--settings", str(chosen)]
        else:
            command += ["-t", self.transform, "--init", "header", "--seed", str(job.seed)]
        taken = run_measured(command, job.folder, job.threads, job.limit_s)
        _check(taken, job, allowed=(0, _DOUBTS))
        found, back = (_one(out, name, taken) for name in ("transform", "inverse"))
        said = json.loads((out / "result.json").read_text(encoding="utf-8"))
        return Answer(
            io.read_transform(found),
            io.read_transform(back),
            taken,
            float(said["seconds"]),
            f"inforeg {said['inforeg']}",
            said["quality"]["verdict"],
            said["settings"],
        )


@dataclass(frozen=True)
class Peer:
    """A tool of others, by its script in `peers`; `usual` ones run where no method was asked for.

    `then` is a script that makes a field of what the tool leaves, after the clock has stopped.
    """

    script: str
    package: str
    settings: Mapping[str, Any]
    usual: bool = True
    then: str = ""

    @property
    def tool(self) -> Tool:
        """Which interpreter has it."""
        return Tool(self.script, self.package, apart=True)

    def missing(self) -> str:
        return (
            ""
            if self.tool.python()
            else f"{self.package} is not installed; make bench-peers, or set {PEERS_VARIABLE}"
        )

    def warm_up(self) -> list[str]:
        loaded = {
            "antspyx": "import ants",
            "picsl_greedy": "import picsl_greedy",
            "itk-elastix": "import itk; itk.ParameterObject, itk.ElastixRegistrationMethod",
        }
        return [self.tool.python() or sys.executable, "-c", loaded[self.package]]

    def answer(self, job: Job) -> Answer:
        python = self.tool.python()
        assert python is not None
        write_field_job(
            job.folder, FieldJob(str(job.fixed), str(job.moving), self.settings, job.threads, job.seed)
        )
        # The peers' interpreter is to see none of our packages.
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [python, str(_SCRIPTS / self.script), str(job.folder)]
        taken = run_measured(command, job.folder, job.threads, job.limit_s, kept)
        _check(taken, job, allowed=(0,))
        if self.then:
            after = [python, str(_SCRIPTS / self.then), str(job.folder)]
            _check(run_measured(after, job.folder, job.threads, job.limit_s, kept), job, allowed=(0,))
        said = read_field_answer(job.folder)
        inverse = None if said.inverse is None else io.read_transform(job.folder / said.inverse)
        found = io.read_transform(job.folder / said.transform)
        return Answer(found, inverse, taken, said.seconds, said.version, settings=dict(self.settings))


def _ants(usual: bool = True, **options: Any) -> Peer:
    return Peer("run_syn.py", "antspyx", {"options": options}, usual)


def _greedy(metric: str, usual: bool = True) -> Peer:
    # Its default rounds the warps it writes to a tenth of a voxel; nothing else is rounded here.
    options = f"-m {metric} -n 100x50x10 -s 1.732vox 0.7071vox -wp 0"
    return Peer("run_greedy.py", "picsl_greedy", {"options": options}, usual)


def _elastix(usual: bool = True, **options: Any) -> Peer:
    options = {
        "Registration": "MultiResolutionRegistration",
        "Metric": "AdvancedMattesMutualInformation",
        **options,
    }
    settings = {"levels": 4, "grid_mm": 10.0, "map": options}
    return Peer("run_bspline.py", "itk-elastix", settings, usual, then="run_transformix.py")


OURS = "svf"

# Ours with other settings: the name, and what is added to the command. A new one is one line.
VARIANTS: dict[str, Ours] = {
    OURS: Ours(),
    "auto": Ours(transform="auto"),
    # Told that these are two people.
    "svf-two": Ours(settings={"anatomies": "two"}),
    "svf-mi": Ours(("--metric", "mi")),
    "svf-nmi": Ours(("--metric", "nmi")),
    "svf-lncc": Ours(("--metric", "lncc")),
    "svf-mind": Ours(("--metric", "mind_ssc")),
    "svf-mine": Ours(("--metric", "mine")),
    "svf-mine-local": Ours(("--metric", "mine_local")),
}

# Those that are slower, or no better, than another line of the same tool are run on demand.
_ON_DEMAND = False
# A tool with settings is one line.
PEERS: dict[str, Peer] = {
    # SyN with Mattes MI as `ants.registration` has it without being asked: 40, 20 and 0 steps.
    "syn-mi": _ants(type_of_transform="SyNOnly"),
    # The steps of its scripts, 20 of them at full resolution.
    "syn-mi-full": _ants(_ON_DEMAND, type_of_transform="SyNOnly", reg_iterations=[100, 70, 50, 20]),
    # ANTs' own scripts, without their linear stages: MI and 100, 70, 50 and 0 steps; CC of radius 2 and 20 more.
    "synquick": _ants(type_of_transform="antsRegistrationSyNQuick[so]"),
    "synquick-cc": _ants(_ON_DEMAND, type_of_transform="antsRegistrationSyNQuickRepro[so]"),
    "syn-cc": _ants(type_of_transform="antsRegistrationSyN[so]"),
    "greedy-nmi": _greedy("NMI"),
    "greedy-ncc": _greedy("NCC 2x2x2"),
    "greedy-wncc": _greedy("WNCC 2x2x2", _ON_DEMAND),
    # The default map without its bending energy, with which today's package crashes on more than one thread
    # (ITKElastix, issue 160); 500 steps of 4,096 samples, as its manual advises for exactness.
    "elastix-bspline": _elastix(MaximumNumberOfIterations=500, NumberOfSpatialSamples=4096),
    "elastix-bspline-default": _elastix(_ON_DEMAND),
}

# In the order of the tables.
CONTESTANTS: dict[str, Contestant] = {**VARIANTS, **PEERS}


def chosen_methods(names: list[str], needed: bool = True) -> tuple[list[str], list[str]]:
    """The contestants of these names, the usual ones where there are none; and a line for each that is left out."""
    usual = [OURS, *(name for name, peer in PEERS.items() if peer.usual)]
    return chosen.chosen_methods(CONTESTANTS, usual, names, needed)


def _program() -> str:
    beside = Path(sys.executable).with_name("inforeg")
    return str(beside) if beside.is_file() else shutil.which("inforeg") or ""


def _check(taken: Taken, job: Job, allowed: tuple[int, ...]) -> None:
    if taken.timed_out:
        raise NoAnswer(f"not done after {job.limit_s:g} s", taken)
    if taken.code not in allowed:
        raise NoAnswer(f"ended with code {taken.code}: {taken.said}", taken)


def _one(folder: Path, stem: str, taken: Taken) -> Path:
    found = sorted(folder.glob(f"{stem}.*"))
    if not found:
        raise NoAnswer(f"it left no {stem} file", taken)
    return found[0]
