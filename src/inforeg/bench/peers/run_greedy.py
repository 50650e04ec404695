"""Greedy (picsl_greedy): its deformable mode, from the identity, with its inverse."""

import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inforeg.bench.peers.fields import FieldAnswer, FieldJob, run_fields
else:
    from fields import FieldAnswer, FieldJob, run_fields  # beside this file

# It has no types that a checker could read.
greedy: Any = import_module("picsl_greedy")

# Both as its own command writes them.
WARP, INVERSE = "warp.nii.gz", "inverse.nii.gz"


def register(job: FieldJob, folder: Path) -> FieldAnswer:
    """Two warps of greedy; without a transform of its own it starts from the headers. 0 is no seed to it."""
    command = (
        f"-i {job.fixed} {job.moving} {job.settings['options']} -o {folder / WARP} -oinv {folder / INVERSE}"
        f" -threads {job.threads} -seed {job.seed + 1} -V 0"
    )
    program = greedy.Greedy3D()
    began = time.perf_counter()
    program.execute(command)
    seconds = time.perf_counter() - began
    return FieldAnswer(WARP, INVERSE, seconds, f"picsl_greedy {version('picsl_greedy')}")


if __name__ == "__main__":
    run_fields(register)
