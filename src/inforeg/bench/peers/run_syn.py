"""ANTs (antspyx): `ants.registration` with SyN alone, from the identity."""

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
ants: Any = import_module("ants")


def register(job: FieldJob, folder: Path) -> FieldAnswer:
    """Two warps of ANTs: from fixed to moving points, and back."""
    # The seed alone: with True it would take one thread, whatever was asked for.
    ants.config.set_ants_deterministic(False, job.seed + 1)
    fixed, moving = ants.image_read(job.fixed), ants.image_read(job.moving)
    began = time.perf_counter()
    # Without an initial transform it would be the identity for these types too; with one nobody need know.
    ants.registration(
        fixed,
        moving,
        initial_transform="Identity",
        outprefix=str(folder / "found"),
        **job.settings["options"],
    )
    seconds = time.perf_counter() - began
    forward, back = (
        next(path.name for path in sorted(folder.glob(f"found*[0-9]{kind}.nii.gz")))
        for kind in ("Warp", "InverseWarp")
    )
    return FieldAnswer(forward, back, seconds, f"antspyx {version('antspyx')}")


if __name__ == "__main__":
    run_fields(register)
