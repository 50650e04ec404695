"""What goes into a peer's script and comes out of it: two images and settings in one folder, a matrix and seconds.

All of it is in LPS, as the tools have it. Images are `(x, y[, z])`.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

JOB, IMAGES, ANSWER = "job.json", "images.npz", "answer.json"


@dataclass(frozen=True, eq=False)
class Picture:
    """One channel of intensities, float32, and the `(d+1, d+1)` matrix that takes its indices to LPS mm."""

    values: NDArray[np.float32]
    voxel_to_lps: NDArray[np.float64]

    @property
    def spacing_mm(self) -> list[float]:
        """Distance between neighbours along each axis."""
        d = self.values.ndim
        return [float(length) for length in np.linalg.norm(self.voxel_to_lps[:d, :d], axis=0)]

    @property
    def origin_mm(self) -> list[float]:
        """Where the first voxel lies."""
        return [float(x) for x in self.voxel_to_lps[:-1, -1]]

    @property
    def direction(self) -> NDArray[np.float64]:
        """The axes, as columns of length one."""
        d = self.values.ndim
        axes: NDArray[np.float64] = self.voxel_to_lps[:d, :d] / np.asarray(self.spacing_mm)
        return axes


@dataclass(frozen=True, eq=False)
class Job:
    """What a script is to do: `transform` is rigid, similarity or affine."""

    fixed: Picture
    moving: Picture
    transform: str
    settings: Mapping[str, Any]
    threads: int
    seed: int

    @property
    def ndim(self) -> int:
        """2 or 3."""
        return self.fixed.values.ndim


def write_job(folder: Path, job: Job) -> None:
    """Put the job into its folder, for `run`."""
    images = {
        f"{name}_{what}": value
        for name, picture in (("fixed", job.fixed), ("moving", job.moving))
        for what, value in (("values", picture.values), ("voxel_to_lps", picture.voxel_to_lps))
    }
    np.savez(folder / IMAGES, **images)  # type: ignore[arg-type] # numpy's stubs take a name for allow_pickle
    rest = {
        "transform": job.transform,
        "settings": dict(job.settings),
        "threads": job.threads,
        "seed": job.seed,
    }
    (folder / JOB).write_text(json.dumps(rest))


def read_job(folder: Path) -> Job:
    """The job of a folder."""
    with np.load(folder / IMAGES) as held:
        fixed, moving = (
            Picture(held[f"{name}_values"], held[f"{name}_voxel_to_lps"]) for name in ("fixed", "moving")
        )
    return Job(fixed, moving, **json.loads((folder / JOB).read_text()))


def run(register: Callable[[Job], tuple[Callable[[Sequence[float]], Sequence[float]], float]]) -> None:
    """Do the job of the folder that the command line names.

    `register` returns the function that takes fixed points to moving points, and the seconds inside the tool's call
    alone: two images in memory in, a transform out.
    """
    folder = Path(sys.argv[1])
    job = read_job(folder)
    move, seconds = register(job)
    answer = {"matrix_lps": _matrix(move, job.ndim).tolist(), "seconds": seconds}
    (folder / ANSWER).write_text(json.dumps(answer))


def _matrix(move: Callable[[Sequence[float]], Sequence[float]], d: int) -> NDArray[np.float64]:
    """The matrix of an affine map, from where it takes the origin and the unit points."""
    matrix = np.eye(d + 1)
    matrix[:d, d] = move([0.0] * d)
    for axis in range(d):
        matrix[:d, axis] = np.asarray(move([float(axis == i) for i in range(d)])) - matrix[:d, d]
    return matrix
