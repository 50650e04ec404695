"""What is compared: fits to keypoints, what follows them, our own search, and other people's tools."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from inforeg.bench.competitors import available, compete
from inforeg.bench.keymorph.sets import PoseCase
from inforeg.methods import named
from inforeg.methods.result import Points
from inforeg.transforms import Transform


@dataclass(frozen=True)
class Setting:
    """What every run is given: the model, threads, the seed, and a folder for files."""

    model: str
    threads: int
    seed: int
    work: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """A transform (fixed to moving points), the seconds inside the call, the verdict, and the points of a fit."""

    transform: Transform
    seconds: float
    verdict: str = ""
    points: Points | None = None


@dataclass(frozen=True)
class Contestant:
    """What it is, how it is run, and why it cannot be."""

    title: str
    run: Callable[[PoseCase, Setting], Outcome]
    peer: str = ""
    knows: bool = False
    """Whether it is told the truth, and can only be run where that is known."""

    def missing(self) -> str:
        """Why it cannot be run here; nothing where it can."""
        return (
            ""
            if not self.peer or available(self.peer)
            else f"{self.peer} is not installed (make bench-peers)"
        )


def _points(fit: str = "", *, refine: bool = False, steps: int = 0) -> Callable[[PoseCase, Setting], Outcome]:
    def run(case: PoseCase, setting: Setting) -> Outcome:
        method = named(
            "keymorph", fit or case.kind, model=setting.model, refine=refine, steps=steps, seed=setting.seed
        )
        began = perf_counter()
        result = method(case.fixed, case.moving)
        return Outcome(result.transform, perf_counter() - began, result.quality.verdict, result.points)

    return run


def _own(method: str, kind: str = "", *, knows: bool = False) -> Callable[[PoseCase, Setting], Outcome]:
    def run(case: PoseCase, setting: Setting) -> Outcome:
        made = named(method, kind or case.kind, seed=setting.seed)
        began = perf_counter()
        result = made(case.fixed, case.moving, case.truth if knows else None)
        return Outcome(result.transform, perf_counter() - began, result.quality.verdict)

    return run


def _peer(name: str) -> Callable[[PoseCase, Setting], Outcome]:
    def run(case: PoseCase, setting: Setting) -> Outcome:
        found = compete(
            name,
            case.fixed,
            case.moving,
            case.kind,
            work=setting.work,
            threads=setting.threads,
            seed=setting.seed,
        )
        return Outcome(found.transform, found.seconds)

    return run


# A contestant is one line here.
CONTESTANTS: dict[str, Contestant] = {
    "keymorph": Contestant("fit to keypoints", _points()),
    "keymorph+linear": Contestant("fit to keypoints, then mutual information", _points(refine=True)),
    "keymorph-rigid": Contestant("rigid fit to keypoints", _points("rigid")),
    "keymorph-affine": Contestant("affine fit to keypoints", _points("affine")),
    "keymorph-tps": Contestant("thin plates through keypoints", _points("tps")),
    "keymorph-tps+svf": Contestant("thin plates, then 20 steps of the pair solver", _points("tps", steps=20)),
    "linear": Contestant("our global search, then mutual information", _own("linear")),
    "truth+linear": Contestant("mutual information from the truth", _own("linear", knows=True), knows=True),
    "svf": Contestant("our global search, linear stages and the pair solver", _own("svf", "svf")),
    "ants": Contestant("ANTs (antspyx), Mattes MI from centres of mass", _peer("ants"), "ants"),
    "elastix": Contestant("elastix, Mattes MI from image centres", _peer("elastix"), "elastix"),
    "greedy": Contestant("greedy, NMI after 1000 random poses", _peer("greedy"), "greedy"),
}

# Which of them a set is about, where none are named.
USUAL: dict[str, tuple[str, ...]] = {
    "rigid": ("keymorph", "keymorph+linear", "truth+linear", "linear", "greedy", "ants", "elastix"),
    "affine": ("keymorph", "keymorph+linear", "truth+linear", "linear", "greedy", "ants", "elastix"),
    "same": ("keymorph", "keymorph+linear", "truth+linear", "linear", "greedy", "ants", "elastix"),
    "heads": ("keymorph-rigid", "keymorph-affine", "keymorph-tps", "linear", "greedy", "ants", "elastix"),
    "upright": (
        "keymorph-rigid",
        "keymorph-affine",
        "keymorph-tps",
        "keymorph-tps+svf",
        "linear",
        "svf",
    ),
}
