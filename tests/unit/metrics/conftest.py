import math

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread(one_thread):
    """Small networks lose more than they gain by sharing their work out."""


@pytest.fixture
def gaussian_pair():
    """Correlated Gaussian images `(1, 1, n)` and their mutual information in nats, `-log(1 - rho^2) / 2`.

    Both are made of the quantiles of the normal distribution in random order and are correlated by exactly
    rho, so that what is left of the sampling error is small.
    """

    def make(rho, n, seed=0):
        generator = torch.Generator().manual_seed(seed)
        quantiles = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)
        x = quantiles[torch.randperm(n, generator=generator)]
        e = quantiles[torch.randperm(n, generator=generator)]
        e = e - (e @ x) / (x @ x) * x
        y = rho * x + math.sqrt(1 - rho**2) * e / e.square().mean().sqrt()
        return x.float()[None, None], y.float()[None, None], -0.5 * math.log(1 - rho**2)

    return make
