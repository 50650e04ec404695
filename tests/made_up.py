"""Small 2-D images of made-up subjects, and recipes that train on them in seconds."""

import pytest

from inforeg.train.made_up import write_example
from inforeg.train.recipes import KeypointRecipe, VelocityRecipe

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
