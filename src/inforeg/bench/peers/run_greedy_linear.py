"""Greedy (picsl_greedy): its linear mode over three levels, after a search of poses where the job asks for one."""

import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from inforeg.bench.peers.exchange import Job, Picture, run
else:
    from exchange import Job, Picture, run  # beside this file, which is all that its interpreter sees of ours

# They have no types that a checker could read.
greedy: Any = import_module("picsl_greedy")
sitk: Any = import_module("SimpleITK")

FREEDOM = {"rigid": 6, "similarity": 7, "affine": 12}


def register(job: Job) -> tuple[Callable[[Sequence[float]], Sequence[float]], float]:
    """The transform as a function of points, and the seconds it took, reading its files included."""
    with tempfile.TemporaryDirectory() as folder:
        fixed, moving, found = (str(Path(folder) / name) for name in ("fixed.nii", "moving.nii", "found.txt"))
        sitk.WriteImage(_image(job.fixed), fixed)
        sitk.WriteImage(_image(job.moving), moving)
        program = greedy.Greedy2D() if job.ndim == 2 else greedy.Greedy3D()
        metric = job.settings.get("metric", "NMI")
        given = job.settings.get("iterations")
        steps = "100x50x10" if given is None else "x".join([str(given)] * 3)
        # 0 is no seed to it.
        command = (
            f"-i {fixed} {moving} -a -dof {FREEDOM[job.transform]} -m {metric} -n {steps} {job.settings['start']}"
            f" -threads {job.threads} -seed {job.seed + 1} -V 0 -o {found}"
        )
        began = time.perf_counter()
        program.execute(command)
        seconds = time.perf_counter() - began
        matrix = np.loadtxt(found)
    d = job.ndim
    # Its points are in RAS, and the answer's in LPS.
    flip = np.array([-1.0, -1.0, 1.0])[:d]

    def move(point: Sequence[float]) -> Sequence[float]:
        moved = matrix[:d, :d] @ (flip * np.asarray(point)) + matrix[:d, d]
        return [float(x) for x in flip * moved]

    return move, seconds


def _image(picture: Picture) -> Any:
    image = sitk.GetImageFromArray(np.ascontiguousarray(picture.values.T))
    image.SetSpacing(picture.spacing_mm)
    image.SetOrigin(picture.origin_mm)
    image.SetDirection(picture.direction.flatten().tolist())
    return image


if __name__ == "__main__":
    run(register)
