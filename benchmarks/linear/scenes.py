"""How each kind of case is made: where the head lies, what each image sees of it, and in which contrast."""

import zlib
from pathlib import Path

import geometry as geo
import numpy as np
import simulate as sim

ANGLES_DEG = (15, 30, 60, 90, 120, 150, 180)
NOISE = 0.03
BIAS = 0.20

# Subject and contrasts (fixed, moving). Of met00110 only these two: its T1 and its T1 after contrast lie more
# than a millimetre away from the others and from each other.
PAIRS = (
    ("ms/ms07", "T1", "T2"),
    ("ms/ms19", "T2", "FLAIR"),
    ("brats/gli00001", "T1", "FLAIR"),
    ("brats/met00110", "T2", "FLAIR"),
    ("ms/ms07", "FLAIR", "T1"),
    ("ms/ms19", "T1POST", "T1"),
    ("brats/gli00001", "T2", "T1"),
    ("brats/gli00001", "T1", "T1POST"),
)
# Contrasts (fixed, moving) and the angle in degrees; without an angle DITR's small perturbations.
BRAINWEB = (
    ("T1", "T2", None),
    ("T1", "PD", None),
    ("T1", "FLAIR", None),
    ("T2", "FLAIR", None),
    ("PD", "T1", None),
    ("T2", "T1", None),
    ("T1", "T2", 30),
    ("FLAIR", "T1", 90),
    ("PD", "T2", 150),
    ("T2", "T1", 180),
)
TEMPLATES = ("T1", "T2", "PD", "EPI", "PET", "SPECT")


def _rng(*key: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, key)).encode()))


def _jitter(rng: np.random.Generator, largest_rad: float = 0.05) -> np.ndarray:
    """A small rotation, so that no lattice lies along the source's or along another's."""
    return geo.random_rotation(rng, rng.uniform(0.3, 1.0) * largest_rad)


def patient(set_name: str, index: int, data: Path, folder: Path) -> dict:
    """Two contrasts of a skull-stripped patient, the moving one turned and shifted, perhaps one cut."""
    rng = _rng(set_name, index)
    subject, *contrasts = PAIRS[index % len(PAIRS)]
    fixed_path, moving_path = (data / f"{subject}_{name}.nii.gz" for name in contrasts)
    head_mm, brain_mm = sim.read_mask(fixed_path)
    source = sim.read_source(fixed_path)
    notes: dict = {"subject": subject, "contrasts": contrasts}

    if set_name.startswith("ditr"):
        linear, shift_mm = geo.ditr_linear(rng, affine=set_name == "ditr-affine")
        margins_mm = None
    else:
        notes["angle_deg"] = ANGLES_DEG[index % len(ANGLES_DEG)]
        pose = _rng("rotations", index)  # the cut sets have the very poses of the whole one
        linear = geo.random_rotation(pose, np.deg2rad(notes["angle_deg"]))
        shift_mm = pose.uniform(-30, 30, 3)
        margins_mm = rng.uniform(3, 25, (2, 3))
    truth = geo.about(linear, brain_mm.mean(0), shift_mm)
    moved_mm = geo.apply(truth, head_mm)

    cut = set_name.startswith("cut")
    # Half of the slabs lie along the head's own axis, as planned on a scanner; the others along any axis.
    anatomical = cut and index % 2 == 0
    axes = source.grid.voxel_to_world[:3, :3] / np.linalg.norm(source.grid.voxel_to_world[:3, :3], axis=0)
    fixed_axes = _jitter(rng) @ axes
    moving_axes = _jitter(rng) @ (linear if anatomical else np.eye(3)) @ axes
    fixed = _around(rng, source.grid, fixed_axes, head_mm, None)
    moving = _around(rng, source.grid, moving_axes, moved_mm, margins_mm)
    if cut:
        part = 1 / 3 if set_name.endswith("third") else 1 / 2
        low = rng.choice([0.0, 1 - part, rng.uniform(0, 1 - part)])
        axis = 2 if anatomical else int(rng.integers(3))
        notes["cut"] = {"axis": axis, "low": float(low), "high": float(low + part), "anatomical": anatomical}
        if set_name == "cut-fixed":
            fixed = geo.cut(fixed, axis, low, low + part, head_mm)
        else:
            moving = geo.cut(moving, axis, low, low + part, moved_mm)

    landmarks_mm = geo.landmarks_mm(rng, brain_mm, fixed, moving, truth)
    for name, path, grid, matrix in (
        ("fixed", fixed_path, fixed, np.eye(4)),
        ("moving", moving_path, moving, truth),
    ):
        noisy = sim.with_gaussian_noise(rng, sim.read_source(path).on(grid, matrix), NOISE)
        sim.save(noisy, grid, folder / f"{name}.nii.gz")
    return notes | {"matrix": truth.tolist(), "landmarks_mm": landmarks_mm.tolist()}


