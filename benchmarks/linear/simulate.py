"""Images of the benchmark's cases: sampled once from a source, with noise and bias of their own."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import scipy.io
from geometry import Grid, apply
from scipy import ndimage

# T1, T2, T2* in ms and proton density of BrainWeb's classes 0-9.
TISSUES = {
    "background": (1.0, 1.0, 1.0, 0.0),
    "csf": (2569.0, 329.0, 158.0, 1.0),
    "grey": (833.0, 83.0, 69.0, 0.86),
    "white": (500.0, 70.0, 61.0, 0.77),
    "fat": (350.0, 70.0, 58.0, 1.0),
    "muscle": (900.0, 47.0, 30.0, 1.0),
    "skin": (2569.0, 329.0, 58.0, 1.0),
    "skull": (1.0, 1.0, 1.0, 0.0),
    "glia": (833.0, 83.0, 69.0, 0.86),
    "connective": (500.0, 70.0, 61.0, 0.77),
}


@dataclass(frozen=True)
class Source:
    """An image to sample from: its cubic spline coefficients, and where its voxels lie."""

    coefficients: np.ndarray
    grid: Grid
    outside: str  # what lies beyond the array: "constant" (zero) or "nearest"

    def on(self, grid: Grid, truth: np.ndarray, outside: str | None = None) -> np.ndarray:
        """The source moved by `truth` (source world to this grid's), sampled on the grid by cubic splines."""
        mode = outside or self.outside
        to_source = np.linalg.inv(self.grid.voxel_to_world) @ np.linalg.inv(truth) @ grid.voxel_to_world
        return ndimage.affine_transform(
            self.coefficients,
            to_source[:3, :3],
            to_source[:3, 3],
            grid.shape,
            np.float32,
            3,
            mode,
            0.0,
            False,
        )


@lru_cache(maxsize=4)
def read_source(path: Path, outside: str = "constant") -> Source:
    """Read a NIfTI volume as a source."""
    image = nib.load(path)
    data = np.asarray(image.dataobj, np.float32)
    mode = "mirror" if outside == "constant" else "nearest"
    return Source(ndimage.spline_filter(data, 3, np.float32, mode), Grid(data.shape, image.affine), outside)


def read_mask(path: Path, above: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """World points (n, 3) of every other voxel of a stripped volume: the head, the brain 4 voxels inside."""
    image = nib.load(path)
    mask = np.abs(np.asarray(image.dataobj, np.float32)) > above
    labelled, _ = ndimage.label(mask)
    mask = labelled == np.argmax(np.bincount(labelled.ravel())[1:]) + 1
    inside = ndimage.binary_erosion(ndimage.binary_fill_holes(mask), iterations=4) & mask
    return points_mm(mask, image.affine, 2), points_mm(inside, image.affine, 2)


def points_mm(mask: np.ndarray, voxel_to_world: np.ndarray, every: int) -> np.ndarray:
    """World points (n, 3) of every `every`-th voxel of a mask along each axis."""
    return apply(voxel_to_world, np.argwhere(mask[::every, ::every, ::every]) * float(every))


@lru_cache(maxsize=1)
def brainweb_classes(path: Path) -> np.ndarray:
    """BrainWeb's class map (180, 216, 180), 1 mm, axes to the right, front and top."""
    return scipy.io.loadmat(path)["BRAIN"]


def brainweb_affine() -> np.ndarray:
    """Voxel to world of the class map: 1 mm, the world's origin in its middle."""
    affine = np.eye(4)
    affine[:3, 3] = [-89.5, -107.5, -89.5]
    return affine


@lru_cache(maxsize=4)
def brainweb_source(path: Path, contrast: str, boundary_sigma_mm: float = 0.7) -> Source:
    """The noiseless signal of one contrast, of exactly the same anatomy as every other contrast.

    Signal is a weighted sum of tissue fractions and sampling is linear, so sampling this map on a grid is the
    same as sampling every tissue's fraction map there and summing: each image is interpolated just once.
    """
    signal = np.array([tissue_signal(contrast, *values) for values in TISSUES.values()], np.float32)
    smooth = ndimage.gaussian_filter(signal[brainweb_classes(path)], boundary_sigma_mm, mode="nearest")
    return Source(
        ndimage.spline_filter(smooth, 3, np.float32, "nearest"),
        Grid(smooth.shape, brainweb_affine()),
        "nearest",
    )


def tissue_signal(contrast: str, t1_ms: float, t2_ms: float, t2_star_ms: float, density: float) -> float:
    """Signal of a spoiled gradient echo (T1), a spin echo (PD, T2) or one after inversion (FLAIR)."""
    if contrast == "T1":
        repetition_ms, echo_ms, flip_rad = 18.0, 10.0, np.deg2rad(30.0)
        decay = np.exp(-repetition_ms / t1_ms)
        steady = np.sin(flip_rad) * (1 - decay) / (1 - np.cos(flip_rad) * decay)
        return float(density * steady * np.exp(-echo_ms / t2_star_ms))
    repetition_ms, echo_ms = {"PD": (3300.0, 35.0), "T2": (3300.0, 120.0), "FLAIR": (9000.0, 100.0)}[contrast]
    recovered = 1 - np.exp(-repetition_ms / t1_ms)
    if contrast == "FLAIR":  # inversion time at which fluid (T1 2569 ms) gives no signal
        inversion_ms = 2569.0 * np.log(2 / (1 + np.exp(-repetition_ms / 2569.0)))
        recovered = 1 - 2 * np.exp(-inversion_ms / t1_ms) + np.exp(-repetition_ms / t1_ms)
    return float(density * abs(recovered) * np.exp(-echo_ms / t2_ms))


def with_gaussian_noise(rng: np.random.Generator, data: np.ndarray, fraction: float) -> np.ndarray:
    """Add noise whose sigma is a fraction of the image's 99th percentile."""
    sigma = fraction * np.percentile(data, 99)
    return data + sigma * rng.standard_normal(data.shape, np.float32)


def with_rician_noise(rng: np.random.Generator, data: np.ndarray, fraction: float) -> np.ndarray:
    """Magnitude of the signal with noise in both channels, sigma a fraction of the 99th percentile."""
    sigma = fraction * np.percentile(data, 99)
    real = data + sigma * rng.standard_normal(data.shape, np.float32)
    return np.hypot(real, sigma * rng.standard_normal(data.shape, np.float32))


def with_bias(rng: np.random.Generator, data: np.ndarray, fraction: float) -> np.ndarray:
    """Multiply by a smooth field that spans 1 - fraction/2 .. 1 + fraction/2 over the image."""
    coarse = ndimage.zoom(rng.standard_normal((4, 4, 4)), 6, order=3)
    at = np.stack(np.meshgrid(*[np.linspace(4, 19, n) for n in (24, 24, 24)], indexing="ij"))
    field = ndimage.map_coordinates(coarse, at, order=1)
    field = (field - field.min()) / np.ptp(field) - 0.5
    ratio = [23 / (n - 1) for n in data.shape]
    full = ndimage.affine_transform(field, np.diag(ratio), output_shape=data.shape, order=1, mode="nearest")
    return data * (1 + fraction * full).astype(np.float32)


def save(data: np.ndarray, grid: Grid, path: Path) -> None:
    """Write as 16-bit NIfTI, the 99th percentile at 1000, both its matrices set."""
    scaled = np.round(data * (1000.0 / np.percentile(data, 99)))
    image = nib.Nifti1Image(np.clip(scaled, -32768, 32767).astype(np.int16), grid.voxel_to_world)
    image.set_sform(grid.voxel_to_world, 1)
    image.set_qform(grid.voxel_to_world, 1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
