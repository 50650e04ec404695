"""What is expected of a deformation is learnt from it, and what differs like two anatomies is known from it."""

from math import cos, pi

import pytest
import torch

from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.roughness import Quadratic, Roughness
from inforeg.solve.dense.spectrum import Spectrum
from inforeg.space import Grid

SMOOTHNESS_MM, EXPECTED_MM = 8.0, 5.0


def lattice(shape: tuple[int, ...], apart_mm: float = 4.0) -> Lattice:
    return Lattice(Grid.from_spacing(shape, apart_mm), torch.eye(len(shape), dtype=torch.float64))


def field_of(roughness: Roughness, generator: torch.Generator) -> torch.Tensor:
    """One drawn from what is expected; without what is even, which would be unbounded."""
    noise = torch.randn(len(roughness.shape), *roughness.shape, generator=generator)
    return roughness.filtered(noise, lambda d: torch.where(d > 0, d.clamp(min=1e-20).rsqrt(), 0))


def bell(sigma_mm: float, size_mm: float, roughness: Roughness, generator: torch.Generator) -> torch.Tensor:
    """White noise smoothed by a Gaussian."""
    noise = torch.randn(len(roughness.shape), *roughness.shape, generator=generator)
    # The law's inverse is strength * k^4, whose largest is known.
    largest = float(roughness.diagonal.max())
    top = 4 * sum(1 - cos(pi * (n - 1) / n) for n in roughness.shape) / 2 / roughness.spacing_mm**2
    found = roughness.filtered(noise, lambda d: torch.exp(-0.5 * sigma_mm**2 * top * (d / largest).sqrt()))
    return size_mm * found / found.square().mean().sqrt()


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_law_is_that_of_a_bending_plate(ndim: int) -> None:
    squares = torch.tensor([0.01, 0.04, 0.5], dtype=torch.float64)
    wanted = EXPECTED_MM**2 / SMOOTHNESS_MM ** (4 - ndim) / squares**2
    assert torch.allclose(Spectrum(SMOOTHNESS_MM, EXPECTED_MM).density(squares, ndim), wanted)


@pytest.mark.parametrize("shape", [(70, 80), (24, 26, 22)])
@pytest.mark.parametrize("truth", ["law", "bell"])
def test_noisy_fields_are_found_better_with_what_was_learnt_from_them(
    shape: tuple[int, ...], truth: str
) -> None:
    """Nearly as well as where the truth's own spectrum is known; and the law is kept where it is right."""
    generator = torch.Generator().manual_seed(2)
    on, d = lattice(shape), len(shape)
    law = Roughness(on, Spectrum(SMOOTHNESS_MM, EXPECTED_MM))
    field = field_of(law, generator) if truth == "law" else bell(14.0, 2.0, law, generator)
    weight = 0.2
    weights = torch.zeros(d * (d + 1) // 2, *shape)
    weights[:d] = weight
    force = weight * field + weight**0.5 * torch.randn(field.shape, generator=generator)

    def error(quadratic: Quadratic) -> float:
        return float((quadratic.solve(force, 60, tolerance=1e-3) - field).square().mean().sqrt())

    quadratic = Quadratic(weights, law)
    plain = error(quadratic)
    for _ in range(9):
        found = quadratic.solve(force, 60, tolerance=1e-3)
        quadratic = Quadratic(weights, quadratic.roughness.learnt(weights, found))
    if truth == "law":
        assert error(quadratic) < 1.05 * plain
    else:
        assert error(quadratic) < 0.75 * plain
        # Waves that are not there are no longer expected.
        squares = torch.tensor([0.3**2], dtype=torch.float64)
        assert (
            float(quadratic.roughness.spectrum.density(squares, d) / law.spectrum.density(squares, d)) < 0.2
        )


def test_where_nothing_is_told_nothing_is_learnt() -> None:
    """What is expected of a deformation stays as it was."""
    on = lattice((40, 44))
    roughness = Roughness(on, Spectrum(SMOOTHNESS_MM, EXPECTED_MM))
    weights = torch.full((3, 40, 44), 1e-9)
    weights[2] = 0
    quadratic = Quadratic(weights, roughness)
    for _ in range(3):
        quadratic = Quadratic(weights, quadratic.roughness.learnt(weights, torch.zeros(2, 40, 44)))
    more = quadratic.roughness.spectrum.more
    assert more is not None
    assert float(more.abs().max()) < 0.01


def test_two_anatomies_are_known_by_their_short_waves() -> None:
    plain = Spectrum(SMOOTHNESS_MM, EXPECTED_MM)
    assert plain.settled()[1] > 0.9
    law = plain.settled()[0].more
    assert law is not None
    n = len(law)
    falling = Spectrum(SMOOTHNESS_MM, EXPECTED_MM, torch.linspace(2, -8, n, dtype=torch.float64))
    kept, rough = falling.settled()
    assert rough < 0.1
    assert torch.allclose(kept.more, falling.more, atol=1.0)  # type: ignore[arg-type]
    squares = torch.tensor([0.2**2], dtype=torch.float64)
    allowed, rough = Spectrum(
        SMOOTHNESS_MM, EXPECTED_MM, torch.full((n,), 0.5, dtype=torch.float64)
    ).settled()
    assert rough > 0.9
    assert float(allowed.density(squares, 3)) > 3 * float(plain.density(squares, 3))
