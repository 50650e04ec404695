"""Checkpoints: all that a run needs to go on as if nothing had happened, in one file that is there whole or not."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from inforeg.errors import ReadError, UsageError
from inforeg.io import atomic_path
from inforeg.train.recipe import FILES, RunRecipe
from inforeg.train.task import Objective

NAME = "checkpoint.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Position:
    """How far a run has come: steps done, and the best score so far and where it was."""

    step: int = 0
    best: float | None = None
    best_step: int = 0


def save(
    folder: Path,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    recipe: RunRecipe,
    position: Position,
) -> None:
    """Write the checkpoint of a run into its folder, in place of the one before."""
    tensors = {f"model.{name}": t.detach().cpu().contiguous() for name, t in objective.state_dict().items()}
    for name, parameter in objective.named_parameters():
        state = optimiser.state.get(parameter, {})
        for moment in _MOMENTS:
            if moment in state:
                tensors[f"{moment}.{name}"] = state[moment].detach().cpu().contiguous()
        if "step" in state:
            tensors[f"step.{name}"] = torch.as_tensor(state["step"]).detach().cpu().reshape(1)
    said = {"recipe": recipe.to_dict(), "position": vars(position)}
    with atomic_path(folder / NAME, overwrite=True) as temporary:
        save_file(tensors, temporary, {"inforeg": json.dumps(said)})


def load(folder: Path, objective: Objective, optimiser: torch.optim.Optimizer, recipe: RunRecipe) -> Position:
    """Bring a run to where its checkpoint was written, and say where that is.

    Raises `ReadError` where there is none or it is damaged, `UsageError` where it is of another recipe. How long a run
    lasts, and how often it says what, may differ; what has been done may not.
    """
    path = folder / NAME
    if not path.is_file():
        raise ReadError(
            f"expected a checkpoint to go on from, and there is none in {folder}; start without --resume"
        )
    try:
        with safe_open(path, "pt") as file:
            said: dict[str, Any] = json.loads((file.metadata() or {})["inforeg"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ReadError(f"cannot read the checkpoint {path}: {error}") from None
    mine = recipe.to_dict()
    free = {"log_every", "validate_every", "validation_pairs", *FILES}
    if not recipe.decay:
        free.add("steps")
    other = [name for name in mine if name not in free and mine[name] != said["recipe"].get(name)]
    if other:
        raise UsageError(
            f"the checkpoint in {folder} is of another recipe: {', '.join(other)} differ; give it another folder"
        )
    _restore(objective, optimiser, tensors)
    return Position(**said["position"])


def _restore(objective: Objective, optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    prefix = "model."
    objective.load_state_dict({n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)})
    for name, parameter in objective.named_parameters():
        if f"step.{name}" not in tensors:
            continue
        optimiser.state[parameter] = {
            "step": tensors[f"step.{name}"][0].clone(),
            **{m: tensors[f"{m}.{name}"].to(parameter).clone() for m in _MOMENTS},
        }
