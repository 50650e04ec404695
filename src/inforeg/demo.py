"""The demo: a made-up T2 of known pose, registered to the MNI152 T1 template."""

from collections.abc import Callable
from dataclasses import dataclass
from math import radians
from pathlib import Path

import torch
from torch import Tensor

from inforeg import io
from inforeg.evaluate import tre_mm
from inforeg.image import Image, resample
from inforeg.image.tissues import SIGNALS
from inforeg.io.mni import mni_map
from inforeg.register import register
from inforeg.space import Grid
from inforeg.transforms import Linear, group

TURN_DEG = 25.0
SHIFT_MM = 20.0


@dataclass(frozen=True, eq=False)
class DemoPair:
    """Two images of one head and the transform (fixed points to moving points) between them."""

    fixed: Image
    moving: Image
    truth: Linear
    landmarks_mm: Tensor


def make_pair(seed: int = 0) -> DemoPair:
    """The T1 template, and a T2 made from its tissue maps: turned, shifted, shaded by 20 %, with 3 % noise."""
    t1, grey, white = (io.read_image(mni_map(kind)) for kind in ("t1", "gm", "wm"))
    brain = (t1.data > 0).to(torch.float32)
    g, w = grey.data / 255 * brain, white.data / 255 * brain
    fluid = (brain - g - w).clamp(min=0)
    of = SIGNALS["T2"]
    signal = of["grey"] * g + of["white"] * w + of["fluid"] * fluid
    generator = torch.Generator().manual_seed(seed)
    truth = known_transform(t1.grid)
    # A grid of its own, so that no voxel of one image lies on a voxel of the other.
    grid = Grid.from_spacing((200, 220, 200), (1.05, 1.0, 1.1))
    matrix = grid.voxel_to_world.clone()
    matrix[:3, 3] += truth(t1.grid.centre_mm[None])[0]
    grid = Grid(grid.shape, matrix)
    moved = resample(Image(signal, t1.grid), grid, truth.inverse(), mode="bspline")
    data = moved.data * _shading(grid, 0.2) + 0.03 * torch.randn(moved.data.shape, generator=generator)
    inside = brain[0, 0].nonzero()
    chosen = torch.randperm(len(inside), generator=generator)[:100]
    landmarks = t1.grid.to_world(inside[chosen].to(torch.float64))
    return DemoPair(t1, Image((1000 * data).round(), grid, "made-up T2"), truth, landmarks)


def known_transform(grid: Grid) -> Linear:
    """The demo's answer: 25 degrees about an oblique axis, and 20 mm of shift."""
    axis = torch.tensor([0.5, -0.6, 0.62], dtype=torch.float64)
    axis = radians(TURN_DEG) * axis / axis.norm()
    shift = torch.tensor([12.0, -9.0, 13.2], dtype=torch.float64)
    shift = SHIFT_MM * shift / shift.norm()
    turn = group("rigid", 3).exp(torch.cat((torch.zeros(3, dtype=torch.float64), axis)), grid.centre_mm, 1.0)
    return Linear.translation(shift) @ turn  # type: ignore[return-value]


def _shading(grid: Grid, depth: float) -> Tensor:
    waves = [torch.linspace(-1.0, 1.0, n) for n in grid.shape]
    x, y, z = torch.meshgrid(*waves, indexing="ij")
    field = 0.5 * x + 0.3 * y * y - 0.4 * z + 0.2 * x * z
    field = (field - field.min()) / (field.max() - field.min()) - 0.5
    return 1 + depth * field


def run(
    folder: Path,
    *,
    device: str = "auto",
    threads: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    progress: Callable[[str, float], None] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Makes the pair, registers it, says how far off landmarks were before and are now; returns the exit code."""
    pair = make_pair(seed)
    result = register(
        pair.fixed,
        pair.moving,
        transform="rigid",
        device=device,
        threads=threads,
        seed=seed,
        progress=progress,
    )
    result.save(folder, overwrite=overwrite)
    answer = pair.truth(pair.landmarks_mm)
    before = float(tre_mm(Linear.identity(3), pair.landmarks_mm, answer).mean())
    after = float(tre_mm(result.transform, pair.landmarks_mm, answer).mean())
    say(
        f"a T2 made from MNI152's tissue maps, turned by {TURN_DEG:g} degrees and shifted by {SHIFT_MM:g} mm, to the T1"
    )
    say(f"mean TRE of 100 landmarks: {before:.2f} mm before, {after:.3f} mm after")
    say(f"registered in {result.seconds:.1f} s; quality: {result.quality.verdict}")
    say(f"report: {folder / 'report.html'}")
    return 0 if after <= 0.3 else 1
