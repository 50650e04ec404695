"""First-order descent for objectives that are noisy or have weights of their own."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from inforeg.solve.newton import Status
from inforeg.transforms import Transform


def minimise(
    unknowns: nn.Module,
    objective: Callable[[Transform], Tensor],
    *,
    steps: int,
    lr: float,
    weights: nn.Module | None = None,
    weights_lr: float = 2e-3,
    window: int = 25,
    tolerance: float = 1e-4,
) -> tuple[list[float], Status]:
    """Adam (AMSGrad) on the unknowns and, with a rate of its own, on a metric's weights; the mean iterate is kept.

    The rate falls to a tenth over the run. Stops on a plateau: when the mean cost of the last `window` steps is no
    longer lower than that of the window before by `tolerance`. The unknowns end at the mean of their last `window`
    values, which is less noisy than the last one. Returns the cost of every step and why it stopped.
    """
    groups = [{"params": list(unknowns.parameters()), "lr": lr}]
    if weights is not None and any(True for _ in weights.parameters()):
        groups.append({"params": list(weights.parameters()), "lr": weights_lr})
    optimiser = torch.optim.Adam(groups, amsgrad=True)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.1 ** (1 / max(1, steps)))
    trace: list[float] = []
    visited: list[list[Tensor]] = []
    status: Status = "steps"
    for _ in range(steps):
        optimiser.zero_grad()
        cost = objective(unknowns())
        value = float(cost.detach())
        if value != value:
            status = "diverged"
            break
        cost.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        trace.append(value)
        visited = [*visited[-window + 1 :], [p.detach().clone() for p in unknowns.parameters()]]
        if (
            len(trace) >= 3 * window
            and sum(trace[-2 * window : -window]) - sum(trace[-window:]) < tolerance * window
        ):
            status = "converged"
            break
    with torch.no_grad():
        for index, parameter in enumerate(unknowns.parameters()):
            if visited:
                parameter.copy_(torch.stack([values[index] for values in visited]).mean(dim=0))
    return trace, status
