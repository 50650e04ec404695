"""A head that is a formula: textured, without symmetry, and exact in any pose and any contrast.

Every image is computed from the formula at its own voxels, so that nothing is interpolated and the transform between
two images is known to the last digit. Smooth blobs would not do: there the optimum of a metric across contrasts can
lie millimetres from the truth.
"""

from math import pi

import torch
from torch import Tensor

from inforeg.image import Image
from inforeg.space import Grid
from inforeg.transforms import Linear, group

RADIUS_MM = 70.0
# Signal of fluid, grey and white matter: their order differs, so one contrast is no function of the next one's order.
SIGNAL = {"t1": (0.15, 0.55, 0.9), "t2": (1.0, 0.55, 0.3), "pd": (0.75, 1.0, 0.6)}


def phantom(
    grid: Grid,
    contrast: str = "t1",
    transform: Linear | None = None,
    *,
    radius_mm: float = RADIUS_MM,
    noise: float = 0.02,
    shading: float = 0.0,
    seed: int = 0,
) -> Image:
    """The head on a grid; `transform` takes points of the head where it was made to where it is now.

    It lies about the world's origin, is about `radius_mm` in half its length, and 0 to 1 in its values. `shading` is
    the depth of a smooth field over the image, `noise` the standard deviation of what is added.
    """
    here = grid.points_mm() if transform is None else transform.inverse()(grid.points_mm())
    data = _signal((here / radius_mm).float(), SIGNAL[contrast]).reshape(1, 1, *grid.shape)
    if shading:
        waves = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
        field = 0.6 * waves[0] - 0.4 * waves[1] + 0.5 * waves[-1].square()
        data = data * torch.exp(shading * (field - field.mean()))
    generator = torch.Generator().manual_seed(seed + 1)
    return Image(data + noise * torch.randn(data.shape, generator=generator), grid, contrast)


def field_of_view(ndim: int, spacing_mm: float | None = None, half_mm: float = 87.0) -> Grid:
    """A grid about the world's origin that holds the head with some air around it."""
    spacing_mm = spacing_mm or (1.5 if ndim == 2 else 3.5)
    return Grid.from_spacing([round(2 * half_mm / spacing_mm)] * ndim, spacing_mm)


def moved_view(grid: Grid, transform: Linear, spacing_mm: float | None = None) -> Grid:
    """A field of view of its own for a moved head: about its new centre, and no voxel on a voxel of `grid`."""
    steps = [spacing_mm or 1.03 * float(grid.spacing_mm.min())] * grid.ndim
    shape = [round(float(e) / s) for e, s in zip(grid.extent_mm, steps, strict=True)]
    matrix = Grid.from_spacing(shape, steps).voxel_to_world.clone()
    matrix[:-1, -1] += transform(torch.full((1, grid.ndim), 0.4, dtype=torch.float64))[0]
    return Grid(tuple(shape), matrix)


def pose(name: str, ndim: int, size: float = 0.1, seed: int = 0) -> Linear:
    """An element of a linear group about the head's centre: every parameter about `size` (radii, radians, logs)."""
    which = group(name, ndim)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.rand(which.size, generator=generator, dtype=torch.float64).round() * 2 - 1
    sizes = size * (0.6 + 0.4 * torch.rand(which.size, generator=generator, dtype=torch.float64))
    stretches = slice(ndim * (ndim + 1) // 2, None)
    # Heads are turned and shifted by far more than they are stretched.
    sizes[stretches] *= 0.4
    if name == "projective":
        sizes[-ndim:] *= 0.25
    return which.exp(signs * sizes, torch.zeros(ndim, dtype=torch.float64), RADIUS_MM)


def turn(angle_deg: float, ndim: int, shift_mm: tuple[float, ...] = (), seed: int = 0) -> Linear:
    """A rotation by an angle about an axis of no special direction through the head's centre, then a shift."""
    axis = torch.ones(1, dtype=torch.float64)
    if ndim == 3:
        axis = torch.randn(3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    zero = torch.zeros(ndim, dtype=torch.float64)
    turned = group("rigid", ndim).exp(
        torch.cat((zero, axis / axis.norm() * (angle_deg * pi / 180))), zero, 1.0
    )
    shift = torch.tensor(shift_mm or (0.0,) * ndim, dtype=torch.float64)
    return Linear(Linear.translation(shift).matrix @ turned.matrix)


def landmarks(ndim: int, radius_mm: float = RADIUS_MM) -> Tensor:
    """Points through the head, `(n, ndim)`."""
    axis = torch.linspace(-0.7, 0.7, 6, dtype=torch.float64) * radius_mm
    points = torch.cartesian_prod(*[axis] * ndim)
    return points[points.norm(dim=1) < 0.8 * radius_mm]


def error_mm(found: Linear, truth: Linear, radius_mm: float = RADIUS_MM) -> float:
    """The mean distance, over landmarks in the head, between where two transforms take them."""
    points = landmarks(truth.ndim, radius_mm)
    return float((found(points) - truth(points)).detach().norm(dim=1).mean())


def _signal(u: Tensor, signal: tuple[float, float, float]) -> Tensor:
    """Values at positions in radii: a brain folded by waves in a lop-sided skull."""
    d = u.shape[1]
    stretch = torch.tensor([1.0, 0.82, 0.72][:d])
    inside = (u / stretch).norm(dim=1)
    lobe = torch.tensor([0.62, -0.42, 0.3][:d])
    distance = torch.minimum(inside - 1.0, (u - lobe).norm(dim=1) / 0.42 - 1.0)
    generator = torch.Generator().manual_seed(20 + d)
    folds = torch.zeros(len(u))
    for _ in range(14):
        wave = torch.randn(d, generator=generator)
        wave = wave / wave.norm() * (1.2 + 2.2 * torch.rand(1, generator=generator)) * 2 * pi
        phase = 2 * pi * torch.rand(1, generator=generator)
        folds += torch.sin(u @ wave + phase)
    fluid, grey, white = signal
    brain = fluid + (grey - fluid) * _step(folds + 1.4) + (white - grey) * _step(folds - 1.0)
    brain = fluid + (brain - fluid) * torch.sigmoid(-30 * (distance + 0.16))
    # Edges about as wide as the voxels the tests use: sharper ones are aliased, and mutual information then has its
    # optimum at another scale, by up to one in a hundred across contrasts.
    return brain * torch.sigmoid(-30 * distance) + 0.3 * torch.exp(-((distance - 0.02) / 0.08).square())


def _step(x: Tensor) -> Tensor:
    return torch.sigmoid(1.5 * x)
