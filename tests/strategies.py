"""Random geometry for property tests: oblique, anisotropic, sheared, flipped grids, and transforms.

Strategies draw plain numbers; what they stand for is built by the test, outside of drawing.
"""

from math import cos, sin
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from inforeg.space import Grid
from inforeg.transforms import BSpline, Composite, Displacement, Linear, group


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    """Numbers of at most nine decimals: ITK's own decomposition of a direction fails on 1e-308."""
    return st.floats(low, high).map(lambda x: round(x, 9))


def rotation(angles: list[float]) -> Tensor:
    """A rotation by one angle (2-D) or three (3-D, about z, y and x in turn)."""

    def plane(d: int, a: int, b: int, angle: float) -> Tensor:
        matrix = torch.eye(d, dtype=torch.float64)
        matrix[a, a] = matrix[b, b] = cos(angle)
        matrix[a, b], matrix[b, a] = -sin(angle), sin(angle)
        return matrix

    if len(angles) == 1:
        return plane(2, 0, 1, angles[0])
    return plane(3, 0, 1, angles[0]) @ plane(3, 0, 2, angles[1]) @ plane(3, 1, 2, angles[2])


class GridNumbers(NamedTuple):
    """What a grid is made from."""

    shape: list[int]
    angles: list[float]
    spacing_mm: list[float]
    signs: list[int]
    slants: list[float]
    origin_mm: list[float]

    def grid(self) -> Grid:
        d = len(self.shape)
        slant = torch.eye(d, dtype=torch.float64)
        for axis, value in enumerate(self.slants, start=1):
            slant[axis - 1, axis] = value
        steps = [s * sign for s, sign in zip(self.spacing_mm, self.signs, strict=True)]
        matrix = torch.eye(d + 1, dtype=torch.float64)
        matrix[:d, :d] = rotation(self.angles) @ slant @ torch.diag(torch.tensor(steps, dtype=torch.float64))
        matrix[:d, d] = torch.tensor(self.origin_mm, dtype=torch.float64)
        return Grid(tuple(self.shape), matrix)


def grids(
    ndim: int,
    *,
    shear: float = 0.3,
    sizes: tuple[int, int] = (2, 9),
    spacings_mm: tuple[float, float] = (0.05, 6.0),
    reach_mm: float = 500.0,
) -> st.SearchStrategy[GridNumbers]:
    """Grids of any orientation somewhere in the world; `shear` 0 keeps right angles."""

    def some(strategy: st.SearchStrategy, count: int = ndim) -> st.SearchStrategy:  # type: ignore[type-arg]
        return st.lists(strategy, min_size=count, max_size=count)

    return st.builds(
        GridNumbers,
        some(st.integers(*sizes)),
        some(numbers(-3.1, 3.1), 2 * ndim - 3),
        some(numbers(*spacings_mm)),
        some(st.sampled_from([-1, 1])),
        some(numbers(-shear, shear), ndim - 1),
        some(numbers(-reach_mm, reach_mm)),
    )


class LinearNumbers(NamedTuple):
    """What a linear transform is made from."""

    name: str
    parameters: list[float]
    centre_mm: list[float]
    radius_mm: float

    def transform(self) -> Linear:
        which = group(self.name, len(self.centre_mm))
        parameters = torch.tensor(self.parameters[: which.size], dtype=torch.float64)
        return which.exp(parameters, torch.tensor(self.centre_mm, dtype=torch.float64), self.radius_mm)


def linears(ndim: int, name: str = "affine", size: float = 0.6) -> st.SearchStrategy[LinearNumbers]:
    """Elements of a linear group about a centre somewhere in the world."""
    most = 15
    return st.builds(
        LinearNumbers,
        st.just(name),
        st.lists(numbers(-size, size), min_size=most, max_size=most),
        st.lists(numbers(-50, 50), min_size=ndim, max_size=ndim),
        numbers(20, 120),
    )


def clouds(
    ndim: int, count: int | None = None, reach_mm: float = 1e4
) -> st.SearchStrategy[list[list[float]]]:
    """Points anywhere, to the last digit of float64; of any number unless `count` is given."""
    row = st.lists(st.floats(-reach_mm, reach_mm), min_size=ndim, max_size=ndim)
    return st.lists(row, min_size=count or 1, max_size=count or 12)


def points(ndim: int, count: int = 40, reach_mm: float = 80.0, seed: int = 0) -> Tensor:
    """The same random world points every time, `(count, ndim)`."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(count, ndim, generator=generator, dtype=torch.float64) * 2 - 1) * reach_mm


class FieldNumbers(NamedTuple):
    """What a displacement field is made from: its values are noise of a seed, so that drawing it costs nothing."""

    where: GridNumbers
    size_mm: float
    seed: int
    double: bool

    def transform(self) -> Displacement:
        grid = self.where.grid()
        vectors = _noise((grid.ndim, *grid.shape), self.size_mm, self.seed)
        return Displacement(vectors if self.double else vectors.to(torch.float32), grid)


def displacements(where: st.SearchStrategy[GridNumbers]) -> st.SearchStrategy[FieldNumbers]:
    """Displacement fields in float32 and float64 on grids that `where` draws."""
    return st.builds(FieldNumbers, where, numbers(0, 60), st.integers(0, 2**31), st.booleans())


class SplineNumbers(NamedTuple):
    """What a B-spline transform is made from."""

    where: GridNumbers
    size_mm: float
    seed: int

    def transform(self) -> BSpline:
        grid = self.where.grid()
        return BSpline(_noise((grid.ndim, *grid.shape), self.size_mm, self.seed), grid)


def bsplines(where: st.SearchStrategy[GridNumbers]) -> st.SearchStrategy[SplineNumbers]:
    """Free-form deformations on control grids that `where` draws, of at least four points along each axis."""
    return st.builds(SplineNumbers, where, numbers(0, 60), st.integers(0, 2**31))


class ChainNumbers(NamedTuple):
    """What a chain of transforms is made from."""

    parts: list[LinearNumbers | FieldNumbers | SplineNumbers]

    def transform(self) -> Composite:
        return Composite(tuple(part.transform() for part in self.parts))


def chains(
    parts: st.SearchStrategy[LinearNumbers | FieldNumbers | SplineNumbers], longest: int = 4
) -> st.SearchStrategy[ChainNumbers]:
    """Chains of two parts or more."""
    return st.builds(ChainNumbers, st.lists(parts, min_size=2, max_size=longest))


def _noise(shape: tuple[int, ...], size: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * (torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1)
