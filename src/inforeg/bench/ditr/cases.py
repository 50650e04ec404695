"""The sets of pairs to register, by name: contrasts and edges of patients that no metric has learnt from."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from inforeg.bench.deformable.anatomy import brain_of
from inforeg.bench.ditr.pairs import CONTRASTS, EDGES, TESTED, in_pose, misaligned, patient
from inforeg.bench.ditr.stains import no_stains, stains_case
from inforeg.bench.drmime.changes import generator_for
from inforeg.bench.keymorph.sets import pose_about
from inforeg.image import Image
from inforeg.transforms import Linear

# Landmarks of a case, as published.
_LANDMARKS = 100
# Blocks of edges that are there or not, and the share that is; how far turned ones are turned and shifted.
_BLOCK_MM, _KEPT = 20.0, 0.4
_TURNS_DEG, _TURNED_SHIFT_MM = (60.0, 90.0, 120.0, 180.0), 15.0


@dataclass(frozen=True, eq=False)
class FreCase:
    """A pair, the transform asked for, its truth (fixed to moving points), and landmarks in the fixed brain."""

    name: str
    kind: str
    fixed: Image
    moving: Image
    truth: Linear
    landmarks_mm: Tensor


@dataclass(frozen=True)
class FreSet:
    """A set: what it is, which metric has learnt for it, what makes case number n, and whether it is of patients."""

    title: str
    metric: str
    make: Callable[[int, Path], FreCase]
    patients: bool = True

    def missing(self, data: Path | None) -> str:
        """Why no case can be made; nothing where one can."""
        if not self.patients:
            return no_stains()
        if data is None:
            return "needs --data, the folder of images"
        names = (f"{name}_{c}.nii.gz" for name in TESTED for c in ("T1", *CONTRASTS))
        gone = [name for name in names if not (data / name).is_file()]
        return f"needs {gone[0]} in {data}" if gone else ""


def _contrasts(kind: str) -> Callable[[int, Path], FreCase]:
    def make(number: int, data: Path) -> FreCase:
        name, contrast = TESTED[number // 2 % 2], CONTRASTS[number % 2]
        fixed, moving = (patient(data, name, c) for c in ("T1", contrast))
        return _moved(f"{Path(name).name} {contrast} to T1", kind, number, fixed, moving, fixed)

    return make


def _edges(change: Callable[[Image, torch.Generator], Image] | None = None) -> Callable[[int, Path], FreCase]:
    def make(number: int, data: Path) -> FreCase:
        name = TESTED[number % 2]
        fixed, moving = (patient(data, name, c) for c in (EDGES, "T2"))
        if change is not None:
            fixed = change(fixed, generator_for("ditr-change", number))
        return _moved(
            f"{Path(name).name} T2 to edges", "rigid", number, fixed, moving, patient(data, name, "T1")
        )

    return make


def turned(number: int, data: Path) -> FreCase:
    """Edges, and T2 turned far about a random axis."""
    name = TESTED[number % 2]
    fixed, moving, seen = (patient(data, name, c) for c in (EDGES, "T2", "T1"))
    angle = _TURNS_DEG[number // 2 % len(_TURNS_DEG)]
    generator = generator_for("ditr-turned", number)
    centre = seen.grid.to_world(brain_of(seen).nonzero().double()).mean(0)
    truth = pose_about(centre, angle, _TURNED_SHIFT_MM, generator, stretch=False)
    return _case(
        f"{Path(name).name} T2 by {angle:.0f} degrees to edges",
        "rigid",
        fixed,
        moving,
        seen,
        truth,
        generator,
    )


def softened(number: int, data: Path) -> FreCase:
    """Edges that were interpolated once, and are no longer 0 and 1, and T2."""
    case = _edges()(number, data)
    turn = misaligned("rigid", case.fixed.grid.centre_mm, generator_for("ditr-softened", number))
    still = patient(data, TESTED[number % 2], "T1")
    return FreCase(
        case.name,
        case.kind,
        in_pose(case.fixed, turn, like=still),
        case.moving,
        Linear(case.truth.matrix @ turn.inverse().matrix),
        turn(case.landmarks_mm),
    )


def shadowed(number: int, data: Path) -> FreCase:
    """Edges, and a T2 with shadows and speckle as ultrasound has them."""
    case = _edges()(number, data)
    generator = generator_for("ditr-shadows", number)
    return FreCase(
        case.name, case.kind, case.fixed, shadows(case.moving, generator), case.truth, case.landmarks_mm
    )


def shadows(image: Image, generator: torch.Generator) -> Image:
    """The image as seen from a point above it: beams that are cut off somewhere, and multiplied by speckle."""
    grid = image.grid
    points = grid.points_mm() - grid.centre_mm
    apex = torch.tensor([0.0, 0.0, float(grid.extent_mm[2])], dtype=torch.float64)
    ray = points - apex
    depth = ray.norm(dim=1)
    across = torch.atan2(ray[:, 0], -ray[:, 2]), torch.atan2(ray[:, 1], -ray[:, 2])
    light = torch.ones(len(points))
    for _ in range(8):
        middle = 0.5 * (2 * torch.rand(2, generator=generator, dtype=torch.float64) - 1)
        wide = 0.06 + 0.08 * float(torch.rand((), generator=generator))
        start = float(
            depth.min() + (0.2 + 0.5 * torch.rand((), generator=generator)) * (depth.max() - depth.min())
        )
        inside = ((across[0] - middle[0]) ** 2 + (across[1] - middle[1]) ** 2).sqrt() < wide
        light[inside & (depth > start)] *= 0.1
    # Rayleigh's distribution with a mean of 1.
    real, imaginary = torch.randn((2, len(points)), generator=generator)
    speckle = 0.8 * (real.square() + imaginary.square()).sqrt()
    shown = image.data * (light * speckle).reshape(1, 1, *grid.shape)
    return Image(shown, grid, image.name)


def partial(image: Image, generator: torch.Generator) -> Image:
    """Edges of which whole blocks of 2 cm are not there."""
    blocks = [
        int(n * float(s) // _BLOCK_MM) + 1
        for n, s in zip(image.grid.shape, image.grid.spacing_mm, strict=True)
    ]
    there = (torch.rand(blocks, generator=generator) < _KEPT).float()
    where = [
        (torch.arange(n) * float(s) / _BLOCK_MM).long()
        for n, s in zip(image.grid.shape, image.grid.spacing_mm, strict=True)
    ]
    return Image(image.data * there[torch.meshgrid(*where, indexing="ij")], image.grid, image.name)


def stained(number: int, data: Path) -> FreCase:
    """The antibody's stain to the nuclei's, of a half of a section that nothing was learnt from."""
    fixed, moving, truth, landmarks = stains_case(number)
    return FreCase("DAB to haematoxylin", "rigid", fixed, moving, truth, landmarks)


def _moved(name: str, kind: str, number: int, fixed: Image, moving: Image, seen: Image) -> FreCase:
    generator = generator_for("ditr-tested", kind, number)
    centre = seen.grid.to_world(brain_of(seen).nonzero().double()).mean(0)
    return _case(name, kind, fixed, moving, seen, misaligned(kind, centre, generator), generator)


def _case(
    name: str, kind: str, fixed: Image, moving: Image, seen: Image, truth: Linear, generator: torch.Generator
) -> FreCase:
    voxels = brain_of(seen).nonzero().double()
    chosen = torch.randint(len(voxels), (_LANDMARKS,), generator=generator)
    landmarks = seen.grid.to_world(voxels[chosen])
    return FreCase(name, kind, fixed, in_pose(moving, truth), truth, landmarks)


# A set is one line here.
SETS: dict[str, FreSet] = {
    "rigid": FreSet("T2 or FLAIR to T1, rigidly misaligned", "dithered", _contrasts("rigid")),
    "affine": FreSet(
        "T2 or FLAIR to T1, misaligned by scales and shears, too", "dithered", _contrasts("affine")
    ),
    "edges": FreSet("T2 to Canny's edges of T1, 0 and 1, one voxel thin", "edges", _edges()),
    "edges-soft": FreSet("T2 to such edges, interpolated once", "edges", softened),
    "edges-part": FreSet(
        "T2 to such edges, of which 60 % are missing in blocks of 2 cm", "edges", _edges(partial)
    ),
    "edges-shadows": FreSet("T2 with shadows and speckle to such edges", "edges", shadowed),
    "stains": FreSet(
        "DAB to haematoxylin of a section, in 2-D, pixels for mm", "stains", stained, patients=False
    ),
    "edges-turned": FreSet("T2 to such edges, turned by 60 to 180 degrees", "edges", turned),
}
