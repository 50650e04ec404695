"""Powell's search over groups, and the identity on which DITR rests."""

import pytest
import torch

from inforeg.solve.powell import powell
from inforeg.solve.search import information_of_counts
from inforeg.transforms import Linear, group


@pytest.mark.parametrize(("kind", "ndim"), [("translation", 2), ("rigid", 3), ("affine", 2)])
def test_it_finds_a_top_without_slopes(kind, ndim):
    zero, radius = torch.zeros(ndim, dtype=torch.float64), 50.0
    which = group(kind, ndim)
    generator = torch.Generator().manual_seed(4)
    truth = which.exp(0.1 * torch.randn(which.size, generator=generator, dtype=torch.float64), zero, radius)
    points = 40 * torch.randn((30, ndim), generator=generator, dtype=torch.float64)

    def value(transform):
        return -float((transform(points) - truth(points)).square().mean())

    found = powell(value, Linear.identity(ndim), which, zero, radius)
    assert float((found.transform(points) - truth(points)).norm(dim=1).max()) < 0.1
    assert found.value == pytest.approx(value(found.transform)) and found.asked > 20
    assert found.trace[0] == value(Linear.identity(ndim)) and len(found.trace) == len(found.path)
    assert found.trace == sorted(found.trace)


def test_the_profile_likelihood_of_a_table_is_minus_its_joint_entropy():
    """Sedghi et al., section 2: with a categorical model, the best model at a pose is the table of its own counts."""
    generator = torch.Generator().manual_seed(0)
    fixed = torch.randint(6, (500,), generator=generator)
    warped = (fixed + torch.randint(2, (500,), generator=generator)) % 6
    counts = torch.zeros(6, 6, dtype=torch.float64)
    counts.index_put_((fixed, warped), torch.ones(500, dtype=torch.float64), accumulate=True)
    best = float((counts / 500)[fixed, warped].log().mean())
    entropy = -float(torch.special.xlogy(counts / 500, counts / 500).sum())
    assert best == pytest.approx(-entropy, abs=1e-12)
    for _ in range(20):
        other = torch.rand(6, 6, generator=generator, dtype=torch.float64)
        assert float((other / other.sum())[fixed, warped].log().mean()) <= best
    # Marginals that no pose changes leave joint entropy and mutual information with one optimum.
    sides = sum(-float(torch.special.xlogy(p, p).sum()) for p in (counts.sum(0) / 500, counts.sum(1) / 500))
    assert float(information_of_counts(counts, 500)) == pytest.approx(sides - entropy, abs=1e-9)
