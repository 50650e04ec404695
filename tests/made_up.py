"""Small 2-D images of made-up subjects, and recipes that train on them in seconds."""

import pytest
import torch

from inforeg.image import Image
from inforeg.io import read_image, write_image
from inforeg.space import Grid
from inforeg.train.made_up import write_example
from inforeg.train.recipes import KeypointRecipe, PatchRecipe, VelocityRecipe
from inforeg.transforms import group

WIDTHS = {"encoder": (8, 16, 16), "decoder": (16, 16, 16), "extra": (16, 8)}


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    """Six subjects at 4 mm, T1, T2 and labels of each."""
    folder = tmp_path_factory.mktemp("made_up")
    write_example(folder, 6, spacing_mm=4.0, bent_mm=3.0)
    return folder


def recipe(folder, **changes):
    """A recipe for these images: a network of few weights that sees 48 x 64 pixels of 4 mm."""
    values = {
        "images": str(folder),
        "start": "header",
        "shape": (48, 64),
        "spacing_mm": 4.0,
        "fixed": ("T1",),
        "moving": ("T2",),
        "net": WIDTHS,
        "metric": "mine",
        "synthetic": 0.0,
        "steps": 8,
        "head_start": 5,
        "validate_every": 4,
        "validation_pairs": 2,
        "log_every": 2,
        "precision": "32",
        "seed": 3,
    }
    return VelocityRecipe(**{**values, **changes})


def points_recipe(folder, **changes):
    """A recipe for keypoints of these images, turned by up to 30 degrees."""
    values = {
        "images": str(folder),
        "start": "header",
        "shape": (64, 64),
        "spacing_mm": 4.0,
        "fixed": ("T1", "T2"),
        "moving": ("T1", "T2"),
        "net": {"keypoints": 12, "widths": (16, 16, 32, 32, 32)},
        "synthetic": 0.0,
        "rotation_deg": 30.0,
        "ramp": 50,
        "steps": 8,
        "anchored": 6,
        "validate_every": 4,
        "validation_pairs": 4,
        "log_every": 2,
        "precision": "32",
        "seed": 3,
    }
    return KeypointRecipe(**{**values, **changes})


def misaligned(folder, target, shift_mm=12.0, turn_rad=0.15, seed=0):
    """These images again, each T2 rigidly misaligned in its header; the truths (T1 to T2 points) by subject."""
    truths = {}
    for number, path in enumerate(sorted(folder.glob("*_T1.nii.gz"))):
        subject = path.name.removesuffix("_T1.nii.gz")
        fixed, moving = read_image(path), read_image(folder / f"{subject}_T2.nii.gz")
        generator = torch.Generator().manual_seed(100 * seed + number)
        drawn = 2 * torch.rand(3, generator=generator, dtype=torch.float64) - 1
        step = drawn * torch.tensor([shift_mm, shift_mm, turn_rad], dtype=torch.float64)
        truths[subject] = group("rigid", 2).exp(step, torch.zeros(2, dtype=torch.float64), 1.0)
        there = Grid(moving.grid.shape, truths[subject].matrix @ moving.grid.voxel_to_world)
        write_image(fixed, target / path.name, overwrite=True)
        write_image(Image(moving.data, there, "T2"), target / f"{subject}_T2.nii.gz", overwrite=True)
    return truths


def patch_recipe(folder, **changes):
    """A recipe for a metric of such pairs: two networks of few weights."""
    values = {
        "images": str(folder),
        "ndim_of_images": 2,
        "spacing_mm": 2.0,
        "stages": ((2, 64.0), (1, 0.0)),
        "fixed": ("T1",),
        "moving": ("T2",),
        "widths": (8, 16, 16, 16),
        "places": 100,
        "patches": 8,
        "batch": 2,
        "steps": 8,
        "validate_every": 2,
        "validation_pairs": 2,
        "log_every": 2,
        "precision": "32",
        "rate": 2e-3,
        "seed": 3,
    }
    return PatchRecipe(**{**values, **changes})
