"""What a group leaves behind: one folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from inforeg import io
from inforeg._version import __version__
from inforeg.cohort.group import Group
from inforeg.image import Image, normalise, resample, to_scalar

OWNED = ("mean.nii.gz", "members", "result.json")


def save_group(
    group: Group,
    folder: Path,
    inputs: Sequence[Path],
    *,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _line: None,
) -> Path:
    """Write a folder `members/NAME` for each, with its transform and itself in the group's space, the mean of all
    images, and what was found (`result.json`). The folder appears whole or not at all; raises `OutputExists` where it
    is there."""
    io.refuse_inputs(folder, inputs)
    total = torch.zeros((1, 1, *group.grid.shape))
    with io.atomic_folder(folder, overwrite, OWNED) as target:
        for member in group.members:
            place = target / "members" / member.name
            place.mkdir(parents=True)
            io.write_transform(member.transform, place / "transform.h5")
            warped = resample(member.image, group.grid, member.transform)
            io.write_image(warped, place / "warped.nii.gz")
            total += normalise(to_scalar(warped)).data
            say(f"{member.name}: {member.left_mm:.2f} mm between its points and the mean's")
        io.write_image(Image(total / len(group.members), group.grid), target / "mean.nii.gz")
        text = json.dumps(record_of(group, inputs), indent=2)
        (target / "result.json").write_text(text + "\n", encoding="utf-8")
    return folder


def record_of(group: Group, inputs: Sequence[Path]) -> dict[str, object]:
    """The contents of `result.json`."""
    return {
        "inforeg": __version__,
        "transform": group.fit,
        "rounds": group.rounds,
        "mean_points_mm": group.mean_mm.tolist(),
        "weights": group.weights.tolist(),
        "grid": {
            "shape": list(group.grid.shape),
            "voxel_to_world_ras_mm": group.grid.voxel_to_world.tolist(),
        },
        "members": [
            {
                "name": member.name,
                "path": str(path),
                "left_mm": member.left_mm,
                "off_mm": member.points.off_mm,
                "points_ras_mm": member.points.points_mm.tolist(),
                "weights": member.points.weights.tolist(),
            }
            for member, path in zip(group.members, inputs, strict=True)
        ],
        "notes": group.notes,
        "doubts": group.doubts,
    }
