"""Which recipe trains what."""

from collections.abc import Sequence

import torch

from inforeg.errors import UsageError
from inforeg.train.keypoint_task import KeypointTask
from inforeg.train.prepared import Prepared
from inforeg.train.recipe import Recipe
from inforeg.train.recipes import KeypointRecipe, VelocityRecipe
from inforeg.train.task import Task
from inforeg.train.velocity_task import VelocityTask


def task_of(recipe: Recipe, scans: Sequence[Prepared], device: torch.device) -> Task:
    """The task of a recipe, on prepared scans."""
    if isinstance(recipe, VelocityRecipe):
        return VelocityTask(recipe, scans, device)
    if isinstance(recipe, KeypointRecipe):
        return KeypointTask(recipe, scans, device)
    raise UsageError(f"there is no training for {type(recipe).__name__}")
