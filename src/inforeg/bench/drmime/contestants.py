"""What is compared: our methods, DRMIME as published with its ablations, the tools of others, and doing nothing."""

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

from inforeg.bench import chosen
from inforeg.bench.competitors import PEERS_VARIABLE, available, compete
from inforeg.bench.drmime.case import Case
from inforeg.methods import METHODS, named
from inforeg.solve.start import from_centres
from inforeg.transforms import Linear, Transform, fit_affine


@dataclass(frozen=True)
class Conditions:
    """What all have alike: processor threads, the seed, steps of the published form, a folder for files in between."""

    threads: int
    seed: int
    iterations: int
    work: Path


@dataclass(frozen=True, eq=False)
class Answer:
    """A transform (fixed to moving points), the seconds of the call that found it, and what it says of itself.

    `path` holds the transforms of its steps, where the method keeps them; `settings` are the method's, resolved.
    """

    transform: Transform
    seconds: float
    verdict: str = ""
    status: str = ""
    path: list[Linear] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


class Contestant(Protocol):
    """A way to an answer."""

    def missing(self) -> str:
        """Why it cannot be run here; nothing where it can."""
        ...

    def answer(self, case: Case, conditions: Conditions) -> Answer:
        """Its answer; raises `InforegError` where it has none."""
        ...


@dataclass(frozen=True)
class Ours:
    """A method of the catalogue; `published` ones take as many steps as the conditions say, and edges as the paper."""

    method: str
    init: str = "centre"
    settings: tuple[tuple[str, Any], ...] = ()
    published: bool = False

    def missing(self) -> str:
        return "" if self.method in METHODS else f"there is no method {self.method}"

    def answer(self, case: Case, conditions: Conditions) -> Answer:
        settings = dict(self.settings)
        if self.published:
            settings |= {"iterations": conditions.iterations, **PUBLISHED_ON.get(case.set, {})}
        method = named(self.method, case.transform, seed=conditions.seed, init=self.init, **settings)
        began = perf_counter()
        result = method(case.fixed, case.moving)
        seconds = perf_counter() - began
        path = [step for stage in result.stages for step in stage.path]
        return Answer(result.transform, seconds, result.quality.verdict, result.status, path, result.settings)


@dataclass(frozen=True)
class Tool:
    """A tool of others, as `competitors` runs it; of projective transforms none knows, and it finds an affine one."""

    name: str

    def missing(self) -> str:
        return "" if available(self.name) else f"its program is not installed; see {PEERS_VARIABLE}"

    def answer(self, case: Case, conditions: Conditions) -> Answer:
        return self.after(None, case, conditions)

    def after(self, iterations: int | None, case: Case, conditions: Conditions) -> Answer:
        """Its answer after so many steps of each of its levels; its own number where there is none."""
        found = compete(
            self.name,
            case.fixed,
            case.moving,
            case.transform,
            work=conditions.work,
            threads=conditions.threads,
            seed=conditions.seed,
            iterations=iterations,
        )
        return Answer(found.transform, found.seconds)


@dataclass(frozen=True)
class Nothing:
    """Where all others start: the middles of the two images on each other."""

    def missing(self) -> str:
        return ""

    def answer(self, case: Case, conditions: Conditions) -> Answer:
        return Answer(from_centres(case.fixed.grid, case.moving.grid), 0.0)


@dataclass(frozen=True)
class Fit:
    """The affine transform nearest to the landmarks themselves: what is left then, no affine transform can mend."""

    def missing(self) -> str:
        return ""

    def answer(self, case: Case, conditions: Conditions) -> Answer:
        return Answer(fit_affine(case.fixed_points_mm, case.moving_points_mm), 0.0)


def _paper(**settings: Any) -> Ours:
    return Ours(FAITHFUL, settings=tuple(settings.items()), published=True)


START = "start"
OURS = "drmime"
FAITHFUL = "drmime-paper"

# A contestant is one line here; tables have them in this order.
CONTESTANTS: dict[str, Contestant] = {
    START: Nothing(),
    "fit": Fit(),
    OURS: Ours("drmime"),
    "drmime-auto": Ours("drmime", init="auto"),
    FAITHFUL: _paper(),
    "linear": Ours("linear"),
    "linear-auto": Ours("linear", init="auto"),
    "mmi": Tool("mmi"),
    "jhmi": Tool("jhmi"),
    "ncc": Tool("ncc"),
    "mse": Tool("mse"),
    "nmi": Tool("nmi"),
    "elastix": Tool("elastix"),
    "ants": Tool("ants"),
    "simpleitk": Tool("simpleitk"),
    "single": _paper(levels=1),
    "direct": _paper(exponential=False),
    "random": _paper(positions="random"),
    "no-v1": _paper(finest_vector=False),
}
# Those that fit a joint histogram.
HISTOGRAMS = ("mmi", "jhmi", "nmi", "simpleitk")
# What the published form becomes without one of its parts.
ABLATIONS = ("single", "direct", "random", "no-v1")
# Those that are not for every set. Free entries of a matrix cannot be rigid.
ONLY_FOR = dict.fromkeys(("fit", "elastix", "ants"), ("kidney",)) | {
    "direct": ("fundus", "fundus-projective", "stains", "kidney")
}
# On fundus photographs, whose edges are faint, the authors' code has another threshold than on sections.
PUBLISHED_ON: dict[str, dict[str, Any]] = {
    name: {"edge_high": 10.0} for name in ("fundus", "fundus-projective")
}


def takes_part(name: str, set: str) -> bool:
    """Whether that contestant is for that set."""
    return set in ONLY_FOR.get(name, (set,))


def chosen_contestants(names: list[str], needed: bool = True) -> tuple[list[str], list[str]]:
    """The contestants of these names, all where there are none; and a line for each that is left out."""
    return chosen.chosen_methods(CONTESTANTS, CONTESTANTS, names, needed)
