"""The training loop: one for all networks. Devices, ranks and launchers are Lightning Fabric's."""

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from inforeg._version import __version__
from inforeg.errors import InforegError, OutputExists
from inforeg.io import atomic_path
from inforeg.nets.files import ModelFile, write_model
from inforeg.train import checkpoint
from inforeg.train.checkpoint import Position
from inforeg.train.listing import Scan, read_scans
from inforeg.train.machine import Machine, start
from inforeg.train.recipe import FILES, RunRecipe
from inforeg.train.record import LOG, Record
from inforeg.train.task import Cost, Figures, Task
from inforeg.train.tasks import make_ready, task_of

_log = logging.getLogger("inforeg")

MODEL, RECIPE = "model.safetensors", "recipe.toml"
# One line of the log is too noisy to tell anything by: the mean of so many is looked at.
_LINES = 20
Progress = Callable[[str, float], None]


class Diverged(InforegError):
    """A cost that is no number: nothing that comes after it could be trusted."""


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run came to: its folder, its last validation, and the best one, whose weights the model file has."""

    folder: Path
    steps: int
    last: Figures | None
    best: Position
    warnings: list[str]


def train(
    recipe: RunRecipe,
    folder: Path,
    *,
    resume: bool = False,
    machine: Machine | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] = lambda _line: None,
) -> Trained:
    """Train as a recipe says, into a folder: `model.safetensors` is the best model so far, at any time.

    Beside it are the recipe as it was run, `log.jsonl` (a line for each `log_every` steps and each validation),
    TensorBoard's files where it is installed, `pictures/`, the prepared images, and the checkpoint from which `resume`
    goes on to the same result as if it had never been interrupted. Pair n is the same pair on any number of ranks.

    Raises `OutputExists` where the folder holds a run and `resume` is not given, `Diverged` where the cost is no
    number, `ReadError` and `UsageError` for images, tables and recipes that do not serve.
    """
    fabric = start(machine or Machine())
    if fabric.is_global_zero:
        _claim(folder, resume)
    fabric.barrier()
    scans = read_scans(Path(recipe.images), recipe.seed, recipe.validation, recipe.test)
    # What is tested on is no part of a run: it is not even looked at.
    scans = [scan for scan in scans if scan.split != "test"]
    # The first rank prepares, and all read what it has prepared.
    if fabric.is_global_zero:
        make_ready(recipe, scans, folder, say)
    fabric.barrier()
    task = task_of(recipe, scans, folder, fabric.device)
    optimiser = task.optimiser()
    # A run that was stopped before its first checkpoint begins again.
    there = resume and (folder / checkpoint.NAME).exists()
    position = checkpoint.load(folder, task.objective, optimiser, recipe) if there else Position()
    record = Record(folder, position.step) if fabric.is_global_zero else None
    if fabric.is_global_zero:
        _write_recipe(recipe, folder)
    run = _Run(recipe, folder, fabric, task, optimiser, record, scans, say)
    try:
        return run.go(position, progress)
    finally:
        if record is not None:
            record.close()


class _Run:
    """One run: what its steps share."""

    def __init__(
        self,
        recipe: RunRecipe,
        folder: Path,
        fabric: Any,
        task: Task,
        optimiser: torch.optim.Optimizer,
        record: Record | None,
        scans: list[Scan],
        say: Callable[[str], None],
    ) -> None:
        self.recipe, self.folder, self.fabric, self.task = recipe, folder, fabric, task
        self.record, self.scans, self.say = record, scans, say
        self.optimiser = optimiser
        self.module, self.wrapped = fabric.setup(task.objective, optimiser)
        self.warnings: list[str] = []
        self.sums: dict[str, torch.Tensor] = {}
        self.counted = 0
        self.seen: deque[dict[str, float]] = deque(maxlen=_LINES)

    def go(self, position: Position, progress: Progress | None) -> Trained:
        """All steps that are left."""
        recipe, last = self.recipe, None
        began, pairs = time.perf_counter(), 0
        if position.step == 0:
            self.task.before(0, self.optimiser, self.say)
            last, position = self._validate(position)
        self.task.objective.train()
        for step in range(position.step, recipe.steps):
            if step > 0:
                self.task.before(step, self.optimiser, self.say)
            cost = self._step(step)
            for name, part in cost.parts().items():
                self.sums[name] = self.sums.get(name, 0.0) + part.detach()
            self.counted += 1
            pairs += recipe.batch * self.fabric.world_size
            done = step + 1
            if done % recipe.log_every == 0 or done == recipe.steps:
                self._write_line(done, pairs / (time.perf_counter() - began))
            if progress is not None:
                told = f", {last.in_words()}" if last is not None else ""
                progress(f"step {done} of {recipe.steps}{told}", done / recipe.steps)
            if recipe.pauses_after(done):
                last, position = self._validate(replace(position, step=done))
                self._checkpoint(position)
        return Trained(self.folder, recipe.steps, last, position, self.warnings)

    def _step(self, step: int) -> Cost:
        recipe, fabric = self.recipe, self.fabric
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * recipe.rate_at(step)
        # Which pairs, and what is drawn for each, depends on neither the number of ranks nor what came before.
        first = (step * fabric.world_size + fabric.global_rank) * recipe.batch
        numbers = range(first, first + recipe.batch)
        found: Cost = self.module(*self.task.batch(numbers))
        self.wrapped.zero_grad()
        fabric.backward(found.cost)
        # Before the step, which would spoil the weights. To wait for one number a step costs a device next to nothing.
        if not bool(torch.isfinite(found.cost)):
            raise Diverged(
                f"the cost is no number at step {step + 1}"
                f" ({', '.join(f'{n} {float(p.detach()):.3g}' for n, p in found.parts().items() if n != 'cost')});"
                ' the last checkpoint is kept: lower `rate` or `alpha`, or say precision = "32"'
            )
        if recipe.clip > 0:
            fabric.clip_gradients(self.module, self.wrapped, max_norm=recipe.clip, error_if_nonfinite=False)
        self.wrapped.step()
        return found

    def _write_line(self, done: int, pace: float) -> None:
        names = list(self.sums)
        sums = torch.stack([self.sums[name] for name in names])
        mean = self.fabric.all_reduce(sums / self.counted, reduce_op="mean").tolist()
        self.sums, self.counted = {}, 0
        line = dict(zip(names, mean, strict=True))
        if self.record is not None:
            self.record.write(done, {**line, "pairs_per_s": round(pace, 3)})
        self.seen.append(line)
        if len(self.seen) == _LINES:
            lately = {name: sum(each[name] for each in self.seen) / _LINES for name in names}
            self._warn(self.task.doubts(done, lately))

    def _validate(self, position: Position) -> tuple[Figures | None, Position]:
        """Figures, warnings and pictures, by the first rank; the model file where it is the best so far."""
        held = self.task.holds_back
        if self.record is None or not held:
            if self.record is not None and not held:
                write_model(self._model(position, None), self.folder / MODEL, overwrite=True)
            self.fabric.barrier()
            return None, position
        figures, picture = self.task.validate()
        self.record.write(position.step, {"validation": figures.to_dict()})
        self.record.picture(position.step, picture)
        self._warn(figures.doubts(position.step, self.recipe.steps))
        if position.best is None or figures.score >= position.best:
            position = replace(position, best=figures.score, best_step=position.step)
            write_model(self._model(position, figures), self.folder / MODEL, overwrite=True)
        self.fabric.barrier()
        return figures, position

    def _model(self, position: Position, figures: Figures | None) -> ModelFile:
        return ModelFile(self.task.objective.kept, self.recipe.canonical, self._card(position, figures))

    def _card(self, position: Position, figures: Figures | None) -> dict[str, Any]:
        """What a user of the model may ask."""
        recipe = self.recipe
        learnt = [scan for scan in self.scans if scan.split == "train"]
        device = self.fabric.device
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "summary": f"{recipe.ndim}-D, {self.task.summary}, {recipe.canonical.spacing_mm:g} mm",
            "data": {
                "subjects": len({scan.subject for scan in learnt}),
                "images": sum(scan.image is not None for scan in learnt),
                "label_maps": sum(scan.labels is not None for scan in learnt),
            },
            "licence": recipe.licence,
            "notes": recipe.notes,
            "recipe": {k: v for k, v in recipe.to_dict().items() if k not in FILES},
            "steps": position.best_step,
            "pairs": position.best_step * recipe.batch * self.fabric.world_size,
            "machine": f"{self.fabric.world_size} x {kind}",
            "versions": {"inforeg": __version__, "torch": torch.__version__.split("+")[0]},
            "validation": None if figures is None else figures.to_dict(),
        }

    def _checkpoint(self, position: Position) -> None:
        if self.record is not None:
            self.record.flush()
            checkpoint.save(self.folder, self.task.objective, self.optimiser, self.recipe, position)
        self.fabric.barrier()

    def _warn(self, doubts: dict[str, str]) -> None:
        # Once of each kind is enough to act on; the log has all figures.
        for kind, line in doubts.items():
            if self.record is not None and not any(w.startswith(kind) for w in self.warnings):
                self.warnings.append(f"{kind}: {line}")
                _log.warning("%s", line)


def _claim(folder: Path, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"expected a folder for the run, and {folder} is a file; give another name")
    begun = (folder / RECIPE).exists() or (folder / MODEL).exists()
    if begun and not resume:
        raise OutputExists(f"{folder} holds a run already: go on with it (--resume), or give another folder")
    folder.mkdir(parents=True, exist_ok=True)


def _write_recipe(recipe: RunRecipe, folder: Path) -> None:
    with atomic_path(folder / RECIPE, overwrite=True) as temporary:
        temporary.write_text(recipe.to_toml(), encoding="utf-8")


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (Path(folder) / LOG).read_text(encoding="utf-8").splitlines()]
