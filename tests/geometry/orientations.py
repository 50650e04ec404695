"""Every way the axes of an image can lie in the world, as grids: 48 in 3-D and 8 in 2-D, each of three kinds."""

from itertools import permutations, product

import torch
from strategies import rotation

from inforeg.space import Grid

KINDS = ("isotropic", "anisotropic", "oblique")
"""Equal spacings; spacings that differ by half; the same turned by no special angles."""

# No two alike and none zero, so that no mistake about axes or signs can cancel.
CENTRE_MM = (11.3, -7.1, 23.7)
_ANGLES = (0.31, -0.22, 0.17)
_STRETCH = {"isotropic": (1.0, 1.0, 1.0), "anisotropic": (0.8, 1.0, 1.3), "oblique": (0.85, 1.05, 1.2)}

AXES = {d: tuple(product(permutations(range(d)), product((1, -1), repeat=d))) for d in (2, 3)}
"""For each way, which axis of the world every axis of the image runs along, and in which sense."""


def code(ndim: int, number: int) -> str:
    """Where the axes of way `number` lead, as `RAS` or `LPI`."""
    order, signs = AXES[ndim][number % len(AXES[ndim])]
    return "".join(("RAS" if sign > 0 else "LPI")[axis] for axis, sign in zip(order, signs, strict=True))


def oriented(
    ndim: int,
    number: int,
    kind: str,
    *,
    field_mm: float,
    spacing_mm: float,
    centre_mm: tuple[float, ...] = CENTRE_MM,
) -> Grid:
    """A grid of way `number` (counted round), about `field_mm` wide, its middle at `centre_mm`."""
    order, signs = AXES[ndim][number % len(AXES[ndim])]
    spacings = [spacing_mm * stretch for stretch in _STRETCH[kind][:ndim]]
    # Fields that differ by an eighth tell one axis from another.
    shape = [round(field_mm * (1 + axis / 8) / spacing) for axis, spacing in enumerate(spacings)]
    steps = torch.zeros(ndim, ndim, dtype=torch.float64)
    for axis, (along, sign) in enumerate(zip(order, signs, strict=True)):
        steps[along, axis] = sign * spacings[axis]
    if kind == "oblique":
        steps = rotation(list(_ANGLES[: 2 * ndim - 3])) @ steps
    matrix = torch.eye(ndim + 1, dtype=torch.float64)
    matrix[:ndim, :ndim] = steps
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
    matrix[:ndim, ndim] = torch.tensor(centre_mm[:ndim], dtype=torch.float64) - steps @ middle
    return Grid(tuple(shape), matrix)


def every_way(ndim: int) -> list[tuple[int, int, str]]:
    """Each way once for each kind, with another way for the second image: `(fixed, moving, kind)`.

    Five shares no factor with 8 or 48, so every way is once the fixed and once the moving one of each kind.
    """
    count = len(AXES[ndim])
    return [
        (number, (5 * number + 3 + 2 * turn) % count, kind)
        for turn, kind in enumerate(KINDS)
        for number in range(count)
    ]


def named(ndim: int, way: tuple[int, int, str]) -> str:
    """What a test of this pair is called."""
    fixed, moving, kind = way
    return f"{code(ndim, fixed)}-{code(ndim, moving)}-{kind}"
