"""Whole processes, from files to files: keypoints beside our own global search."""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from inforeg import io
from inforeg.bench.deformable.process import run_measured
from inforeg.bench.keymorph.sets import SETS
from inforeg.errors import InforegError

# What is typed after the images.
COMMANDS: dict[str, list[str]] = {
    "linear": ["--method", "linear"],
    "keymorph": ["--method", "{model}"],
    "keymorph+linear": ["--method", "{model}+linear"],
}
_LIMIT_S = 600.0


def whole_processes(
    data: Path,
    model: str,
    cases: int,
    spacing_mm: float,
    threads: int,
    say: Callable[[str], None] = lambda _line: None,
) -> dict[str, list[float]]:
    """Seconds of `inforeg register -t rigid` on the first cases of `rigid`, by method; each is run once before.

    Raises `InforegError` where a run ends otherwise than with a result.
    """
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        for number in range(cases):
            case = SETS["rigid"].make(number, data, spacing_mm)
            pair = [folder / f"{number}-{name}.nii.gz" for name in ("fixed", "moving")]
            for image, path in zip((case.fixed, case.moving), pair, strict=True):
                io.write_image(image, path, dtype="int16")
            for name, options in COMMANDS.items():
                command = [sys.executable, "-m", "inforeg.cli.main", "register", "-t", "rigid", "-q"]
                command += ["-f", str(pair[0]), "-m", str(pair[1]), "-j", str(threads), "--overwrite"]
                command += ["-o", str(folder / name), *(o.format(model=model) for o in options)]
                # The first run of all loads what later ones find loaded.
                for _ in range(2 if number == 0 else 1):
                    taken = run_measured(command, folder, threads, _LIMIT_S)
                if taken.code not in (0, 3):
                    raise InforegError(f"{name} ended with {taken.code}: {taken.said}")
                seconds[name].append(taken.seconds)
                say(f"case {number}, {case.angle_deg:.0f} degrees, {name}: {taken.seconds:.2f} s")
    return seconds


def markdown(seconds: dict[str, list[float]]) -> str:
    """Medians, and what part of our search's time they are, case by case."""
    lines = ["| whole process | cases | s | of `linear` |", "|---|---:|---:|---:|"]
    for name, own in seconds.items():
        ratio = median(one / other for one, other in zip(own, seconds["linear"], strict=True))
        lines.append(f"| {name} | {len(own)} | {median(own):.1f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"
