"""ANTs (antspyx): `ants.registration` with its own levels and steps."""

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

# It has no types that a checker could read.
ants: Any = import_module("ants")

KINDS = {"rigid": "Rigid", "similarity": "Similarity"}


def register(job: Job) -> tuple[Callable[[Sequence[float]], Sequence[float]], float]:
    """The transform as a function of points, and the seconds it took."""
    # The seed alone: with True it would take one thread, whatever was asked for.
    ants.config.set_ants_deterministic(False, job.seed + 1)
    fixed, moving = _image(job.fixed), _image(job.moving)
    kind = KINDS.get(job.transform, job.settings["affine"])
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        found = ants.registration(
            fixed,
            moving,
            type_of_transform=kind,
            outprefix=str(Path(folder) / "found"),
            **job.settings["options"],
        )
        seconds = time.perf_counter() - began
        transforms = [ants.read_transform(path) for path in found["fwdtransforms"]]

    def move(point: Sequence[float]) -> Sequence[float]:
        # What stands last is applied first to a fixed point.
        for transform in reversed(transforms):
            point = _moved(transform, point)
        return point

    return move, seconds


def _moved(transform: Any, point: Sequence[float]) -> Sequence[float]:
    """A point taken through an affine transform; ANTs' own function for it rounds to single precision."""
    d = transform.dimension
    values, centre = np.asarray(transform.parameters), np.asarray(transform.fixed_parameters)
    moved = values[: d * d].reshape(d, d) @ (np.asarray(point) - centre) + centre + values[d * d :]
    return [float(x) for x in moved]


def _image(picture: Picture) -> Any:
    return ants.from_numpy(
        picture.values,
        origin=tuple(picture.origin_mm),
        spacing=tuple(picture.spacing_mm),
        direction=picture.direction,
    )


if __name__ == "__main__":
    run(register)