def _around(
    rng: np.random.Generator,
    source: geo.Grid,
    axes: np.ndarray,
    head_mm: np.ndarray,
    margins_mm: np.ndarray | None,
) -> geo.Grid:
    """A lattice that covers the whole head, so that turning it cuts nothing off.

    It is the head's box and these margins (low and high of each axis); without margins it is the source's
    field of view, enlarged where the head leaves it.
    """
    low, high = geo.box_of(head_mm, axes)
    if margins_mm is None:
        middle = geo.corners_mm(source).mean(0) @ axes
        half = (np.array(source.shape) - 1) / 2 * np.linalg.norm(source.voxel_to_world[:3, :3], axis=0)
        low, high = np.minimum(low - 3, middle - half), np.maximum(high + 3, middle + half)
    else:
        low, high = low - margins_mm[0], high + margins_mm[1]
    return geo.grid_over(rng, axes, 1.0, low, high)


def brainweb(index: int, data: Path, folder: Path) -> dict:
    """Two contrasts of exactly one anatomy, with Rician noise and a bias field each."""
    rng = _rng("brainweb", index)
    path = data / "brainweb" / "MNIbrain.mat"
    *contrasts, angle_deg = BRAINWEB[index]
    if angle_deg is None:
        linear, shift_mm = geo.ditr_linear(rng, affine=False)
    else:
        linear, shift_mm = geo.random_rotation(rng, np.deg2rad(angle_deg)), rng.uniform(-30, 30, 3)
    classes = sim.brainweb_classes(path)
    brain_mm = sim.points_mm(np.isin(classes, (2, 3)), sim.brainweb_affine(), 2)
    truth = geo.about(linear, brain_mm.mean(0), shift_mm)

    # The map ends in the neck. So that this flat cut is not a landmark of its own, both fields of view stay
    # inside the map and follow the head, each with its own borders; for half of the great turns the scanner
    # does not follow, and sees the head whole.
    follows = angle_deg is None or index % 2 == 0
    inside = np.array([89.5, 107.5, 89.5]) - 6.0
    fixed_axes = _jitter(rng, 0.025)
    low, high = -inside + rng.uniform(0, 3, 3), inside - rng.uniform(0, 3, 3)
    fixed = geo.grid_over(rng, fixed_axes, 1.0, low, high)
    if follows:
        jitter = _jitter(rng, 0.025)
        low, high = -inside + rng.uniform(0, 3, 3), inside - rng.uniform(0, 12, 3) * [1, 1, 0]
        grid = geo.grid_over(rng, jitter, 1.0, low, high)
        moving = geo.Grid(grid.shape, truth @ grid.voxel_to_world)  # rigid: the lattice stays orthogonal
    else:
        head_mm = sim.points_mm(classes > 0, sim.brainweb_affine(), 4)
        moving_axes = _jitter(rng)
        low, high = geo.box_of(geo.apply(truth, head_mm), moving_axes)
        moving = geo.grid_over(rng, moving_axes, 1.0, low, high)

    landmarks_mm = geo.landmarks_mm(rng, brain_mm, fixed, moving, truth)
    for name, grid, matrix, contrast, beyond in (
        ("fixed", fixed, np.eye(4), contrasts[0], "nearest"),
        ("moving", moving, truth, contrasts[1], "nearest" if follows else "constant"),
    ):
        clean = sim.brainweb_source(path, contrast).on(grid, matrix, beyond)
        noisy = sim.with_rician_noise(rng, sim.with_bias(rng, clean, BIAS), NOISE)
        sim.save(noisy, grid, folder / f"{name}.nii.gz")
    found = {"matrix": truth.tolist(), "landmarks_mm": landmarks_mm.tolist()}
    return {"contrasts": contrasts, "angle_deg": angle_deg} | found


def templates(contrasts: tuple[str, str], data: Path, folder: Path) -> dict:
    """Two of six contrasts of one head at 2 mm, 20 degrees and 15 mm apart; both fields of view follow it."""
    rng = _rng("templates", *contrasts)
    brain_mm = sim.read_mask(data / "templates" / "labels_Neuromorphometrics.nii.gz")[1]
    direction = rng.normal(size=3)
    shift_mm = 15.0 * direction / np.linalg.norm(direction)
    truth = geo.about(geo.random_rotation(rng, np.deg2rad(20)), brain_mm.mean(0), shift_mm)
    grids = []
    for ride in (np.eye(4), truth):
        low = np.array([-86.0, -122.0, -68.0]) + rng.uniform(0, 6, 3)
        high = np.array([86.0, 86.0, 104.0]) - rng.uniform(0, 6, 3)
        grid = geo.grid_over(rng, _jitter(rng, 0.03), 2.0, low, high)
        grids.append(geo.Grid(grid.shape, ride @ grid.voxel_to_world))
    landmarks_mm = geo.landmarks_mm(rng, brain_mm, grids[0], grids[1], truth)
    for name, contrast, grid, matrix in zip(
        ("fixed", "moving"), contrasts, grids, (np.eye(4), truth), strict=True
    ):
        source = sim.read_source(data / "templates" / f"mni_{contrast}.nii.gz", "nearest")
        sim.save(source.on(grid, matrix), grid, folder / f"{name}.nii.gz")
    found = {"matrix": truth.tolist(), "landmarks_mm": landmarks_mm.tolist()}
    return {"contrasts": list(contrasts), "angle_deg": 20} | found
