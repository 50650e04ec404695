"""The training loop: one for all networks. Devices, ranks and launchers are Lightning Fabric's."""

import json
import logging
import math
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
from inforeg.metrics import DonskerVaradhan
from inforeg.nets.files import ModelFile, write_model
from inforeg.train import checkpoint
from inforeg.train.checkpoint import Position
from inforeg.train.listing import read_scans
from inforeg.train.machine import Machine, start
from inforeg.train.objective import Cost, Objective
from inforeg.train.pairs import Drawn, PairSource, seeded
from inforeg.train.prepared import Prepared, prepare
from inforeg.train.recipe import Recipe
from inforeg.train.record import LOG, Record
from inforeg.train.validate import Figures, validate

_log = logging.getLogger("inforeg")

MODEL, RECIPE = "model.safetensors", "recipe.toml"
# A bound on information below this many nats, a quarter of the run in, says that a learnt metric has seen nothing.
_NOTHING = 0.002
# A network that moves things by less than this many voxels by then has learnt nothing.
_STILL = 0.2
# Over so many lines of the log.
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
    recipe: Recipe,
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
    scans = _prepare(fabric, recipe, folder, say)
    device = fabric.device
    source = PairSource(scans, recipe, "train", device)
    held = _held_back(scans, recipe, device)
    objective = Objective(recipe).to(device)
    optimiser = objective.optimiser()
    # A run that was stopped before its first checkpoint begins again.
    there = resume and (folder / checkpoint.NAME).exists()
    position = checkpoint.load(folder, objective, optimiser, recipe) if there else Position()
    record = Record(folder, position.step) if fabric.is_global_zero else None
    if fabric.is_global_zero:
        _write_recipe(recipe, folder)
    run = _Run(recipe, folder, fabric, objective, optimiser, source, held, record, scans)
    try:
        return run.go(position, progress)
    finally:
        if record is not None:
            record.close()


