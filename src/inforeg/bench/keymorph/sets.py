"""The sets of pairs there are, by name: patients in poses that are known, and heads of different people."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from inforeg import io
from inforeg.bench.deformable.anatomy import brain_of, labels_at
from inforeg.bench.deformable.sets import HEADS, head_pairs
from inforeg.bench.drmime.changes import generator_for
from inforeg.image import Image, Labels, downsample, resample
from inforeg.space import Grid
from inforeg.transforms import Linear

ANGLES_DEG = (0.0, 45.0, 90.0, 135.0, 180.0)
# The published ranges: shares of scale and of shear, and shifts as a share of the field of view (Wang et al. 2023).
SCALE, SHEAR, SHIFT = 0.2, 0.1, 0.1
NOISE = 0.03
PATIENTS = ("ms/ms07", "ms/ms19", "brats/gli00001", "brats/met00110")
CONTRASTS = ("T1", "T2", "FLAIR", "T1POST")
# Points of the brain that errors are taken at.
_ASKED = 4000
_OWN_MM = 1.0


@dataclass(frozen=True, eq=False)
class PoseCase:
    """A pair to register, and what is known of it: the transform (fixed to moving points), or label maps of both.

    `brain_mm` are points of the fixed brain, `(n, 3)`; `kind` is the transform that is asked for.
    """

    name: str
    angle_deg: float
    contrasts: tuple[str, str]
    kind: str
    fixed: Image
    moving: Image
    brain_mm: Tensor
    truth: Linear | None = None
    fixed_labels: Labels | None = None
    moving_labels: Labels | None = None


@dataclass(frozen=True)
class PoseSet:
    """A set: what it is, the files it reads, the transform it asks for, and what makes case number n."""

    title: str
    files: tuple[str, ...]
    kind: str
    make: Callable[[int, Path, float], PoseCase]

    def missing(self, data: Path | None) -> str:
        """Why no case can be made; nothing where one can."""
        if data is None:
            return "needs --data, the folder of images"
        gone = [name for name in self.files if not (data / name).is_file()]
        return f"needs {gone[0]} in {data}" if gone else ""


def across() -> list[tuple[str, str, str]]:
    """Patients and their ordered pairs of two contrasts, another patient each time."""
    pairs = list(permutations(CONTRASTS, 2))
    return [(patient, *pair) for pair in pairs for patient in PATIENTS]


def rigid(number: int, data: Path, spacing_mm: float) -> PoseCase:
    """Two contrasts of a patient, one turned about a random axis and shifted."""
    patient, *pair = across()[number // len(ANGLES_DEG) % len(across())]
    return _posed("rigid", number, data, spacing_mm, patient, (pair[0], pair[1]), "rigid")


def affine(number: int, data: Path, spacing_mm: float) -> PoseCase:
    """The same, scaled and sheared as well."""
    patient, *pair = across()[number // len(ANGLES_DEG) % len(across())]
    return _posed("affine", number, data, spacing_mm, patient, (pair[0], pair[1]), "affine")


def same(number: int, data: Path, spacing_mm: float) -> PoseCase:
    """One contrast of a patient with noise, and the same with other noise, scaled, sheared, turned and shifted."""
    n = number // len(ANGLES_DEG)
    contrast = CONTRASTS[n // len(PATIENTS) % len(CONTRASTS)]
    return _posed(
        "same", number, data, spacing_mm, PATIENTS[n % len(PATIENTS)], (contrast, contrast), "affine"
    )


def heads(number: int, data: Path, spacing_mm: float) -> PoseCase:
    """T1 of two people, with their label maps, the moving one turned about a random axis and shifted."""
    angle = ANGLES_DEG[number % len(ANGLES_DEG)]
    return _heads(number, number // len(ANGLES_DEG), angle, data, spacing_mm, turned=True)


def upright(number: int, data: Path, spacing_mm: float) -> PoseCase:
    """T1 of two people, with their label maps, as they lie."""
    return _heads(number, number, 0.0, data, spacing_mm, turned=False)


def pose_about(
    centre_mm: Float[Tensor, " d"],
    angle_deg: float,
    shift_mm: float,
    generator: torch.Generator,
    *,
    stretch: bool,
) -> Linear:
    """A turn by an angle about a random axis through a point, after scales and shears, before a random shift."""
    axis = torch.randn(3, generator=generator, dtype=torch.float64)
    x, y, z = (math.radians(angle_deg) * axis / axis.norm()).tolist()
    turn = torch.matrix_exp(torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64))
    amounts = 2 * torch.rand(9, generator=generator, dtype=torch.float64) - 1
    linear = turn
    if stretch:
        shear = torch.eye(3, dtype=torch.float64)
        shear[0, 1], shear[0, 2], shear[1, 2] = (SHEAR * amounts[3:6]).tolist()
        linear = turn @ torch.diag(1 + SCALE * amounts[:3]) @ shear
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, :3] = linear
    matrix[:3, 3] = centre_mm - linear @ centre_mm + shift_mm * amounts[6:]
    return Linear(matrix)


def _posed(
    name: str,
    number: int,
    data: Path,
    spacing_mm: float,
    patient: str,
    contrasts: tuple[str, str],
    kind: str,
) -> PoseCase:
    generator = generator_for(f"keymorph-{name}", number)
    still, moved = (_image(data, f"{patient}_{contrast}.nii.gz") for contrast in contrasts)
    angle = ANGLES_DEG[number % len(ANGLES_DEG)]
    centre = still.grid.to_world(brain_of(still).nonzero().double()).mean(0)
    shift = SHIFT * float(still.grid.extent_mm.min())
    truth = pose_about(centre, angle, shift, generator, stretch=kind == "affine")
    fixed = _noisy(_thinned(still, spacing_mm), generator)
    moving = _noisy(_in_pose(moved, truth, spacing_mm), generator)
    called = f"{Path(patient).name} {contrasts[1]} to {contrasts[0]}"
    return PoseCase(called, angle, contrasts, kind, fixed, moving, _brain_mm(still), truth)


def _heads(number: int, pair: int, angle: float, data: Path, spacing_mm: float, *, turned: bool) -> PoseCase:
    generator = generator_for("keymorph-heads", number)
    one, other = head_pairs()[pair % len(head_pairs())]
    still, moved = (_image(data, f"oasis/{head}_T1.nii.gz") for head in (one, other))
    labels = [io.read_labels(data / f"oasis/{head}_labels.nii.gz") for head in (one, other)]
    fixed = _thinned(still, spacing_mm)
    if turned:
        centre = moved.grid.to_world(brain_of(moved).nonzero().double()).mean(0)
        pose = pose_about(centre, angle, SHIFT * float(moved.grid.extent_mm.min()), generator, stretch=False)
        moving = _in_pose(moved, pose, spacing_mm)
        # The map itself is not interpolated: its header takes the pose.
        grid = Grid(labels[1].grid.shape, pose.matrix @ labels[1].grid.voxel_to_world)
        labels[1] = Labels(labels[1].data, grid, labels[1].name, labels[1].dtype)
    else:
        moving = _thinned(moved, spacing_mm)
    return PoseCase(
        f"{other} to {one}",
        angle,
        ("T1", "T1"),
        "affine",
        fixed,
        moving,
        _brain_mm(still),
        None,
        labels_at(labels[0], fixed),
        labels[1],
    )


@lru_cache(maxsize=16)
def _image(data: Path, name: str) -> Image:
    return io.read_image(data / name)


def _brain_mm(image: Image) -> Float[Tensor, "n d"]:
    voxels = brain_of(image).nonzero().double()
    return image.grid.to_world(voxels[:: max(1, len(voxels) // _ASKED)])


def _thinned(image: Image, spacing_mm: float) -> Image:
    factor = max(1, round(spacing_mm / _OWN_MM))
    return downsample(image, [factor] * 3) if factor > 1 else image


def _in_pose(image: Image, pose: Linear, spacing_mm: float) -> Image:
    """The image where a pose took it, on a grid along the world's axes that holds all of it."""
    corners = torch.cartesian_prod(*[torch.tensor([0.0, n - 1.0]).double() for n in image.grid.shape])
    there = pose(image.grid.to_world(corners))
    low, high = there.amin(0), there.amax(0)
    brain = pose(image.grid.to_world(brain_of(image).nonzero().double()))
    # All of the brain with some room, and no more of the corners that a turned box has.
    low, high = torch.maximum(low, brain.amin(0) - 12), torch.minimum(high, brain.amax(0) + 12)
    matrix = torch.eye(4, dtype=torch.float64) * _OWN_MM
    matrix[:3, 3], matrix[3, 3] = low, 1.0
    grid = Grid(tuple(int(n) for n in ((high - low) / _OWN_MM).ceil().tolist()), matrix)
    values = resample(image, grid, pose.inverse(), mode="bspline").data
    values = values.clamp(float(image.data.min()), float(image.data.max()))
    return _thinned(Image(values, grid, image.name), spacing_mm)


def _noisy(image: Image, generator: torch.Generator) -> Image:
    """With noise of 3 % of the brightest, where there is anything."""
    top = torch.quantile(image.data.flatten()[::7].float(), 0.995)
    noise = NOISE * top * torch.randn(image.data.shape, generator=generator)
    return Image(torch.where(image.data > 0.01 * top, image.data + noise, image.data), image.grid, image.name)


_SCANS = tuple(f"{patient}_{contrast}.nii.gz" for patient in PATIENTS for contrast in CONTRASTS)
_OASIS = tuple(f"oasis/{head}_{what}.nii.gz" for head in HEADS for what in ("T1", "labels"))

# A set is one line here.
SETS: dict[str, PoseSet] = {
    "rigid": PoseSet("two contrasts of a patient, turned and shifted", _SCANS, "rigid", rigid),
    "affine": PoseSet("the same, scaled and sheared too", _SCANS, "affine", affine),
    "same": PoseSet("one contrast of a patient, turned, shifted, scaled and sheared", _SCANS, "affine", same),
    "heads": PoseSet("T1 of two people, one turned and shifted", _OASIS, "affine", heads),
    "upright": PoseSet("T1 of two people as they lie", _OASIS, "affine", upright),
}
