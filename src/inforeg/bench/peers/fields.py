"""What goes into a peer's script for deformable registration and comes out of it: files, and a field of displacements.

The script reads the two images itself, as its users would, and leaves displacement fields from fixed to moving points
(LPS, mm) and, if the tool gives one, the other way.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

JOB, ANSWER = "job.json", "answer.json"


@dataclass(frozen=True)
class FieldJob:
    """What a script is to do: two files whose headers agree, from the identity, without a linear stage."""

    fixed: str
    moving: str
    settings: Mapping[str, Any]
    threads: int
    seed: int


@dataclass(frozen=True)
class FieldAnswer:
    """Files in the job's folder, the seconds inside the tool's own call, and the tool's version."""

    transform: str
    inverse: str | None
    seconds: float
    version: str


def write_field_job(folder: Path, job: FieldJob) -> None:
    """Put the job into its folder, for `run_fields`."""
    (folder / JOB).write_text(json.dumps(asdict(job)), encoding="utf-8")


def read_field_answer(folder: Path) -> FieldAnswer:
    """What the script left there."""
    return FieldAnswer(**json.loads((folder / ANSWER).read_text(encoding="utf-8")))


def run_fields(register: Callable[[FieldJob, Path], FieldAnswer]) -> None:
    """Do the job of the folder that the command line names."""
    folder = Path(sys.argv[1])
    job = FieldJob(**json.loads((folder / JOB).read_text(encoding="utf-8")))
    (folder / ANSWER).write_text(json.dumps(asdict(register(job, folder))), encoding="utf-8")
