"""The error that is predicted for a field is about the one it has."""

import pytest
import torch

from inforeg.solve.dense.doubt import likely_error
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.roughness import Quadratic, Roughness
from inforeg.solve.dense.spectrum import Spectrum
from inforeg.space import Grid


@pytest.mark.parametrize("stiffness", [1.0, 10.0])
def test_errors_are_as_large_as_predicted_whatever_prior_the_truth_came_from(stiffness: float) -> None:
    """Within a seventh, also where the truth is ten times stiffer than what was allowed for."""
    generator = torch.Generator().manual_seed(3)
    lattice = Lattice.over(Grid.from_spacing((64, 64), 2.0), 4.0)
    allowed = Roughness(lattice, Spectrum(10.0, 5.0))
    noise = torch.randn(2, *allowed.shape, generator=generator)
    own = allowed.times(stiffness)
    # Shifts cost nothing and would be unbounded.
    truth = own.filtered(noise, lambda d: torch.where(d > 0, d.clamp(min=1e-12).rsqrt(), 0))
    weight = 0.005
    weights = torch.stack([torch.full(allowed.shape, w) for w in (weight, weight, 0.0)])
    force = weight * truth + weight**0.5 * torch.randn(truth.shape, generator=generator)
    quadratic = Quadratic(weights, allowed)
    found = quadratic.solve(force, 200, tolerance=1e-4)
    error = float((found - truth).square().mean().sqrt())
    told = float(likely_error(quadratic, found, generator).square().mean().sqrt())
    plain = float(quadratic.drawn(generator, 20).square().mean().sqrt())
    assert told == pytest.approx(error, rel=0.15)
    if stiffness > 1:
        assert abs(told - error) < 0.5 * abs(plain - error)
