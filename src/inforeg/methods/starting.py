"""Where a method starts, by the name a user gave."""

from typing import Literal

import torch

from inforeg.methods.pair import Pair
from inforeg.solve.start import PoseSearch, Start, from_centres, from_header, from_mass
from inforeg.transforms import Linear

Init = Literal["auto", "header", "centre", "mass", "moments", "search"]


def find_start(
    pair: Pair, init: Init, motion: str, given: Linear | None, generator: torch.Generator
) -> Start:
    """The start a user gave or named; for auto, moments and search, the best of the poses that `motion` allows."""
    if given is not None:
        return Start.given(given, "given")
    f, m = pair.fixed_view, pair.moving_view
    grids = pair.fixed[-1].grid, pair.moving[-1].grid
    if init == "header":
        return Start.given(from_header(grids[0]), "header")
    if init == "centre":
        return Start.given(from_centres(*grids), "centre")
    if init == "mass":
        return Start.given(from_mass(f.object, m.object), "mass")
    # Samples are drawn where the smaller object is: all of them then have something to say at the right pose.
    swapped = f.object.volume_mm > m.object.volume_mm
    search = PoseSearch(*((m, f) if swapped else (f, m)), generator, motion)
    found = search.moments() if init == "moments" else search.run(wide=init == "search")
    return found.inverse() if swapped else found
