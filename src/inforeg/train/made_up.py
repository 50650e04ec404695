"""Made-up subjects to learn training with: slices of one head, each bent in its own way, in two contrasts."""

from pathlib import Path

import torch
from torch import Tensor

from inforeg import io
from inforeg.image import Image, Labels, downsample, resample, resample_labels
from inforeg.image.sample import stretched
from inforeg.image.tissues import SIGNALS
from inforeg.io.mni import mni_map
from inforeg.space import Grid
from inforeg.train.source import seeded
from inforeg.transforms import Velocity

# Fluid, grey and white matter, as the signals name them.
_CLASSES = ("fluid", "grey", "white")
# The slice above the middle of the ventricles, in mm of MNI space.
_HEIGHT_MM = 20.0


def write_example(
    folder: Path, subjects: int = 16, *, spacing_mm: float = 2.0, bent_mm: float = 4.0, seed: int = 0
) -> list[Path]:
    """Write 2-D images of made-up subjects: `s01_T1.nii.gz`, `s01_T2.nii.gz` and `s01_labels.nii.gz`, and so on.

    Each is the same slice of the MNI152 tissue maps (nilearn's wheel has them), bent by a random smooth diffeomorphism
    with velocities of a standard deviation of `bent_mm` along each axis, textured, shaded a little, and noisy. Labels
    are fluid, grey and white matter, of the left (1 to 3) and the right (4 to 6). The two contrasts of a subject belong
    together. Returns the files. Raises `ReadError` where nilearn is not installed, and `OutputExists` where a file is
    there already.
    """
    shares, grid = _slice(spacing_mm)
    written = []
    for number in range(1, subjects + 1):
        generator = seeded(seed, number)
        bend = _bend(grid, bent_mm, generator)
        bent = resample(Image(shares[None], grid), grid, bend).data[0]
        written += _write(folder, f"s{number:02d}", bent, _labels(shares, grid, bend), grid, generator)
    return written


def _slice(spacing_mm: float) -> tuple[Tensor, Grid]:
    """What share of each pixel is fluid, grey and white matter, `(3, i, j)`, and where the pixels lie."""
    t1, grey, white = (io.read_image(mni_map(kind)) for kind in ("t1", "gm", "wm"))
    height = torch.tensor([[0.0, 0.0, _HEIGHT_MM]], dtype=torch.float64)
    k = round(float(t1.grid.to_voxel(height)[0, 2]))
    brain = (t1.data[0, 0, :, :, k] > 0).float()
    g, w = (image.data[0, 0, :, :, k] / 255 * brain for image in (grey, white))
    matrix = t1.grid.voxel_to_world[[0, 1, 3]][:, [0, 1, 3]]
    whole = Image(torch.stack((brain - g - w, g, w)).clamp(min=0)[None], Grid(tuple(brain.shape), matrix))
    thin = downsample(whole, [max(1, round(spacing_mm))] * 2)
    return thin.data[0], thin.grid


def _bend(grid: Grid, bent_mm: float, generator: torch.Generator) -> Velocity:
    nodes = torch.randn((1, 2, 5, 6), generator=generator)
    return Velocity(bent_mm * stretched(nodes, grid.shape)[0], grid)


def _labels(shares: Tensor, grid: Grid, bend: Velocity) -> Labels:
    best = torch.where(shares.sum(0) > 0.5, shares.argmax(0) + 1, 0)
    right = grid.points_mm()[:, 0].reshape(grid.shape) > 0
    sided = torch.where(right & (best > 0), best + len(_CLASSES), best)
    return resample_labels(Labels(sided[None, None], grid), grid, bend)


def _write(
    folder: Path, name: str, shares: Tensor, labels: Labels, grid: Grid, generator: torch.Generator
) -> list[Path]:
    inside = shares.sum(0)
    paths = []
    for contrast in ("T1", "T2"):
        signal = torch.tensor([SIGNALS[contrast][c] for c in _CLASSES])
        image = torch.tensordot(signal, shares, dims=1)
        grain = stretched(torch.randn((1, 1, *[n // 2 for n in grid.shape]), generator=generator), grid.shape)
        light = stretched(torch.randn((1, 1, 3, 3), generator=generator), grid.shape)
        shown = image * torch.exp(0.1 * light[0, 0]) + 0.03 * inside * grain[0, 0]
        noise = 0.02 * torch.randn(grid.shape, generator=generator)
        paths.append(folder / f"{name}_{contrast}.nii.gz")
        io.write_image(Image(1000 * (shown + noise).clamp(min=0)[None, None], grid), paths[-1])
    paths.append(folder / f"{name}_labels.nii.gz")
    io.write_labels(labels, paths[-1])
    return paths
