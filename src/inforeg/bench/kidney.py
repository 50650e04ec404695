"""`inforeg bench kidney`: two stains of a kidney as their files are, by methods of ours and tools of others.

They are neighbouring sections of ANHIR, in H&E and in Pan-Cytokeratin, with landmarks that were marked by hand. Two
sections differ, so that no transform takes all landmarks to their partners: the line `fit` says how little an affine
one can leave, as it is fitted to the landmarks themselves.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg import io
from inforeg.bench.competitors import COMPETITORS, available, compete
from inforeg.bench.drmime.sets_folder import kidney_files, read_sections
from inforeg.errors import InforegError, UsageError
from inforeg.evaluate import rtre, tre_mm
from inforeg.image import Image, resample
from inforeg.methods import METHODS
from inforeg.register import register
from inforeg.solve.start import from_centres
from inforeg.transforms import Linear, Transform, fit_affine

TOOLS = ("elastix", "ants", "simpleitk")
TRANSFORM = "affine"
# Squares of a checkerboard along the longer side of the picture.
SQUARES = 14


@dataclass(frozen=True, eq=False)
class RawPair:
    """Both pictures as their files are, and the landmarks `(n, 2)` that both tables hold, in RAS+ mm."""

    fixed: Image
    moving: Image
    fixed_points_mm: Float[Tensor, "n 2"]
    moving_points_mm: Float[Tensor, "n 2"]


@dataclass(frozen=True)
class Line:
    """What a method made of the pair: rTRE over the landmarks, median distance in pixels, seconds; or why it failed."""

    method: str
    rtre_median: float = float("nan")
    rtre_mean: float = float("nan")
    rtre_max: float = float("nan")
    median_px: float = float("nan")
    seconds: float | None = None
    matrix: list[list[float]] = field(default_factory=list)
    failure: str = ""


def read_pair(data: Path) -> RawPair:
    """The pair and its landmarks; raises `UsageError` where a file is missing, `ReadError` where one is damaged."""
    gone = [name for name in kidney_files() if not (data / name).is_file()]
    if gone:
        raise UsageError(f"--data: expected {gone[0]} in {data}, which is not there")
    pictures, points = read_sections(data)
    return RawPair(pictures[0], pictures[1], points[0], points[1])


def run(
    data: Path,
    output: Path,
    threads: int | None = None,
    seed: int = 0,
    methods: Sequence[str] = (),
    *,
    say: Callable[[str], None] = print,
) -> int:
    """Register the raw pair by each method, all of ours and those of `TOOLS` that are there if none is named.

    Says a line for each and writes into the folder `output`: `kidney.json`, and a checkerboard of the fixed and the
    warped picture for each, `kidney-NAME.png`. Returns 0, or 1 where a method failed. Raises `UsageError` for a
    method that is not known or not there, and for a folder without the pair.
    """
    chosen = _chosen(methods, say)
    pair = read_pair(data)
    output.mkdir(parents=True, exist_ok=True)
    count = threads or torch.get_num_threads()
    say(f"{'':<14}{'median rTRE':>12}{'mean':>10}{'largest':>10}{'median px':>11}{'seconds':>9}")
    anchors: list[tuple[str, Transform]] = [
        ("start", from_centres(pair.fixed.grid, pair.moving.grid)),
        ("fit", fit_affine(pair.fixed_points_mm, pair.moving_points_mm)),
    ]
    lines = [_line(pair, name, transform, None) for name, transform in anchors]
    for line in lines:
        say(_text(line))
    for name, transform in anchors[:1]:
        _board(pair, transform, output / f"kidney-{name}.png")
    for name in chosen:
        try:
            transform, seconds = _answer(pair, name, count, seed)
        except InforegError as error:
            lines.append(Line(name, failure=str(error)))
        else:
            lines.append(_line(pair, name, transform, seconds))
            _board(pair, transform, output / f"kidney-{name}.png")
        say(_text(lines[-1]))
    with io.atomic_path(output / "kidney.json", overwrite=True) as temporary:
        found = {
            "transform": TRANSFORM,
            "threads": count,
            "seed": seed,
            "methods": [asdict(x) for x in lines],
        }
        temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return int(any(line.failure for line in lines))


def _chosen(names: Sequence[str], say: Callable[[str], None]) -> list[str]:
    known = (*METHODS, *COMPETITORS)
    for name in names:
        if name not in known:
            raise UsageError(f"--methods: unknown name {name!r}; expected {', '.join(known)}")
        if name not in METHODS and not available(name):
            raise UsageError(f"--methods: {name}: its tool is not installed")
    if names:
        return list(names)
    for name in TOOLS:
        if not available(name):
            say(f"left out: {name}: its tool is not installed")
    return [*METHODS, *filter(available, TOOLS)]


def _answer(pair: RawPair, name: str, threads: int, seed: int) -> tuple[Transform, float]:
    """The transform, and the seconds from two pictures in memory to it."""
    if name in METHODS:
        began = perf_counter()
        found = register(
            pair.fixed, pair.moving, transform=TRANSFORM, method=name, threads=threads, seed=seed
        )
        return found.transform, perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="inforeg-bench-") as work:
        answer = compete(
            name, pair.fixed, pair.moving, TRANSFORM, work=Path(work), threads=threads, seed=seed
        )
    return answer.transform, answer.seconds


def _line(pair: RawPair, name: str, transform: Transform, seconds: float | None) -> Line:
    points = pair.fixed_points_mm, pair.moving_points_mm
    relative = rtre(transform, *points, pair.moving.grid)
    pixels = tre_mm(transform, *points) / pair.moving.grid.spacing_mm.mean()
    matrix = transform.matrix.tolist() if isinstance(transform, Linear) else []
    return Line(
        name,
        float(relative.quantile(0.5)),
        float(relative.mean()),
        float(relative.max()),
        float(pixels.quantile(0.5)),
        seconds,
        matrix,
    )


def _text(line: Line) -> str:
    if line.failure:
        return f"{line.method:<14}failed: {line.failure}"
    seconds = "" if line.seconds is None else f"{line.seconds:9.1f}"
    errors = f"{line.rtre_median:12.5f}{line.rtre_mean:10.5f}{line.rtre_max:10.5f}{line.median_px:11.2f}"
    return f"{line.method:<14}{errors}{seconds}"


def _board(pair: RawPair, transform: Transform, path: Path) -> None:
    """A checkerboard of the fixed picture and the moving one on its grid; white where the moving one ends."""
    grid = pair.fixed.grid
    warped = resample(pair.moving, grid, transform, outside=255.0)
    side = max(grid.shape) / SQUARES
    columns, rows = (torch.arange(n).div(side, rounding_mode="floor") for n in grid.shape)
    ours = (columns[:, None] + rows[None]) % 2 == 0
    board = torch.where(ours, pair.fixed.data, warped.data)
    io.write_image(Image(board, grid, path.stem, "uint8"), path, dtype="uint8", overwrite=True)
