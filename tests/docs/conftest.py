import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from docs.ready import commands
from scipy.spatial.transform import Rotation

SHAPE = (56, 64, 52)
SPACING_MM = 3.0


def ball(points_mm, centre_mm, radii_mm):
    return (((points_mm - np.array(centre_mm)) / np.array(radii_mm)) ** 2).sum(1) < 1


def tissues(points_mm):
    """0 outside, 1 skull, 2 fluid, 3 grey, 4 white at points of a made-up head, narrow in front."""
    x, y, z = points_mm.T
    radius = np.sqrt((x / (62 - 0.14 * y)) ** 2 + (y / 76) ** 2 + (z / np.where(z > 0, 58, 42)) ** 2)
    folds = np.sin(x / 10 + 0.02 * y) * np.sin(y / 12 - z / 30) * np.cos(z / 9 + x / 60)
    label = np.zeros(len(points_mm), dtype=np.int16)
    label[radius < 1.06] = 1
    label[radius < 0.98] = 2
    label[radius < 0.93 + 0.03 * folds] = 3
    label[radius < 0.74 + 0.14 * folds] = 4
    label[ball(points_mm, (0, -44, -34), (40, 26, 18))] = 3
    for side in (-1, 1):
        label[ball(points_mm, (side * 12, 4, 8), (7, 26, 9))] = 2
        label[ball(points_mm, (side * 24, 62, -28), (13, 13, 13))] = 2
    label[ball(points_mm, (30, -25, 15), (9, 12, 10))] = 3
    return label


@pytest.fixture(scope="session")
def sample_pair(tmp_path_factory):
    """A folder with a small T1- and T2-like head, 12 degrees and 9 mm apart, labels and a slice of each."""
    folder = tmp_path_factory.mktemp("sample_pair")
    affine = np.diag([-SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ (np.array(SHAPE) - 1) / 2
    voxels = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1).reshape(-1, 3)
    points_mm = voxels @ affine[:3, :3].T + affine[:3, 3]
    turn = Rotation.from_rotvec(np.deg2rad(12) * np.array([0.36, 0.48, 0.80])).as_matrix()
    noise = np.random.default_rng(0)
    for name, seen_mm, contrast in [
        ("fixed", points_mm, [0, 40, 60, 150, 220]),
        ("moving", (points_mm - [5, -6, 4]) @ turn, [0, 30, 240, 130, 90]),
    ]:
        labels = tissues(seen_mm).reshape(SHAPE)
        values = np.take(np.array(contrast, dtype=np.float32), labels) + noise.normal(0, 4, SHAPE).astype(
            np.float32
        )
        nib.save(nib.Nifti1Image(values, affine), folder / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), folder / f"{name}_labels.nii.gz")
        picture = np.clip(values[:, :, SHAPE[2] // 2], 0, 255).astype(np.uint8)
        sitk.WriteImage(sitk.GetImageFromArray(picture.T), str(folder / f"{name}.png"))
    return folder


@pytest.fixture(scope="session")
def ready(tmp_path_factory):
    """A folder with an `inforeg` that starts at once, where that can be had."""
    if sys.platform != "linux":
        yield None
        return
    with commands(tmp_path_factory.mktemp("ready")) as folder:
        yield folder
