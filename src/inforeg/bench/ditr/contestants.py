"""What is compared: learnt metrics, mutual information under Powell as published, our methods, other people's tools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from inforeg.bench.competitors import available, compete
from inforeg.bench.ditr.cases import SETS, FreCase
from inforeg.methods import named
from inforeg.methods.pair import prepare_pair
from inforeg.solve.information import SampledInformation
from inforeg.solve.powell import powell
from inforeg.solve.sampler import Stratified
from inforeg.transforms import Linear, Transform, group

# As published, and the samples that a table is counted from.
_BINS, _SAMPLES = 75, 20_000


@dataclass(frozen=True)
class Setting:
    """What every run is given: the files of the metrics, threads, the seed, and a folder for files."""

    metrics: dict[str, Path]
    threads: int
    seed: int
    work: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """A transform (fixed to moving points), the seconds inside the call, and the verdict."""

    transform: Transform
    seconds: float
    verdict: str = ""


@dataclass(frozen=True)
class Contestant:
    """What it is, how it is run, which other tool it is, if it is one, and which metric it takes in the set's place."""

    title: str
    run: Callable[[str, FreCase, Setting], Outcome]
    peer: str = ""
    metric: str = ""

    def missing(self) -> str:
        """Why it cannot be run here; nothing where it can."""
        there = not self.peer or available(self.peer)
        return "" if there else f"{self.peer} is not installed (make bench-peers)"


def metrics_of(methods: Mapping[str, Sequence[str]]) -> list[str]:
    """The metrics that sets and their methods ask for."""
    asked = [
        CONTESTANTS[name].metric or SETS[set].metric
        for set, names in methods.items()
        for name in names
        if name.startswith(OURS)
    ]
    return list(dict.fromkeys(asked))


def _learnt(metric: str = "", **settings: Any) -> Callable[[str, FreCase, Setting], Outcome]:
    def run(set: str, case: FreCase, setting: Setting) -> Outcome:
        model = setting.metrics[metric or SETS[set].metric]
        method = named("ditr", case.kind, model=str(model), seed=setting.seed, **settings)
        began = perf_counter()
        result = method(case.fixed, case.moving)
        return Outcome(result.transform, perf_counter() - began, result.quality.verdict)

    return run


def _own(method: str, **settings: Any) -> Callable[[str, FreCase, Setting], Outcome]:
    def run(_set: str, case: FreCase, setting: Setting) -> Outcome:
        made = named(method, case.kind, seed=setting.seed, **settings)
        began = perf_counter()
        result = made(case.fixed, case.moving)
        return Outcome(result.transform, perf_counter() - began, result.quality.verdict)

    return run


def _peer(name: str) -> Callable[[str, FreCase, Setting], Outcome]:
    def run(_set: str, case: FreCase, setting: Setting) -> Outcome:
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


def _powell_mi(scales: int) -> Callable[[str, FreCase, Setting], Outcome]:
    """Mutual information of 75 bins under Powell's method from where the headers put the images."""

    def run(_set: str, case: FreCase, setting: Setting) -> Outcome:
        began = perf_counter()
        pair = prepare_pair(case.fixed, case.moving, None, None)
        there = pair.fixed_view.object
        generator = torch.Generator().manual_seed(setting.seed)
        points = Stratified.around(there, pair.fixed_view.coarse, rim=1).draw(_SAMPLES, generator)
        frame = group(case.kind, case.fixed.grid.ndim), there.centre_mm, there.radius_mm
        found = Linear.identity(case.fixed.grid.ndim)
        for level in reversed(range(min(scales, len(pair.fixed)))):
            information = SampledInformation(
                pair.fixed[level],
                pair.moving[level],
                points,
                *frame,
                bins=_BINS,
                fixed_window=pair.fixed_view.window,
                moving_window=pair.moving_view.window,
            )
            found = powell(lambda t, at=information: at(t).information, found, *frame).transform  # type: ignore[misc]
        return Outcome(found, perf_counter() - began)

    return run


def _nothing(_set: str, case: FreCase, _setting: Setting) -> Outcome:
    return Outcome(Linear.identity(case.fixed.grid.ndim), 0.0)


OURS, PLAIN, MULTI = "ditr", "ditr-plain", "mi-powell-scales"
# A contestant is one line here; tables have them in this order.
CONTESTANTS: dict[str, Contestant] = {
    "start": Contestant("where the headers put the images", _nothing),
    OURS: Contestant("learnt with dithering, cascade, Newton steps", _learnt()),
    PLAIN: Contestant("learnt without dithering, cascade, Newton steps", _learnt("plain"), metric="plain"),
    "ditr-search": Contestant(
        "learnt, all rotations looked at by the coarsest network", _learnt(init="search")
    ),
    "ditr-header": Contestant("learnt, cascade, Newton steps from the headers", _learnt(init="header")),
    "ditr-powell": Contestant(
        "learnt, cascade, Powell from the headers", _learnt(init="header", optimiser="powell")
    ),
    "ditr-published": Contestant(
        "learnt, last network, Powell from the headers",
        _learnt(init="header", optimiser="powell", networks="last"),
    ),
    "mi-powell": Contestant("mutual information, 75 bins, Powell from the headers", _powell_mi(1)),
    MULTI: Contestant("the same on three scales", _powell_mi(3)),
    "linear": Contestant("our global search, mutual information by Newton steps", _own("linear")),
    "linear-nmi": Contestant(
        "our global search, normalised mutual information", _own("linear", metric="nmi")
    ),
    "greedy": Contestant("greedy, NMI after 1000 random poses", _peer("greedy"), "greedy"),
    "greedy-ncc": Contestant("greedy, LNCC after 1000 random poses", _peer("greedy-ncc"), "greedy-ncc"),
    "ants": Contestant("ANTs (antspyx), Mattes MI from centres of mass", _peer("ants"), "ants"),
    "elastix": Contestant("elastix, Mattes MI from image centres", _peer("elastix"), "elastix"),
}
_TOOLS = ("linear", "linear-nmi", "greedy", "greedy-ncc", "ants", "elastix")
# Which of them a set is about, where none are named.
USUAL: dict[str, tuple[str, ...]] = {
    "rigid": ("start", OURS, PLAIN, "mi-powell", MULTI, "linear"),
    "affine": ("start", OURS, PLAIN, "mi-powell", MULTI, "linear"),
    "edges": ("start", OURS, "mi-powell", MULTI, *_TOOLS),
    "edges-soft": ("start", OURS, "mi-powell", MULTI, *_TOOLS),
    "edges-part": ("start", OURS, MULTI, *_TOOLS),
    "edges-shadows": ("start", OURS, MULTI, *_TOOLS),
    "stains": ("start", OURS, "mi-powell", MULTI, *_TOOLS),
    "edges-turned": ("start", OURS, "ditr-search", MULTI, *_TOOLS),
}