class _Run:
    """One run: what its steps share."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        fabric: Any,
        objective: Objective,
        optimiser: torch.optim.Optimizer,
        source: PairSource,
        held: list[Drawn],
        record: Record | None,
        scans: list[Prepared],
    ) -> None:
        self.recipe, self.folder, self.fabric = recipe, folder, fabric
        self.objective, self.source, self.held = objective, source, held
        self.record, self.scans = record, scans
        self.optimiser = optimiser
        self.module, self.wrapped = fabric.setup(objective, optimiser)
        self.warnings: list[str] = []
        self.sums = torch.zeros(4, device=fabric.device)
        self.counted = 0
        self.seen: deque[float] = deque(maxlen=_LINES)

    def go(self, position: Position, progress: Progress | None) -> Trained:
        """All steps that are left."""
        recipe, last = self.recipe, None
        began, pairs = time.perf_counter(), 0
        if position.step == 0:
            self._lead()
            last, position = self._validate(position)
        self.objective.train()
        for step in range(position.step, recipe.steps):
            cost = self._step(step)
            self.sums += torch.stack([part.detach() for part in cost])
            self.counted += 1
            pairs += recipe.batch * self.fabric.world_size
            done = step + 1
            if done % recipe.log_every == 0 or done == recipe.steps:
                self._write_line(done, pairs / (time.perf_counter() - began))
            if progress is not None:
                progress(f"step {done} of {recipe.steps}{_in_words(last)}", done / recipe.steps)
            if done % recipe.validate_every == 0 or done == recipe.steps:
                last, position = self._validate(replace(position, step=done))
                self._checkpoint(position)
        return Trained(self.folder, recipe.steps, last, position, self.warnings)

    def _lead(self) -> None:
        """The head start. Every rank takes the same steps on the same pairs, by itself."""
        drawn = ((number, self.source.draw(number)) for number in range(self.recipe.head_start))
        seed, device = self.recipe.seed, self.fabric.device
        self.objective.lead((p.fixed, p.moving, seeded(seed, 8, n, device=device)) for n, p in drawn)

    def _step(self, step: int) -> Cost:
        recipe, fabric = self.recipe, self.fabric
        for group in self.optimiser.param_groups:
            group["lr"] = group["base"] * _rate(step, recipe)
        # Which pairs, and what is drawn for each, depends on neither the number of ranks nor what came before.
        first = (step * fabric.world_size + fabric.global_rank) * recipe.batch
        numbers = range(first, first + recipe.batch)
        drawn = [self.source.draw(number) for number in numbers]
        generators = [seeded(recipe.seed, 7, number, device=fabric.device) for number in numbers]
        fixed = torch.stack([pair.fixed for pair in drawn])
        moving = torch.stack([pair.moving for pair in drawn])
        shares = [torch.stack(side) for side in zip(*[p.shares for p in drawn if p.shares], strict=True)]
        found: Cost = self.module(fixed, moving, generators, tuple(shares) or None)
        self.wrapped.zero_grad()
        fabric.backward(found.cost)
        # Before the step, which would spoil the weights. To wait for one number a step costs a device next to nothing.
        if not bool(torch.isfinite(found.cost)):
            raise Diverged(
                f"the cost is no number at step {step + 1} (metric {float(found.metric.detach()):.3g}, prior"
                f" {float(found.prior.detach()):.3g}); the last checkpoint is kept: lower `rate` or `alpha`, or say"
                ' precision = "32"'
            )
        if recipe.clip > 0:
            fabric.clip_gradients(self.module, self.wrapped, max_norm=recipe.clip, error_if_nonfinite=False)
        self.wrapped.step()
        return found

    def _write_line(self, done: int, pace: float) -> None:
        fabric = self.fabric
        mean = fabric.all_reduce(self.sums / self.counted, reduce_op="mean").tolist()
        self.sums.zero_()
        self.counted = 0
        if self.record is not None:
            line = {"cost": mean[0], "metric": mean[1], "prior": mean[2], "pairs_per_s": round(pace, 3)}
            self.record.write(done, line | ({"overlap": mean[3]} if self.recipe.label_weight > 0 else {}))
        # One line is too noisy to tell.
        self.seen.append(-mean[1])
        known = sum(self.seen) / len(self.seen)
        learnt = isinstance(self.objective.metric, DonskerVaradhan)
        if learnt and done >= self.recipe.steps // 4 and len(self.seen) == _LINES and known < _NOTHING:
            self._warn(
                "collapse",
                f"step {done}: the learnt metric finds {known:.3f} nats, next to nothing: are the images aligned at"
                " the start, and is metric_rate high enough?",
            )

    def _validate(self, position: Position) -> tuple[Figures | None, Position]:
        """Figures, warnings and pictures, by the first rank; the model file where it is the best so far."""
        if self.record is None or not self.held:
            if self.record is not None and not self.held:
                write_model(self._model(position, None), self.folder / MODEL, overwrite=True)
            self.fabric.barrier()
            return None, position
        figures, picture = validate(self.objective, self.held)
        self.record.write(position.step, {"validation": figures.to_dict()})
        self.record.picture(position.step, picture)
        if figures.folds:
            self._warn(
                "folds",
                f"step {position.step}: {figures.folds} voxels fold on {len(self.held)} validation pairs (least"
                f" determinant {figures.least:.2f}): lower alpha, or raise smoothness",
            )
        late = position.step >= max(self.recipe.steps // 4, 100)
        if late and figures.moved_voxels < _STILL:
            self._warn(
                "still",
                f"step {position.step}: the network moves pairs to validate on by {figures.moved_voxels:.2f} voxels,"
                " next to nothing: raise warm_up, lower rate, or raise alpha",
            )
        if position.best is None or figures.score >= position.best:
            position = replace(position, best=figures.score, best_step=position.step)
            write_model(self._model(position, figures), self.folder / MODEL, overwrite=True)
        self.fabric.barrier()
        return figures, position

    def _model(self, position: Position, figures: Figures | None) -> ModelFile:
        return ModelFile(self.objective.net, self.recipe.canonical, self._card(position, figures))

    def _card(self, position: Position, figures: Figures | None) -> dict[str, Any]:
        """What a user of the model may ask."""
        recipe = self.recipe
        learnt = [scan for scan in self.scans if scan.split == "train"]
        contrasts = f"{'/'.join(self.source.fixed)} and {'/'.join(self.source.moving)}"
        device = self.fabric.device
        kind = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        return {
            "summary": f"{len(recipe.shape)}-D, {contrasts}, {recipe.metric}, {recipe.spacing_mm:g} mm",
            "data": {
                "subjects": len({scan.subject for scan in learnt}),
                "images": sum(scan.image is not None for scan in learnt),
                "label_maps": sum(scan.labels is not None for scan in learnt),
            },
            "licence": recipe.licence,
            "notes": recipe.notes,
            "recipe": {k: v for k, v in recipe.to_dict().items() if k not in ("images", "reference")},
            "steps": position.best_step,
            "pairs": position.best_step * recipe.batch * self.fabric.world_size,
            "machine": f"{self.fabric.world_size} x {kind}",
            "versions": {"inforeg": __version__, "torch": torch.__version__.split("+")[0]},
            "validation": None if figures is None else {"pairs": len(self.held), **figures.to_dict()},
        }

    def _checkpoint(self, position: Position) -> None:
        if self.record is not None:
            self.record.flush()
            checkpoint.save(self.folder, self.objective, self.optimiser, self.recipe, position)
        self.fabric.barrier()

    def _warn(self, kind: str, line: str) -> None:
        # Once of each kind is enough to act on; the log has all figures.
        if self.record is not None and not any(w.startswith(kind) for w in self.warnings):
            self.warnings.append(f"{kind}: {line}")
            _log.warning("%s", line)


def _prepare(fabric: Any, recipe: Recipe, folder: Path, say: Callable[[str], None]) -> list[Prepared]:
    scans = read_scans(Path(recipe.images), recipe.seed, recipe.validation, recipe.test)
    # What is tested on is no part of a run: it is not even looked at.
    scans = [scan for scan in scans if scan.split != "test"]
    # The first rank prepares, and the others read what it has prepared.
    if fabric.is_global_zero:
        prepare(scans, recipe, folder / "prepared", say)
    fabric.barrier()
    return prepare(scans, recipe, folder / "prepared")


def _held_back(scans: list[Prepared], recipe: Recipe, device: torch.device) -> list[Drawn]:
    """The pairs to validate on; none where no subject was held back for it."""
    if not any(scan.split == "validation" for scan in scans):
        return []
    source = PairSource(scans, recipe, "validation", device)
    found: dict[str, Drawn] = {}
    # The first pairs that differ, as far as there are as many.
    for number in range(20 * recipe.validation_pairs):
        pair = source.draw(number, plain=True)
        found.setdefault(pair.name, replace(pair, shares=None))
        if len(found) == recipe.validation_pairs:
            break
    return list(found.values())


def _rate(step: int, recipe: Recipe) -> float:
    rise = min(1.0, (step + 1) / (recipe.warm_up + 1))
    return rise * (0.5 * (1 + math.cos(math.pi * step / recipe.steps)) if recipe.decay else 1.0)


def _claim(folder: Path, resume: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputExists(f"expected a folder for the run, and {folder} is a file; give another name")
    begun = (folder / RECIPE).exists() or (folder / MODEL).exists()
    if begun and not resume:
        raise OutputExists(f"{folder} holds a run already: go on with it (--resume), or give another folder")
    folder.mkdir(parents=True, exist_ok=True)


def _write_recipe(recipe: Recipe, folder: Path) -> None:
    with atomic_path(folder / RECIPE, overwrite=True) as temporary:
        temporary.write_text(recipe.to_toml(), encoding="utf-8")


def _in_words(figures: Figures | None) -> str:
    if figures is None:
        return ""
    if figures.dice is not None:
        return f", Dice {figures.dice_before:.3f} to {figures.dice:.3f}"
    return f", NMI {figures.nmi_before:.3f} to {figures.nmi:.3f}"


def read_log(folder: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's log."""
    return [json.loads(line) for line in (Path(folder) / LOG).read_text(encoding="utf-8").splitlines()]
