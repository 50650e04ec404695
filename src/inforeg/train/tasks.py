"""Which recipe trains what."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from inforeg.errors import UsageError
from inforeg.train.displacement_task import DisplacementTask
from inforeg.train.keypoint_task import KeypointTask
from inforeg.train.listing import Scan
from inforeg.train.patch_task import PatchTask
from inforeg.train.prepared import prepare
from inforeg.train.recipe import Recipe, RunRecipe
from inforeg.train.recipes import DisplacementRecipe, KeypointRecipe, PatchRecipe, VelocityRecipe
from inforeg.train.task import Task
from inforeg.train.velocity_task import VelocityTask

_PREPARED = "prepared"


def make_ready(
    recipe: RunRecipe, scans: Sequence[Scan], folder: Path, say: Callable[[str], None] = lambda _line: None
) -> None:
    """Prepare what a run in that folder will read; patches are cut from images as they are."""
    if isinstance(recipe, Recipe):
        prepare(scans, recipe, folder / _PREPARED, say)


def task_of(recipe: RunRecipe, scans: Sequence[Scan], folder: Path, device: torch.device) -> Task:
    """The task of a recipe, on scans that were made ready."""
    if isinstance(recipe, PatchRecipe):
        return PatchTask(recipe, scans, device)
    if isinstance(recipe, DisplacementRecipe):
        return DisplacementTask(recipe, scans, device)
    if isinstance(recipe, VelocityRecipe | KeypointRecipe):
        prepared = prepare(scans, recipe, folder / _PREPARED)
        make = VelocityTask if isinstance(recipe, VelocityRecipe) else KeypointTask
        return make(recipe, prepared, device)  # type: ignore[arg-type]
    raise UsageError(f"there is no training for {type(recipe).__name__}")
