"""What roughness costs, and that Newton's steps solve what they say they solve."""

from itertools import pairwise
from math import pi

import pytest
import torch
from torch import Tensor

from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.roughness import Quadratic, Roughness
from inforeg.solve.dense.spectrum import Spectrum
from inforeg.space import Grid

# A tiny lattice, and a cost of its own for each component.
EXPECTED_MM = 1.5
TINY = {2: (3, 4), 3: (2, 3, 2)}


def lattice(shape: tuple[int, ...], apart_mm: float = 2.0) -> Lattice:
    """One of just these nodes."""
    grid = Grid.from_spacing(shape, apart_mm)
    return Lattice(grid, torch.eye(len(shape), dtype=torch.float64))


def cost(roughness: Roughness, vectors: Tensor) -> float:
    return 0.5 * float((vectors * roughness.slope(vectors)).sum())


def wave(on: Lattice, axis: int, halves: int, size_mm: float) -> Tensor:
    """One component that waves along one axis, so many half waves between the outer faces."""
    d, n = on.grid.ndim, on.grid.shape[axis]
    along = torch.cos(pi * halves * (torch.arange(n) + 0.5) / n).reshape(-1, *[1] * (d - 1 - axis))
    vectors = torch.zeros(d, *on.grid.shape)
    vectors[0] = size_mm * along
    return vectors


@pytest.mark.parametrize("shape", [(9, 14), (6, 9, 7)])
def test_what_is_even_costs_nothing(shape: tuple[int, ...]) -> None:
    roughness = Roughness(lattice(shape), Spectrum(10.0, 5.0))
    even = torch.full((len(shape), *shape), 7.0)
    rough = torch.randn(even.shape, generator=torch.Generator().manual_seed(0))
    assert abs(cost(roughness, even)) < 1e-7 * cost(roughness, rough)


@pytest.mark.parametrize(("shape", "axis"), [((40, 9), 0), ((12, 48), 1), ((6, 40, 5), 1)])
def test_a_wave_costs_what_its_integral_says(shape: tuple[int, ...], axis: int) -> None:
    """Half the strength times the integral of the second derivative's square, to a hundredth where waves are long."""
    apart_mm, smoothness_mm, expected_mm, size_mm, halves = 1.7, 11.0, 6.0, 3.0, 2
    d, on = len(shape), lattice(shape, apart_mm)
    length_mm = shape[axis] * apart_mm
    volume = apart_mm**d * torch.tensor(shape).prod().item()
    strength = smoothness_mm ** (4 - d) / expected_mm**2
    squares = (pi * halves / length_mm) ** 4 * size_mm**2 / 2
    found = cost(Roughness(on, Spectrum(smoothness_mm, expected_mm)), wave(on, axis, halves, size_mm))
    assert found == pytest.approx(0.5 * strength * squares * volume, rel=0.01)


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_mouse_is_a_small_man(ndim: int) -> None:
    """The same field, everything a tenth as long, costs the same."""
    shape = TINY[ndim]
    vectors = torch.randn(ndim, *shape, generator=torch.Generator().manual_seed(1))
    man = cost(Roughness(lattice(shape, 4.0), Spectrum(12.0, 6.0)), 5 * vectors)
    mouse = cost(Roughness(lattice(shape, 0.4), Spectrum(1.2, 0.6)), 0.5 * vectors)
    assert mouse == pytest.approx(man, rel=1e-5)


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_should_be_smoother_or_smaller_costs_more(ndim: int) -> None:
    vectors = torch.randn(ndim, *TINY[ndim], generator=torch.Generator().manual_seed(1))
    costs = [
        cost(Roughness(lattice(TINY[ndim]), Spectrum(smoothness_mm, expected_mm)), vectors)
        for smoothness_mm, expected_mm in ((6.0, 5.0), (12.0, 5.0), (6.0, 2.5))
    ]
    assert costs[1] == pytest.approx(costs[0] * 2 ** (4 - ndim), rel=1e-4)
    assert costs[2] == pytest.approx(costs[0] * 4, rel=1e-4)


@pytest.mark.parametrize("shape", [(24, 5), (24, 4, 3)])
def test_finer_nodes_change_no_cost(shape: tuple[int, ...]) -> None:
    coarse = lattice(shape)
    fine = coarse.halved()
    costs = [
        cost(Roughness(on, Spectrum(9.0, 4.0)), wave(on, 0, 2, 3.0)) for on in (coarse, fine, fine.halved())
    ]
    assert costs == pytest.approx([costs[0]] * 3, rel=0.02)


def by_hand(on: Lattice, smoothness_mm: float) -> Tensor:
    """The matrix of one component: squared second differences with mirrored ends."""
    d, apart_mm = on.grid.ndim, on.spacing_mm
    total = torch.zeros(())
    for axis, n in enumerate(on.grid.shape):
        second = torch.zeros(n, n, dtype=torch.float64)
        for i in range(n):
            for j in (i - 1, i + 1):
                second[i, i] -= 1
                second[i, min(max(j, 0), n - 1)] += 1
        whole = torch.ones(1, 1, dtype=torch.float64)
        for other, m in enumerate(on.grid.shape):
            whole = torch.kron(whole, second if other == axis else torch.eye(m, dtype=torch.float64))
        total = total + whole / apart_mm**2
    return smoothness_mm ** (4 - d) / EXPECTED_MM**2 * apart_mm**d * total @ total


