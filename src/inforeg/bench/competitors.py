"""Other people's tools as competitors: each runs one registration in a process of its own, and answers alike.

SimpleITK runs in this interpreter's environment. elastix and ANTs pin what we do not: they run in the one that
INFOREG_PEERS_PYTHON names (`make bench-peers` makes it), or in this one where it has them.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inforeg.bench.peers.exchange import ANSWER, Job, Picture, write_job
from inforeg.errors import InforegError, UsageError
from inforeg.image import Image
from inforeg.io.lps import flip_transform, flip_world
from inforeg.solve.edges import grey
from inforeg.transforms import Linear

PEERS_VARIABLE = "INFOREG_PEERS_PYTHON"
_SCRIPTS = Path(__file__).parent / "peers"


class CompetitorError(InforegError):
    """A tool that is not there, or that found no transform."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a tool found: fixed to moving world points (RAS+ mm), and the seconds inside its own call alone."""

    transform: Linear
    seconds: float


@dataclass(frozen=True)
class Tool:
    """A script in `peers`, the package that it needs, and whether that lives in the peers' interpreter."""

    script: str
    package: str
    apart: bool

    def python(self) -> str | None:
        """The interpreter that has the package; none where there is none."""
        peers = os.environ.get(PEERS_VARIABLE, "")
        candidates = [peers] if self.apart and peers and Path(peers).is_file() else []
        return next((p for p in [*candidates, sys.executable] if _has(p, self.package)), None)


SIMPLEITK = Tool("run_simpleitk.py", "SimpleITK", apart=False)
ELASTIX = Tool("run_elastix.py", "itk-elastix", apart=True)
ANTS = Tool("run_ants.py", "antspyx", apart=True)
GREEDY = Tool("run_greedy_linear.py", "picsl_greedy", apart=True)


@dataclass(frozen=True)
class Competitor:
    """A tool with settings, which are what its script reads."""

    tool: Tool
    settings: Mapping[str, Any] = field(default_factory=dict)

    def limited(self, iterations: int | None) -> Mapping[str, Any]:
        """The settings with another number of iterations, of each of its levels."""
        if iterations is None:
            return self.settings
        if self.tool is ELASTIX:
            return {**self.settings, "map": {**self.settings["map"], "MaximumNumberOfIterations": iterations}}
        if self.tool is ANTS:
            return {
                **self.settings,
                "options": {**self.settings["options"], "aff_iterations": [iterations] * 4},
            }
        return {**self.settings, "iterations": iterations}


def _published(metric: str, rate: float, **more: Any) -> Competitor:
    """SimpleITK with the settings of Nan et al. (MIDL 2020, appendix), and our reading of what they leave open.

    Theirs are the rate, 5,000 iterations, 100 bins, half of the pixels at random for both kinds of mutual information,
    and the end once the last 200 values no longer fall by 1e-9. They say nothing of the parameters' scales, of levels
    and of the start. With every scale 1 the rates, which go with the size of their images, throw the transform off on
    ours or leave it where it is. So this is the reading with the smallest errors of those that we measured on moved
    fundus photographs, kinder than any they can have meant. Scales come from physical shifts. Steps are of at most a
    voxel, with a rate that ITK estimates in every iteration, so that theirs has no part; once these swing about the
    optimum, up to half a voxel off, steps of a tenth go on from there, within the 5,000. There is one level: three,
    smoothed by 2, 1 and 0 voxels, were right as often. The images' middles on each other are the start.
    """
    return Competitor(
        SIMPLEITK,
        {
            "metric": metric,
            "rate": rate,
            "iterations": 5000,
            "tolerance": 1e-9,
            "window": 200,
            "steps": [1.0, 0.1],
            "start": "GEOMETRY",
            "shrink": [1],
            "sigma_voxels": [0],
            **more,
        },
    )


_HALF = {"bins": 100, "samples": [0.5]}
_MIDDLES = {
    "AutomaticTransformInitialization": "true",
    "AutomaticTransformInitializationMethod": "GeometricalCenter",
}

