"""Powell's search, which needs no slopes, over the algebra of a linear group."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from inforeg.transforms import Linear, LinearGroup

# In mm at the rim: how exactly a line is searched, and how little a whole sweep may gain, as a share.
_EXACT_MM, _GAIN = 1e-2, 1e-4
_SWEEPS = 20


@dataclass
class Searched:
    """Where a search ended, the value there, how often it was asked for, and the values after every sweep."""

    transform: Linear
    value: float
    asked: int
    trace: list[float] = field(default_factory=list)
    path: list[Linear] = field(default_factory=list)


def powell(
    value: Callable[[Linear], float],
    start: Linear,
    group: LinearGroup,
    centre_mm: Tensor,
    radius_mm: float,
) -> Searched:
    """The largest `value` of `start exp(parameters)` near `start`, by Powell's method as scipy has it.

    Parameters are scaled so that one unit moves the rim, at `radius_mm` from the centre, by a millimetre. A line is
    searched to a hundredth of that; at most 20 sweeps are made.
    """
    from scipy.optimize import minimize

    asked = 0

    def at(parameters: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> Linear:
        step = torch.from_numpy(np.asarray(parameters, dtype=np.float64)) / radius_mm
        return Linear(start.matrix @ group.exp(step, centre_mm, radius_mm).matrix)

    def cost(parameters: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> float:
        nonlocal asked
        asked += 1
        return -value(at(parameters))

    trace, path = [-cost(np.zeros(group.size))], [start]

    def swept(parameters: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
        path.append(at(parameters))
        trace.append(value(path[-1]))

    options = {"xtol": _EXACT_MM, "ftol": _GAIN, "maxiter": _SWEEPS}
    found = minimize(cost, np.zeros(group.size), method="Powell", callback=swept, options=options)
    return Searched(at(np.atleast_1d(found.x)), -float(found.fun), asked, trace, path)
