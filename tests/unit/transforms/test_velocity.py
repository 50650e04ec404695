from itertools import product

import pytest
import torch
from strategies import GridNumbers

from inforeg.errors import UsageError
from inforeg.image import Image, resample
from inforeg.image.interpolate import vectors_at
from inforeg.space import Grid
from inforeg.transforms import (
    Composite,
    Displacement,
    Linear,
    Velocity,
    approximate_inverse,
    as_displacements,
    exponential,
    solve,
)
from inforeg.transforms.invert import inverted
from inforeg.transforms.velocity import FIRST_STEP_VOXELS, squarings_for

GRIDS = {
    2: GridNumbers([30, 34], [0.4], [2.0, 2.5], [1, -1], [0.0], [-12.0, 7.0]).grid(),
    3: GridNumbers(
        [20, 24, 18], [0.4, -0.3, 0.2], [3.0, 2.0, 2.5], [1, -1, 1], [0.0, 0.0], [-12.0, 7.0, 3.0]
    ).grid(),
}


def smooth(grid: Grid, size_mm: float = 4.0, seed: int = 0) -> Velocity:
    """Waves that fade towards the faces, so that nothing leaves the grid."""
    d = grid.ndim
    where = grid.points_mm() - grid.centre_mm
    waves = torch.randn(d, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 12
    share = (grid.to_voxel(grid.points_mm()) + 0.5) / torch.tensor(grid.shape, dtype=torch.float64)
    fade = torch.sin(torch.pi * share).prod(dim=1, keepdim=True)
    vectors = size_mm * fade * torch.sin(where @ waves + torch.arange(d))
    return Velocity(vectors.T.reshape(d, *grid.shape).contiguous(), grid)


def field_of(grid: Grid, velocity_mm: torch.Tensor) -> Velocity:
    """A velocity for each voxel centre, `(n, d)`, as a field."""
    return Velocity(velocity_mm.T.reshape(grid.ndim, *grid.shape).contiguous(), grid)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_constant_velocity_is_a_shift_out_to_the_faces(ndim: int) -> None:
    grid = GRIDS[ndim]
    shift = torch.tensor([7.3, -4.1, 2.2][:ndim], dtype=torch.float64)
    transform = field_of(grid, shift.expand(grid.voxel_count, ndim))
    # Half-way between the outermost centres and the faces: edges hold on the way and at the end.
    for corner in product((-0.4, 1.4), repeat=ndim):
        ends = [c if c < 0 else n - c for c, n in zip(corner, grid.shape, strict=True)]
        where = grid.to_world(torch.tensor([ends], dtype=torch.float64))
        torch.testing.assert_close(transform(where), where + shift, rtol=0, atol=1e-12)
    beyond = grid.to_world(torch.full((1, ndim), -0.6, dtype=torch.float64))
    assert torch.equal(transform(beyond), beyond)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_linear_velocity_is_the_exponential_of_its_matrix(ndim: int) -> None:
    """Interpolation loses nothing of it: what is off is the time step's."""
    grid = GRIDS[ndim]
    speed = torch.randn(ndim, ndim, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 0.12
    transform = field_of(grid, (grid.points_mm() - grid.centre_mm) @ speed.T)
    inner = grid.points_mm().reshape(*grid.shape, ndim)[(slice(7, -7),) * ndim].reshape(-1, ndim)
    expected = (inner - grid.centre_mm) @ torch.linalg.matrix_exp(speed).T + grid.centre_mm
    assert float((expected - inner).norm(dim=1).max()) > 2
    torch.testing.assert_close(transform(inner), expected, rtol=0, atol=3e-4)
    # Twice as many steps, a quarter of the error: they are taken at their midpoints.
    errors = []
    for squarings in (3, 4, 5):
        field = Displacement(exponential(transform.vectors[None], grid, squarings)[0], grid)
        errors.append(float((field(inner) - expected).abs().max()))
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize("ndim", [2, 3])
def test_points_flow_as_the_differential_equation_says(ndim: int) -> None:
    velocity = smooth(GRIDS[ndim])
    grid = velocity.grid

    def speed(points: torch.Tensor) -> torch.Tensor:
        return vectors_at(velocity.vectors, grid.to_voxel(points))

    expected, steps = grid.points_mm(), 20
    for _ in range(steps):  # Runge and Kutta's
        one = speed(expected)
        two = speed(expected + one / (2 * steps))
        three = speed(expected + two / (2 * steps))
        four = speed(expected + three / steps)
        expected = expected + (one + 2 * two + 2 * three + four) / (6 * steps)
    off = (velocity(grid.points_mm()) - expected).norm(dim=1)
    assert float((expected - grid.points_mm()).norm(dim=1).max()) > 3
    # A tenth of a voxel, and a hundredth in the mean.
    assert float(off.max()) < 0.1 * float(grid.spacing_mm.min())
    assert float(off.mean()) < 0.01 * float(grid.spacing_mm.min())


@pytest.mark.parametrize("ndim", [2, 3])
def test_how_often_it_is_halved_follows_the_largest_component_in_voxels(ndim: int) -> None:
    grid = GRIDS[ndim]
    along = grid.voxel_to_world[:ndim, 1]  # one voxel of the second axis, in mm
    for voxels, halvings in ((0.0, 0), (FIRST_STEP_VOXELS, 0), (FIRST_STEP_VOXELS * 1.01, 1), (7.9, 4)):
        vectors = (voxels * along).reshape(1, ndim, *[1] * ndim).expand(1, ndim, *grid.shape)
        assert squarings_for(vectors * (1 - 1e-6), grid) == halvings
    assert squarings_for(torch.full((1, ndim, *grid.shape), torch.nan), grid) == 0
    fine, coarse = (exponential(smooth(grid).vectors[None], grid, squarings=n) for n in (9, None))
    assert 0 < float((fine - coarse).abs().max()) < 0.01


def test_fields_of_a_batch_do_not_know_of_one_another() -> None:
    grid = GRIDS[3]
    both = torch.stack([smooth(grid, seed=seed).vectors for seed in (0, 1)])
    together = exponential(both, grid, squarings=4)
    for one, alone in zip(together, both, strict=True):
        assert torch.equal(one, exponential(alone[None], grid, squarings=4)[0])


def test_the_number_of_threads_changes_nothing() -> None:
    vectors = smooth(GRIDS[3]).vectors[None].float()
    found = []
    before = torch.get_num_threads()
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(exponential(vectors, GRIDS[3]))
    torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_positions_are_never_in_half_precision() -> None:
    vectors = smooth(GRIDS[3]).vectors[None].float()
    plain = exponential(vectors, GRIDS[3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(exponential(vectors, GRIDS[3]), plain)
    half = exponential(vectors.bfloat16(), GRIDS[3])
    assert half.dtype == torch.float32
    assert torch.equal(half, exponential(vectors.bfloat16().float(), GRIDS[3]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_its_precision_and_is_computed_once(dtype: torch.dtype) -> None:
    velocity = Velocity(smooth(GRIDS[3]).vectors.to(dtype), GRIDS[3])
    assert velocity.displacement.vectors.dtype == dtype
    assert velocity.displacement is velocity.displacement
    assert float((velocity.displacement.vectors - smooth(GRIDS[3]).displacement.vectors).abs().max()) < 1e-5


def test_images_are_drawn_the_same_the_quick_way() -> None:
    velocity = smooth(GRIDS[3])
    matrix = velocity.grid.voxel_to_world.clone()
    matrix[:3, :3] *= 0.6
    fine = Grid((31, 40, 28), matrix)
    chain = Composite((Linear.translation(torch.tensor([1.0, 2.0, -1.0])), velocity))
    moving = Image(torch.rand(1, 1, *fine.shape, generator=torch.Generator().manual_seed(0)), fine)
    assert chain.at_voxels(fine, slice(0, 2)) is not None
    slow = resample(moving, fine, lambda points: chain(points))
    torch.testing.assert_close(resample(moving, fine, chain).data, slow.data, rtol=0, atol=1e-5)


def test_inverses() -> None:
    velocity = smooth(GRIDS[3])
    chain = Composite((Linear.translation(torch.tensor([1.0, 2.0, -1.0])), velocity))
    back = chain.inverse()
    assert isinstance(back.parts[0], Velocity)
    assert torch.equal(back.parts[0].vectors, -velocity.vectors)
    assert isinstance(inverted(chain), Composite)
    assert isinstance(inverted(chain).parts[0], Velocity)  # type: ignore[attr-defined]
    # Solved for, it is exact at the voxel centres; the negated field is as near as interpolation lets it be.
    nearest = approximate_inverse(chain).transform
    assert isinstance(nearest, Composite)
    assert isinstance(nearest.parts[0], Displacement)
    centres = Linear.translation(torch.tensor([1.0, 2.0, -1.0]))(velocity.grid.points_mm())
    off = [float((chain(way(centres)) - centres).norm(dim=1).max()) for way in (nearest, back)]
    assert off[0] < 1e-4 < off[1] < 0.5
    where = velocity.grid.points_mm()[::5]
    found, error = solve(chain, chain(where))
    assert float(error.max()) < 1e-4
    assert float((found - where).norm(dim=1).max()) < 1e-3


def test_as_displacements_leaves_the_rest_alone() -> None:
    velocity, shift = smooth(GRIDS[3]), Linear.identity(3)
    assert as_displacements(shift) is shift
    assert as_displacements(velocity) is velocity.displacement
    chain = as_displacements(Composite((shift, velocity)))
    assert isinstance(chain, Composite)
    assert chain.parts == (shift, velocity.displacement)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"\(3, 20, 24, 18\)"):
        Velocity(torch.zeros(3, 20, 24, 19), GRIDS[3])
    with pytest.raises(UsageError, match="finite velocities, got NaN"):
        Velocity(torch.full((3, *GRIDS[3].shape), torch.inf), GRIDS[3])