# A competitor is one entry here: those of the paper, then each tool as its users would set it up today.
COMPETITORS: dict[str, Competitor] = {
    "mmi": _published("mattes", 1e-5, **_HALF),
    "jhmi": _published("joint histogram", 1e-1, **_HALF),
    "ncc": _published("correlation", 1e-1),
    "mse": _published("mean squares", 1e-6),
    # elastix's default map, four levels, with the paper's metric and number of iterations.
    "nmi": Competitor(
        ELASTIX,
        {
            "levels": 4,
            "map": {
                "Metric": "NormalizedMutualInformation",
                "MaximumNumberOfIterations": 5000,
                **_MIDDLES,
            },
        },
    ),
    # The default map (Mattes MI); iterations and samples as the manual advises for exactness.
    "elastix": Competitor(
        ELASTIX,
        {
            "levels": 5,
            "map": {"MaximumNumberOfIterations": 1000, "NumberOfSpatialSamples": 4096, **_MIDDLES},
        },
    ),
    # Mattes MI over its own four levels, from centres of mass.
    "ants": Competitor(ANTS, {"affine": "Affine", "options": {}}),
    # NMI over three levels, as its documentation has it, from 1,000 random poses about the images' centres.
    "greedy": Competitor(GREEDY, {"start": "-ia-image-centers -search 1000 any 20"}),
    # The same with local correlation, in windows of nine voxels.
    "greedy-ncc": Competitor(
        GREEDY, {"start": "-ia-image-centers -search 1000 any 20", "metric": "NCC 4x4x4"}
    ),
    "simpleitk": Competitor(
        SIMPLEITK,
        {
            "metric": "mattes",
            "bins": 50,
            "steps": [2.0],
            "smallest_step": 1e-4,
            "iterations": 1000,
            "start": "GEOMETRY",
            "shrink": [8, 4, 2, 1],
            "sigma_voxels": [4, 2, 1, 0],
        },
    ),
}


def available(name: str) -> bool:
    """Whether the tool of that competitor is there; raises `UsageError` for a name that is not known."""
    return _competitor(name).tool.python() is not None


def compete(
    name: str,
    fixed: Image,
    moving: Image,
    transform: str,
    *,
    work: Path,
    threads: int,
    seed: int,
    iterations: int | None = None,
) -> Answer:
    """The transform that a competitor finds between two images, run in a process of its own with files in `work`.

    All of them get one channel, the luminance of a colour picture: their metrics take no more. None of them knows
    projective transforms: they find the best affine one instead. `transform` is rigid, similarity, affine or
    projective. `iterations` stands in place of the competitor's own number, of each of its levels.

    Raises `CompetitorError` where the tool is missing, fails, or answers with no transform, and for a sheared grid,
    which none of them can hold; `UsageError` for names that are not known.
    """
    competitor = _competitor(name)
    tool = competitor.tool
    python = tool.python()
    if python is None:
        where = f"; make bench-peers, or set {PEERS_VARIABLE}" if tool.apart else ""
        raise CompetitorError(f"{name} needs {tool.package}, which is not installed{where}")
    job = Job(
        _picture(fixed),
        _picture(moving),
        _kind(transform),
        competitor.limited(iterations),
        threads,
        seed,
    )
    with tempfile.TemporaryDirectory(dir=work, prefix=f"{name}-") as folder:
        write_job(Path(folder), job)
        done = subprocess.run(
            [python, str(_SCRIPTS / tool.script), folder],
            env=_environment(python, threads),
            capture_output=True,
            text=True,
            errors="replace",
        )
        answer = Path(folder) / ANSWER
        if done.returncode or not answer.exists():
            raise CompetitorError(f"{name} found no transform: {_reason(done)}")
        found = json.loads(answer.read_text())
    matrix = np.array(found["matrix_lps"], dtype=np.float64)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-9:
        raise CompetitorError(f"{name} found no transform: its matrix is {matrix.tolist()}")
    return Answer(Linear(torch.from_numpy(flip_transform(matrix))), float(found["seconds"]))


def _competitor(name: str) -> Competitor:
    if name not in COMPETITORS:
        raise UsageError(f"unknown competitor {name!r}; expected {', '.join(COMPETITORS)}")
    return COMPETITORS[name]


def _kind(transform: str) -> str:
    kinds = ("rigid", "similarity", "affine", "projective")
    if transform not in kinds:
        raise UsageError(f"unknown transform {transform!r} for a competitor; expected {', '.join(kinds)}")
    return "affine" if transform == "projective" else transform


def _picture(image: Image) -> Picture:
    picture = Picture(grey(image.data[0]).cpu().numpy(), flip_world(image.grid.voxel_to_world.numpy()))
    skew = picture.direction.T @ picture.direction - np.eye(image.grid.ndim)
    if np.abs(skew).max() > 1e-6:
        raise CompetitorError(
            f"expected an image whose axes are at right angles, as the tools have them, got {image.grid}"
        )
    return picture


def _environment(python: str, threads: int) -> dict[str, str]:
    """What the script's process sees: so many threads; the peers' interpreter, none of our packages."""
    kept = {k: v for k, v in os.environ.items() if python == sys.executable or k != "PYTHONPATH"}
    count = str(threads)
    return {**kept, "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": count, "OMP_NUM_THREADS": count}


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why a script ended, in one line."""
    lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    errors = [line.split("ERROR:", 1)[1].strip() for line in lines if "ERROR:" in line]
    if done.returncode < 0:
        return f"it was ended by signal {-done.returncode}; is there memory enough?"
    return next(iter(errors or lines[-1:]), f"it ended with code {done.returncode}")


@cache
def _has(python: str, package: str) -> bool:
    """Whether an interpreter has that distribution."""
    asked = f"from importlib.metadata import version; version({package!r})"
    done = subprocess.run([python, "-c", asked], capture_output=True)
    return done.returncode == 0
