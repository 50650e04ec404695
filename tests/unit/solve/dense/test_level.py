"""One resolution seen through a deformation: the warped image, its slopes, and how far voxels are believed."""

import pytest
import torch
from phantoms import field_of_view, phantom
from strategies import rotation
from torch import Tensor

from inforeg.image import Image, find_foreground, resample
from inforeg.image.sample import in_mask
from inforeg.solve.dense.contrast import LocalContrast
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.level import Look
from inforeg.solve.dense.tables import JointTables, Places
from inforeg.solve.dense.told import Told
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear

APART_MM = 6.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Blind:
    """A likeness that tells the same of every voxel that is seen."""

    def __call__(self, warped: Tensor, inside: Tensor) -> Told:
        return Told(inside.clone(), 2 * inside, float(inside.mean()))

    def chance(self, samples: float) -> float:
        return 0.0


def noisy(grid: Grid, channels: int = 1, seed: int = 0) -> Image:
    return Image(torch.rand(1, channels, *grid.shape, generator=generator(seed)), grid)


def turned(ndim: int, angle: float = 0.4) -> Linear:
    """A rotation, a little stretch and a shift: nothing is along an axis any more."""
    angles = [angle] if ndim == 2 else [angle, -0.3, 0.2]
    matrix = 1.07 * rotation(angles)
    return Linear.about(matrix, torch.zeros(ndim, dtype=torch.float64), torch.tensor([2.0, -3.0, 1.0][:ndim]))


def another(grid: Grid) -> Grid:
    """Where a moving image may lie: about the same place, along axes of its own, with other voxels."""
    d = grid.ndim
    shape = tuple(max(6, n + 3) for n in grid.shape)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = rotation([-0.7] if d == 2 else [-0.7, 0.1, 0.6]) * 2.2
    matrix[:d, :d] @= torch.diag(torch.tensor([1.0, -1.0, 1.0][:d], dtype=torch.float64))
    matrix[:d, d] = grid.centre_mm - matrix[:d, :d] @ ((torch.tensor(shape, dtype=torch.float64) - 1) / 2)
    return Grid(shape, matrix)


def look(grid: Grid, moving: Image, linear: Linear, first: int = 2) -> Look:
    box = (slice(first, grid.shape[0]), *[slice(0, n) for n in grid.shape[1:]])
    lattice = Lattice.over(grid, APART_MM)
    inner = torch.ones([part.stop - part.start for part in box])
    return Look(grid, box, moving, Blind(), linear, lattice, inner)


def shifts(lattice: Lattice, size_mm: float = 2.5, seed: int = 1) -> Tensor:
    d = lattice.grid.ndim
    return size_mm * torch.randn(d, *lattice.grid.shape, generator=generator(seed))


@pytest.mark.parametrize("moved", [False, True])
def test_what_is_warped_is_the_image_resampled_through_the_chain(grid: Grid, moved: bool) -> None:
    """To the digits of float32, wherever the grids lie and whatever the linear transform."""
    moving, linear = noisy(another(grid), channels=2), turned(grid.ndim)
    seen = look(grid, moving, linear)
    nodes = shifts(seen.lattice) if moved else None
    chain: Linear | Composite = linear
    if nodes is not None:
        chain = Composite((linear, Displacement(seen.lattice.to_world(nodes), seen.lattice.grid)))
    values, inside = seen.warped(nodes)
    wanted = resample(moving, grid, chain).data[0][(slice(None), *seen.box)]
    voxel = moving.grid.to_voxel(chain(grid.points_mm()))
    last = torch.tensor(moving.grid.shape, dtype=torch.float64) - 0.5
    depth = torch.minimum(voxel + 0.5, last - voxel).amin(1).reshape(grid.shape)[seen.box]
    # Rounding may decide what lies on a face.
    clear = depth.abs() > 1e-4
    assert torch.equal(inside[clear] > 0, (depth > 0)[clear])
    both = clear & (depth > 0)
    assert int(both.sum()) > 0.1 * both.numel()
    assert float((values - wanted)[:, both].abs().max()) < 5e-5


def test_nothing_at_the_nodes_moves_nothing(grid: Grid) -> None:
    seen = look(grid, noisy(another(grid)), turned(grid.ndim))
    still = seen.warped(torch.zeros(grid.ndim, *seen.lattice.grid.shape))
    for one, other in zip(seen.warped(None), still, strict=True):
        assert torch.equal(one, other)


def test_forces_and_weights_are_those_of_the_slopes_along_the_axes(grid: Grid) -> None:
    """Against differences by torch, gathered by hand."""
    d = grid.ndim
    seen = look(grid, noisy(another(grid)), turned(d))
    nodes = shifts(seen.lattice)
    found = seen.evidence(nodes, 0.5, 10.0)
    values, inside = seen.warped(nodes)
    slopes = torch.zeros(d, *values[0].shape)
    for axis in range(d):
        if values[0].shape[axis] > 1:
            slopes[axis] = torch.gradient(values[0], spacing=float(grid.spacing_mm[axis]), dim=axis)[0]
    force = seen.spread.gather(slopes * inside)
    products = [slopes[i] ** 2 for i in range(d)]
    products += [slopes[i] * slopes[j] for i in range(d) for j in range(i + 1, d)]
    weights = seen.spread.gather(torch.stack(products) * 2 * inside)
    assert torch.allclose(found.force, force, atol=1e-4 * float(force.abs().max()))
    assert torch.allclose(found.weights, weights, atol=1e-4 * float(weights.abs().max()))
    assert found.independence == 0.5


