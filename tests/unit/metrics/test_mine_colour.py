"""Colours: six channels at once, where a joint histogram has more cells than there are samples."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from inforeg.metrics import MINE

SAMPLES = 1 << 15


def colours(rho: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two sets of three Gaussian channels `(1, 3, n)`; each direction of the one tells of one of the other."""
    generator = torch.Generator().manual_seed(seed)
    x, e = torch.randn(2, 3, SAMPLES, generator=generator)
    # A rotation: no channel is a function of a single other one.
    mix = torch.linalg.matrix_exp(torch.tensor([[0.0, -1.1, 0.6], [1.1, 0.0, -0.8], [-0.6, 0.8, 0.0]]))
    y = mix @ (rho * x + math.sqrt(1 - rho**2) * e)
    return x[None], y[None]


def nats(rho: float) -> float:
    """The information of all three channels."""
    return -1.5 * math.log(1 - rho**2)


def counted(x: Tensor, y: Tensor, bins: int) -> float:
    """Mutual information from a joint histogram of six axes, each cut into parts of equally many samples."""
    edges = torch.arange(1, bins) / bins

    def cell(values: Tensor) -> Tensor:
        parts = [torch.bucketize(v, torch.quantile(v, edges)) for v in values.contiguous()]
        return parts[0] * bins**2 + parts[1] * bins + parts[2]

    a, b = cell(x[0]), cell(y[0])

    def entropy(cells: Tensor) -> float:
        share = torch.unique(cells, return_counts=True)[1].double() / cells.numel()
        return float(-(share * share.log()).sum())

    return entropy(a) + entropy(b) - entropy(a * bins**3 + b)


@cache
def learnt(rho: float) -> float:
    """MINE's value for samples that it was not trained with."""
    x, y = colours(rho, seed=0)
    metric = MINE(channels=(3, 3), hidden=64, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(metric.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 350)
    draw = torch.Generator().manual_seed(1)
    for _ in range(350):
        seen = torch.randint(SAMPLES, (4096,), generator=draw)
        optimiser.zero_grad()
        metric(x[..., seen], y[..., seen]).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return -float(metric.eval()(*colours(rho, seed=2)))


@pytest.mark.parametrize("rho", [0.5, 0.8])
def test_of_six_channels_it_is_within_5_percent(rho: float) -> None:
    assert learnt(rho) == pytest.approx(nats(rho), rel=0.05)


def test_of_six_channels_that_are_independent_it_is_zero() -> None:
    assert abs(learnt(0.0)) < 0.02


def test_no_number_of_bins_serves_a_histogram_of_six_axes() -> None:
    """Few are too coarse, many are mostly empty: none comes within the 5 % and the 0.02 nats that the network does."""
    dependent, independent = colours(0.8, seed=2), colours(0.0, seed=2)
    found = {
        bins: (counted(*dependent, bins), counted(*independent, bins)) for bins in (2, 3, 4, 5, 6, 8, 16)
    }
    good = [
        bins for bins, (much, none) in found.items() if abs(much / nats(0.8) - 1) < 0.05 and abs(none) < 0.02
    ]
    assert not good
    # With two bins half of it is lost; with eight, what is found is the number of samples.
    assert found[2][0] < 0.5 * nats(0.8)
    assert found[8][1] > 1.0 and found[16][1] > 0.8 * found[16][0]


def test_the_histogram_is_right_where_it_can_be() -> None:
    """What fails above is six axes and not the count: of one channel each it is within 5 % and 0.02 nats."""
    one = [values[:, :1].expand(1, 3, -1) for values in colours(0.0, seed=2)]
    assert abs(counted(*one, 12)) < 0.02
    x, e = torch.randn(2, 1, SAMPLES, generator=torch.Generator().manual_seed(5))
    y = 0.8 * x + 0.6 * e
    pair = [values[None].expand(1, 3, -1) for values in (x, y)]
    assert counted(*pair, 24) == pytest.approx(nats(0.8) / 3, rel=0.05)
