"""Climbing a sampled information by damped Newton steps in the algebra of a linear group."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

import torch
from torch import Tensor

from inforeg.solve.information import Evaluation
from inforeg.transforms import Linear, LinearGroup

Status = Literal["converged", "steps", "diverged", "no_overlap"]


@dataclass
class Climb:
    """Where a climb ended: the transform, its evaluation, why it stopped, and the information after every step.

    `path` holds the transforms that `trace` was measured at.
    """

    transform: Linear
    evaluation: Evaluation
    status: Status
    trace: list[float] = field(default_factory=list)
    path: list[Linear] = field(default_factory=list)


def climb(
    objective: Callable[[Linear], Evaluation],
    start: Linear,
    group: LinearGroup,
    centre_mm: Tensor,
    radius_mm: float,
    *,
    steps: int,
    tolerance_mm: float,
    longest_mm: float,
    value: Callable[[Linear], float] | None = None,
    damping: float = 1e-3,
    least_gain: float = 0.0,
) -> Climb:
    """Levenberg-Marquardt steps `T <- T exp(delta)` until a step moves the rim by less than `tolerance_mm`.

    Steps are taken at the identity of the group, so neither the derivative of the matrix exponential nor a choice of
    chart enters. The objective's curvature is an estimate from above; what slopes have shown along the steps taken so
    far corrects it (BFGS updates), which halves the steps. A step longer than `longest_mm` (at `radius_mm` from the
    centre) is shortened to it. A step that does not gain is taken back and tried again with more damping, so the
    information never falls. Where there is a quicker way to the information alone, `value`, it is asked first whether a
    step gains, and what it says is what counts. The first step is damped by `damping`, as a share of the curvature, and
    a step that promises less than `least_gain` is not taken: there the climb ends, too.
    """

    def look(there: Linear, least: float) -> Evaluation | None:
        """What is told there, if it is more than so much."""
        told = None if value is None else value(there)
        if told is not None and told <= least:
            return None
        found = objective(there)
        found = found if told is None else replace(found, information=told)
        return found if found.information > least else None

    here, status = start, "steps"
    now = look(here, -inf) or objective(here)
    trace, path = [now.information], [here]
    seen: list[tuple[Tensor, Tensor]] = []
    for _ in range(steps):
        if now.overlap <= 0:
            return Climb(here, now, "no_overlap", trace, path)
        curvature = _corrected(now.curvature, seen)
        diagonal = curvature.diagonal().clamp(min=1e-9 * float(curvature.diagonal().max().clamp(min=1e-12)))
        moved = torch.linalg.solve(curvature + torch.diag(damping * diagonal), now.gradient)
        length_mm = float(moved.norm()) * radius_mm
        if not torch.isfinite(moved).all():
            return Climb(here, now, "diverged", trace, path)
        if float(moved @ now.gradient) / 2 < least_gain:
            status = "converged"
            break
        if length_mm > longest_mm:
            moved, length_mm = moved * (longest_mm / length_mm), longest_mm
        there = Linear(here.matrix @ group.exp(moved, centre_mm, radius_mm).matrix)
        then = look(there, now.information)
        if then is not None:
            seen = [*seen[-5:], (moved, now.gradient - then.gradient)]
            here, now = there, then
            trace.append(now.information)
            path.append(here)
            damping = max(damping / 4, 1e-4)
        else:
            damping = max(damping * 8, 1e-2)
        if length_mm < tolerance_mm:
            status = "converged"
            break
        if damping > 1e4:
            status = "converged"
            break
    return Climb(here, now, status, trace, path)  # type: ignore[arg-type]


def _corrected(curvature: Tensor, seen: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The curvature after BFGS updates with pairs of steps and the fall in slope they brought."""
    for step, fall in seen:
        bent, along = curvature @ step, float(fall @ step)
        stiff = float(step @ bent)
        # A fall far beyond or below what the estimate allows is noise of the samples.
        if not 0.1 * stiff < along < 3 * stiff:
            continue
        curvature = curvature + torch.outer(fall, fall) / along - torch.outer(bent, bent) / stiff
    return curvature