def test_a_force_is_the_slope_of_what_is_likely() -> None:
    """The same by finite differences: where likelihood is the warped intensity itself."""
    grid = Grid.from_spacing((20, 18), 2.0)
    here = (grid.points_mm() / 17).float()
    moving = Image((here[:, 0].sin() + (here[:, 1] * 1.3).cos()).reshape(1, 1, *grid.shape), grid)
    seen = look(grid, moving, Linear.identity(2), first=0)
    zero = torch.zeros(2, *seen.lattice.grid.shape)
    found = seen.evidence(zero, 1.0, 5.0).force
    for node in ((0, 2, 3), (1, 4, 2), (0, 4, 4)):
        step = zero.clone()
        step[node] = 0.5
        up, down = (float(seen.warped(way)[0].sum()) for way in (step, -step))
        assert float(found[node]) == pytest.approx(up - down, rel=0.02)


def test_a_mask_of_the_moving_image_is_honoured() -> None:
    grid = Grid.from_spacing((24, 20), 2.0)
    image = noisy(grid)
    mask = torch.ones(1, 1, *grid.shape)
    mask[..., :12, :] = 0
    masked = look(grid, Image(torch.cat((image.data, mask), dim=1), grid), Linear.identity(2), first=0)
    plain = look(grid, image, Linear.identity(2), first=0)
    nodes = masked.lattice.grid
    still = torch.zeros(2, *nodes.shape)
    one, other = (seen.evidence(still, 1.0, 5.0) for seen in (masked, plain))
    across = grid.to_voxel(nodes.points_mm())[:, 0].reshape(nodes.shape)
    reach = APART_MM / 2  # in voxels of 2 mm
    assert float(one.force[:, across < 12 - reach].abs().max()) == 0
    assert float(one.weights[:, across < 12 - reach].abs().max()) == 0
    assert torch.equal(one.force[:, across > 12 + reach], other.force[:, across > 12 + reach])
    assert masked.told(still)[1].nats == pytest.approx(0.5, abs=0.03) and plain.told(still)[1].nats == 1


def by_tables(fixed: Image, moving: Image, linear: Linear) -> Look:
    """A pair as the deformable method looks at it."""
    box = tuple(slice(0, n) for n in fixed.grid.shape)
    objects = [find_foreground(image) for image in (fixed, moving)]
    places = [
        LocalContrast(image, found, 10.0).places(image)
        for image, found in zip((fixed, moving), objects, strict=True)
    ]
    tables = JointTables(places[0], torch.ones(fixed.grid.shape), Places(fixed.grid, box, 30.0))
    seen = Image(places[1][None, None], moving.grid)
    lattice = Lattice.over(fixed.grid, 8.0)
    return Look(fixed.grid, box, seen, tables, linear, lattice, objects[0].mask.float())


@pytest.mark.parametrize(("ndim", "spacing_mm"), [(2, 2.0), (3, 5.0)])
def test_a_voxel_is_worth_at_most_one_and_more_than_none(ndim: int, spacing_mm: float) -> None:
    grid = field_of_view(ndim, spacing_mm)
    for noise in (0.02, 0.3):
        seen = by_tables(
            phantom(grid, noise=noise), phantom(grid, "t2", noise=noise, seed=5), Linear.identity(ndim)
        )
        found = seen.evidence(torch.zeros(ndim, *seen.lattice.grid.shape), None, 18.0)
        assert 0 < found.independence <= 1
        assert found.nats > 0


def test_voxels_that_err_together_are_worth_less() -> None:
    """Texture that only one image has, once in single voxels and once in patches."""
    grid = field_of_view(2, 2.0)
    worth = []
    for sides in (1, 9):
        raw = torch.randn(1, 1, *grid.shape, generator=generator(3))
        texture = torch.nn.functional.avg_pool2d(raw, sides, 1, sides // 2) * sides * 0.12
        fixed, moving = phantom(grid), phantom(grid, "t2", seed=5)
        moving = Image(moving.data + texture * find_foreground(moving).mask, grid)
        seen = by_tables(fixed, moving, Linear.identity(2))
        still = torch.zeros(2, *seen.lattice.grid.shape)
        worth.append(seen.evidence(still, None, 18.0).independence)
    assert worth[1] < 0.7 * worth[0]


def test_what_lies_beyond_the_moving_image_is_not_seen() -> None:
    grid = Grid.from_spacing((20, 20), 2.0)
    away = Linear.translation(torch.tensor([400.0, 0.0], dtype=torch.float64))
    seen = look(grid, noisy(grid), away)
    _, inside = seen.warped(None)
    assert float(inside.sum()) == 0
    assert not bool(in_mask(noisy(grid), away(grid.points_mm())).any())
    found = seen.evidence(torch.zeros(2, *seen.lattice.grid.shape), None, 5.0)
    assert float(found.force.abs().max()) == 0 and 0 < found.independence <= 1