def problem(ndim: int, seed: int = 0) -> tuple[Quadratic, Tensor, Tensor]:
    """A problem on a tiny lattice, its matrix as numbers, and a right side."""
    generator = torch.Generator().manual_seed(seed)
    shape = TINY[ndim]
    on, count = lattice(shape), int(torch.tensor(shape).prod())
    roots = torch.randn(count, ndim, ndim, generator=generator, dtype=torch.float64)
    weights = roots @ roots.mT + 0.1 * torch.eye(ndim)
    entries = [weights[:, i, i] for i in range(ndim)]
    entries += [weights[:, i, j] for i in range(ndim) for j in range(i + 1, ndim)]
    quadratic = Quadratic(
        torch.stack(entries).reshape(-1, *shape).float(), Roughness(on, Spectrum(3.0, EXPECTED_MM))
    )
    dense = torch.zeros(ndim, count, ndim, count, dtype=torch.float64)
    for i in range(ndim):
        dense[i, :, i, :] += by_hand(on, 3.0)
        for j in range(ndim):
            dense[i, :, j, :] += weights[:, i, j].diag()
    right = torch.randn(ndim, *shape, generator=generator)
    return quadratic, dense.reshape(ndim * count, ndim * count), right


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_field_is_multiplied_as_by_the_matrix_written_out(ndim: int) -> None:
    quadratic, dense, right = problem(ndim)
    wanted = (dense @ right.reshape(-1).double()).reshape(right.shape)
    assert torch.allclose(quadratic(right).double(), wanted, atol=1e-5 * float(wanted.abs().max()))


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_minimiser_is_that_of_the_matrix_written_out(ndim: int) -> None:
    quadratic, dense, right = problem(ndim)
    wanted = torch.linalg.solve(dense, right.reshape(-1).double()).reshape(right.shape)
    found = quadratic.solve(right, 200, tolerance=1e-6).double()
    assert float((found - wanted).norm() / wanted.norm()) < 1e-4


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_a_step_settles_for_is_near_and_lowers_the_problem(ndim: int) -> None:
    """The residual is a tenth of what it was, and no step is worse than the one before."""
    quadratic, _, right = problem(ndim)

    def value(x: Tensor) -> float:
        return 0.5 * float((x * quadratic(x)).sum()) - float((x * right).sum())

    values = [value(quadratic.solve(right, steps)) for steps in range(13)]
    assert values[0] == 0 and all(later <= sooner + 1e-5 for sooner, later in pairwise(values))
    best = value(quadratic.solve(right, 200, tolerance=1e-6))
    assert values[-1] < 0.97 * best


def test_even_weights_are_solved_in_one_step() -> None:
    """The preconditioner is exact there."""
    on = lattice((7, 9))
    weights = torch.zeros(3, *on.grid.shape)
    weights[:2] = 0.3
    quadratic = Quadratic(weights, Roughness(on, Spectrum(6.0, EXPECTED_MM)))
    right = torch.randn(2, *on.grid.shape, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(quadratic(quadratic.solve(right, 1)), right, atol=1e-4)


def test_nothing_to_solve_is_solved_by_nothing() -> None:
    on = lattice((5, 6))
    quadratic = Quadratic(torch.zeros(3, *on.grid.shape), Roughness(on, Spectrum(6.0, EXPECTED_MM)))
    assert torch.equal(quadratic.solve(torch.zeros(2, *on.grid.shape), 10), torch.zeros(2, *on.grid.shape))


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_drawn_has_the_inverse_as_its_covariance(ndim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws are linear in their noise: those from each of its numbers in turn have the covariance of all.

    To three hundredths, as each is solved to one.
    """
    quadratic, dense, right = problem(ndim)
    units = torch.eye(2 * len(dense))
    drawn = []
    for unit in units:
        halves = iter(unit.reshape(2, *right.shape))
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randn", lambda *_shape, generator, given=halves: next(given))
            drawn.append(quadratic.drawn(torch.Generator(), 60).reshape(-1))
    columns = torch.stack(drawn).double()
    wanted = torch.linalg.inv(dense)
    assert torch.allclose(columns.T @ columns, wanted, atol=0.03 * float(wanted.abs().max()))


def test_draws_spread_as_far_as_they_should() -> None:
    """Their squares by the matrix are a chi-square of as many degrees as there are unknowns; five standard errors."""
    quadratic, dense, _ = problem(2)
    generator, count = torch.Generator().manual_seed(5), 100
    drawn = torch.stack([quadratic.drawn(generator, 40).reshape(-1) for _ in range(count)]).double()
    squares = torch.einsum("ni,ij,nj->n", drawn, dense, drawn)
    unknowns = len(dense)
    assert abs(float(squares.mean()) - unknowns) < 5 * (2 * unknowns / count) ** 0.5
    assert abs(float(squares.var()) - 2 * unknowns) < 0.7 * 2 * unknowns


def test_what_is_drawn_is_finite_where_images_tell_in_one_direction_only() -> None:
    """A straight edge gives matrices of rank one, which rounding may leave without a root."""
    on = lattice((6, 5))
    weights = torch.zeros(3, *on.grid.shape)
    weights[0, 2], weights[1, 2], weights[2, 2] = 1e4, 1e4 / 9, 1e4 / 3
    drawn = Quadratic(weights, Roughness(on, Spectrum(6.0, EXPECTED_MM))).drawn(
        torch.Generator().manual_seed(0), 20
    )
    assert bool(drawn.isfinite().all())


def test_the_same_generator_draws_the_same() -> None:
    quadratic, _, _ = problem(2)
    one, other = (quadratic.drawn(torch.Generator().manual_seed(3), 20) for _ in range(2))
    assert torch.equal(one, other)
