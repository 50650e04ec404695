"""The model that ships: what it is trained on, and how."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inforeg.errors import UsageError
from inforeg.io import atomic_path
from inforeg.nets import KeypointNetSettings
from inforeg.train.loop import MODEL, RECIPE, train
from inforeg.train.machine import Machine
from inforeg.train.recipes import KeypointRecipe

HEADS, VALIDATION = range(1, 21), (5, 10, 15, 20)
# Of SynthSeg's maps: what is outside the brain, and the fluid around it, which masks of brains may leave out, too.
_OUTSIDE = (502, 506, 507, 508, 509, 511, 512, 514, 515, 516, 530)
_FLUID = 24
_CONTRASTS = ("T1", "T2", "FLAIR", "PD", "random")
STEPS, ANCHORED = 15_000, 9_500


def recipe_of(table: Path, steps: int = STEPS, **changes: Any) -> KeypointRecipe:
    """The recipe of `brain-keypoints`; of fewer steps, the same share of them is anchored."""
    values: dict[str, Any] = {
        "images": str(table),
        "shape": (64, 64, 64),
        "spacing_mm": 3.5,
        "fixed": _CONTRASTS,
        "moving": _CONTRASTS,
        "one_subject": 0.6,
        "numbering": "freesurfer",
        "hidden": (_OUTSIDE, (_FLUID, *_OUTSIDE)),
        "jitter": 0.15,
        "texture": 0.06,
        "warp_mm": 3.0,
        "shading": 0.2,
        "noise": 0.04,
        "shift_mm": 25.0,
        "alpha": 0.0,
        "label_weight": 1.0,
        "structures": 8,
        "ramp": 500,
        "anchored": ANCHORED * steps // STEPS,
        "steps": steps,
        "warm_up": 100,
        "log_every": 20,
        "validate_every": min(500, steps),
        "validation_pairs": 24,
        "net": KeypointNetSettings(
            keypoints=64, widths=(32, 32, 64, 64, 128, 128, 128, 128), halvings=2, packed=2
        ),
        "licence": "Apache-2.0",
        "notes": "Synthetic contrasts (T1, T2, FLAIR, PD, random), with and without skull, painted from 16 label maps"
        " of the SynthSeg training set (Billot et al., Medical Image Analysis 2023; Apache-2.0); 4 more to validate on."
        " No scan was used.",
    }
    return KeypointRecipe(**{**values, **changes})


def write_table(data: Path, path: Path) -> None:
    """The table of SynthSeg's label maps. Raises `UsageError` where one is missing."""
    rows = []
    for number in HEADS:
        labels = data.resolve() / "synthseg" / f"training_seg_{number:02d}.nii.gz"
        if not labels.is_file():
            raise UsageError(f"--train needs synthseg/{labels.name} in {data}")
        rows.append((f"h{number:02d}", str(labels), "validation" if number in VALIDATION else "train"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path, overwrite=True) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([("subject", "labels", "split"), *rows])


def train_model(
    data: Path, output: Path, steps: int, threads: int, say: Callable[[str], None], **changes: Any
) -> Path:
    """Train `brain-keypoints` into a folder, or go on with it; the model's file."""
    table, folder = output / "heads.csv", output / "brain-keypoints"
    write_table(data, table)
    train(
        recipe_of(table, steps, **changes),
        folder,
        resume=(folder / RECIPE).exists(),
        machine=Machine("auto", threads=threads),
        say=say,
    )
    return folder / MODEL
