"""Climbing an information that is only ever seen through fresh samples: no step can be taken back."""

from collections.abc import Callable

import torch
from torch import Tensor

from inforeg.solve.information import Evaluation
from inforeg.solve.newton import Climb, Status
from inforeg.transforms import Linear, LinearGroup

_DAMPING = 0.05
_FASTEST = 6.0
# Steps that are looked back on, and the share of their length that random ones would lead away, about.
_LAST, _TOGETHER = 8, 0.33


def ascend(
    look: Callable[[Linear], Evaluation],
    start: Linear,
    group: LinearGroup,
    centre_mm: Tensor,
    radius_mm: float,
    *,
    steps: int,
    tolerance_mm: float,
    longest_mm: float,
    averaged: int = 1,
) -> Climb:
    """Damped Newton steps `T <- T exp(delta)`, every one from new samples, until two in a row are short.

    Far from the top the curvature is an estimate from above, and steps go on in one direction: while they do, they
    are lengthened, up to six times, and shortened again as soon as they turn. No step is longer than `longest_mm`
    (at `radius_mm` from the centre). The climb ends after two steps shorter than `tolerance_mm` (before lengthening),
    or when the last few cancel one another, which is the noise of the samples. With `averaged` above one all steps are
    taken, and the transform returned is the mean of the last so many, which leaves the noise of single draws out.
    """
    here, gain, before = start, 1.0, None
    short = 0
    status: Status = "steps"
    trace: list[float] = []
    path: list[Linear] = []
    taken: list[Tensor] = []
    now = Evaluation(0.0, torch.zeros(group.size), torch.eye(group.size), 0.0)
    for _ in range(steps):
        now = look(here)
        trace.append(now.information)
        path.append(here)
        if now.overlap <= 0:
            return Climb(here, now, "no_overlap", trace, path)
        diagonal = now.curvature.diagonal()
        ridge = _DAMPING * diagonal + 1e-9 * diagonal.max().clamp(min=1e-12)
        moved = torch.linalg.solve(now.curvature + torch.diag(ridge), now.gradient)
        if not torch.isfinite(moved).all():
            return Climb(here, now, "diverged", trace, path)
        length_mm = float(moved.norm()) * radius_mm
        if before is not None:
            turn = float(moved @ before) / max(float(moved.norm() * before.norm()), 1e-12)
            if turn > 0.6:
                gain = min(1.4 * gain, _FASTEST)
            elif turn < 0.2:
                gain = max(0.7 * gain, 1.0)
        before = moved
        step = moved * min(gain, longest_mm / max(length_mm, 1e-12))
        taken.append(step)
        here = Linear(here.matrix @ group.exp(step, centre_mm, radius_mm).matrix)
        short = short + 1 if length_mm < tolerance_mm else 0
        if averaged == 1 and (short >= 2 or _astray(taken)):
            status = "converged"
            break
    if averaged > 1 and taken:
        # Small steps add up, so the mean of where they led is one step of the group from the first of them.
        last = taken[-averaged:]
        mean = torch.stack(last).cumsum(0).mean(0)
        here = Linear(path[-len(last)].matrix @ group.exp(mean, centre_mm, radius_mm).matrix)
        status = "converged"
    return Climb(here, now, status, trace, path)


def _astray(taken: list[Tensor]) -> bool:
    """Whether the last steps lead nowhere together."""
    last = torch.stack(taken[-_LAST:])
    return len(last) == _LAST and float(last.sum(0).norm()) < _TOGETHER * float(last.norm(dim=1).sum())
