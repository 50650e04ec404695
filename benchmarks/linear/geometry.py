"""Truths, grids and landmarks of the benchmark's cases, with numpy alone.

World is RAS+ mm. A truth is a homogeneous matrix that takes fixed world points to moving world points.
Nothing here imports inforeg: what judges the library must not share its mistakes.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """A voxel lattice: how many voxels, and where they lie in RAS+ mm."""

    shape: tuple[int, ...]
    voxel_to_world: np.ndarray

    def contains(self, points_mm: np.ndarray, margin_mm: float = 0.0) -> np.ndarray:
        """Which world points lie inside, at least `margin_mm` from the outermost voxel centres."""
        spacing_mm = np.linalg.norm(self.voxel_to_world[:3, :3], axis=0)
        voxels = apply(np.linalg.inv(self.voxel_to_world), points_mm)
        margin = margin_mm / spacing_mm
        return np.all((voxels >= margin) & (voxels <= np.array(self.shape) - 1 - margin), axis=1)


def apply(matrix: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Apply a homogeneous matrix to points (n, d)."""
    d = points_mm.shape[1]
    return points_mm @ matrix[:d, :d].T + matrix[:d, d]


def about(linear: np.ndarray, centre_mm: np.ndarray, shift_mm: np.ndarray) -> np.ndarray:
    """The matrix of x -> linear (x - centre) + centre + shift."""
    matrix = np.eye(len(centre_mm) + 1)
    matrix[:-1, :-1] = linear
    matrix[:-1, -1] = centre_mm + shift_mm - linear @ centre_mm
    return matrix


def axis_rotation(axis: np.ndarray, angle_rad: float) -> np.ndarray:
    """The rotation by an angle about an axis (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross


def random_rotation(rng: np.random.Generator, angle_rad: float) -> np.ndarray:
    """A rotation by this angle about an axis drawn evenly from the sphere."""
    return axis_rotation(rng.normal(size=3), angle_rad)


def ditr_linear(rng: np.random.Generator, affine: bool) -> tuple[np.ndarray, np.ndarray]:
    """DITR's perturbations: the linear part (3, 3) and the translation (3,) in mm.

    Per axis 1-25 mm and 0.01-0.15 rad with random sign; affine also scales 0.95-1.05 and shears within 0.01.
    """
    signs = rng.choice([-1.0, 1.0], size=(2, 3))
    shift_mm = signs[0] * rng.uniform(1, 25, 3)
    angles_rad = signs[1] * rng.uniform(0.01, 0.15, 3)
    rx, ry, rz = (axis_rotation(np.eye(3)[i], angles_rad[i]) for i in range(3))
    linear = rz @ ry @ rx
    if affine:
        shear = np.eye(3)
        shear[np.triu_indices(3, 1)] = rng.uniform(-0.01, 0.01, 3)
        linear = linear @ shear @ np.diag(rng.uniform(0.95, 1.05, 3))
    return linear, shift_mm


def grid_over(
    rng: np.random.Generator, axes: np.ndarray, spacing_mm: float, low_mm: np.ndarray, high_mm: np.ndarray
) -> Grid:
    """A lattice along `axes` (columns) over the box low..high, given in the axes' own coordinates.

    The lattice starts at a random fraction of a voxel, so no two lattices coincide.
    """
    start_mm = low_mm + rng.uniform(-0.5, 0.5, 3) * spacing_mm
    shape = np.maximum(np.ceil((high_mm - low_mm) / spacing_mm).astype(int), 1)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = axes @ start_mm
    return Grid(tuple(int(n) for n in shape), affine)


def box_of(points_mm: np.ndarray, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest coordinates of the points along `axes` (columns)."""
    along = points_mm @ axes
    return along.min(0), along.max(0)


def cut(grid: Grid, axis: int, low: float, high: float, points_mm: np.ndarray) -> Grid:
    """Crop the lattice's array along one axis to the part low..high (0..1) of what the points span on it."""
    voxels = apply(np.linalg.inv(grid.voxel_to_world), points_mm)[:, axis]
    span = voxels.max() - voxels.min()
    first = max(int(np.floor(voxels.min() + low * span)), 0)
    last = min(int(np.ceil(voxels.min() + high * span)), grid.shape[axis] - 1)
    if low <= 0.0:  # an end slab keeps the air beyond the head, as a scanner's would
        first = 0
    if high >= 1.0:
        last = grid.shape[axis] - 1
    shape = list(grid.shape)
    shape[axis] = last - first + 1
    shift = np.eye(4)
    shift[axis, 3] = first
    return Grid(tuple(shape), grid.voxel_to_world @ shift)


def corners_mm(grid: Grid) -> np.ndarray:
    """World positions (8, 3) of the outermost voxel centres."""
    ends = np.stack(np.meshgrid(*[[0, n - 1] for n in grid.shape], indexing="ij"), -1).reshape(-1, 3)
    return apply(grid.voxel_to_world, ends.astype(float))


def landmarks_mm(
    rng: np.random.Generator,
    brain_mm: np.ndarray,
    fixed: Grid,
    moving: Grid,
    truth: np.ndarray,
    count: int = 100,
) -> np.ndarray:
    """Draw fixed landmarks from the brain that both lattices see, 2 mm or more from their borders."""
    seen = fixed.contains(brain_mm, 2.0) & moving.contains(apply(truth, brain_mm), 2.0)
    if seen.sum() < 20 * count:
        raise ValueError(
            f"expected {20 * count} or more brain points that both images see, found {seen.sum()}"
        )
    return rng.choice(brain_mm[seen], count, replace=False)
