"""Roughly aligned pairs to learn from, and pairs of known truth to test on, of patients and heads."""

import csv
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg import io
from inforeg.bench.deformable.anatomy import brain_of, in_contrast
from inforeg.bench.deformable.sets import HEADS
from inforeg.bench.drmime.changes import generator_for
from inforeg.errors import UsageError
from inforeg.image import Image, normalise, resample, smooth
from inforeg.io import atomic_path
from inforeg.solve.edges import canny
from inforeg.space import Grid
from inforeg.train.listing import Split
from inforeg.transforms import Linear, group

# Of each site one patient is learnt from, and one is tested on. Heads of OASIS, whose T2 and FLAIR are made up, are
# learnt from alone.
LEARNT, TESTED = ("ms/ms07", "brats/met00110"), ("ms/ms19", "brats/gli00001")
CONTRASTS = ("T2", "FLAIR")
EDGES = "edges"
# How often each patient and each head is learnt from, another time otherwise misaligned.
_OF_PATIENT, _OF_HEAD = 6, 3
# The published ranges (Sedghi et al., arXiv 1901.00040): mm and radians about each axis, factors, shears.
SHIFT_MM, TURN_RAD, SCALE, SHEAR = (1.0, 25.0), (0.01, 0.15), 0.05, 0.01
SMOOTHED_MM = 4.0
"""The Gaussian's deviation, where images are smoothed in place of dithering."""
# Of Canny's detector, on brightness of 0 to 255: what of a T1 looks like a drawing of it.
_SIGMA, _LOW, _HIGH = 1.0, 60.0, 150.0


def misaligned(
    kind: str, centre_mm: Float[Tensor, " d"], generator: torch.Generator, share: float = 1.0
) -> Linear:
    """A random rigid or affine misalignment about a point, signs drawn, of up to a share of the published ranges."""
    d = len(centre_mm)

    def drawn(low: float, high: float, count: int = d) -> Tensor:
        size = low + (share * high - low) * torch.rand(count, generator=generator, dtype=torch.float64)
        return torch.where(torch.rand(count, generator=generator) < 0.5, -size, size)

    shift, turns = drawn(*SHIFT_MM), drawn(*TURN_RAD, 1 if d == 2 else 3)
    origin = torch.zeros(d, dtype=torch.float64)
    turn = group("rigid", d).exp(torch.cat((origin, turns)), origin, 1.0).matrix[:d, :d]
    if kind == "affine":
        shear = torch.eye(d, dtype=torch.float64)
        rows, columns = torch.triu_indices(d, d, offset=1)
        shear[rows, columns] = SHEAR * (
            2 * torch.rand(len(rows), generator=generator, dtype=torch.float64) - 1
        )
        turn = turn @ shear @ torch.diag(1 + drawn(0.0, SCALE))
    return Linear.about(turn, centre_mm, shift)


def patient(data: Path, name: str, contrast: str) -> Image:
    """A contrast of a patient; `edges` are those of the T1, 0 and 1, one voxel thin."""
    return _patient(data, name, contrast)


def edges_of(image: Image) -> Image:
    """Canny's edges of an image, 0 and 1."""
    found = canny(255 * normalise(image).data[0, 0].clamp(0, 1), sigma=_SIGMA, low=_LOW, high=_HIGH)
    return Image(found.float()[None, None], image.grid, image.name)


def in_pose(image: Image, pose: Linear, like: Image | None = None) -> Image:
    """An image where a pose took it, interpolated on a grid along the world's axes that holds all of the brain; that
    of another image, `like`, on the same grid, where it shows none itself."""
    points = pose(image.grid.to_world(brain_of(like or image).nonzero().double()))
    low = points.amin(0) - 10
    matrix = torch.eye(image.grid.ndim + 1, dtype=torch.float64)
    matrix[:-1, -1] = low
    shape = tuple(int(n) for n in (points.amax(0) + 10 - low).ceil().tolist())
    return resample(image, Grid(shape, matrix), pose.inverse())


def write_pairs(data: Path, folder: Path, kind: str) -> Path:
    """Write the pairs that a metric learns from into a folder, and their table; returns the table.

    `kind` is `contrasts` (T1, and T2 and FLAIR, each misaligned by random rigid motions in its header), `edges` (edges
    of T1, and T2, likewise), `shifted` (T1, and T2 that is shifted by 10 mm to the right in all of them) or `smoothed`
    (the same, both smoothed).
    """
    table = folder / f"{kind}.csv"
    if table.is_file():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[str, str, str, Split]] = []
    for name in (*LEARNT, *HEADS):
        own = name in LEARNT
        called = Path(name).name
        shifted, blur_mm = kind in ("shifted", "smoothed"), SMOOTHED_MM if kind == "smoothed" else 0.0
        fixed = edges_of(t1_of(data, name)) if kind == "edges" else smooth(t1_of(data, name), blur_mm)
        seen = "edges" if kind == "edges" else "T1"
        rows.append((called, seen, _written(fixed, folder / f"{called}_{kind}.nii"), "train"))
        for contrast in CONTRASTS if kind == "contrasts" else ("T2",):
            moving = smooth(patient(data, name, contrast) if own else made_up(data, name, contrast), blur_mm)
            times = 1 if shifted else _OF_PATIENT if own else _OF_HEAD
            for number in range(times):
                if shifted:
                    moved = Linear.translation(torch.tensor([10.0, 0.0, 0.0], dtype=torch.float64))
                else:
                    generator = generator_for("ditr-learnt", name, contrast, number)
                    moved = misaligned("rigid", moving.grid.centre_mm, generator)
                path = folder / f"{called}_{kind}_{contrast}_{number}.nii"
                rows.append((called, contrast, _written(placed(moving, moved), path), "train"))
    return write_table(rows, table)


def placed(image: Image, moved: Linear) -> Image:
    """An image that its header alone puts elsewhere."""
    return Image(image.data, Grid(image.grid.shape, moved.matrix @ image.grid.voxel_to_world), image.name)


def write_table(rows: Sequence[tuple[str, str, str, Split]], table: Path) -> Path:
    """The table of images to learn from, by subject, contrast, file and split."""
    with atomic_path(table, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("subject", "contrast", "image", "split"), *rows])
    return table


def _written(image: Image, path: Path) -> str:
    io.write_image(image, path, overwrite=True)
    return path.name


def t1_of(data: Path, name: str) -> Image:
    """The T1 of a patient or a head."""
    return patient(data, name, "T1") if "/" in name else io.read_image(data / f"oasis/{name}_T1.nii.gz")


def made_up(data: Path, head: str, contrast: str) -> Image:
    """A contrast of a head, painted from its labels and its T1."""
    labels = io.read_labels(data / f"oasis/{head}_labels.nii.gz")
    return in_contrast(t1_of(data, head), labels, contrast, generator_for("ditr-contrast", head, contrast))


@lru_cache(maxsize=8)
def _patient(data: Path, name: str, contrast: str) -> Image:
    path = data / f"{name}_{'T1' if contrast == EDGES else contrast}.nii.gz"
    if not path.is_file():
        raise UsageError(f"expected {path.name} in {path.parent}, and it is not there")
    image = io.read_image(path)
    return edges_of(image) if contrast == EDGES else image
