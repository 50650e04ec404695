import math

import pytest
import torch
from torch import Tensor

from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.solve.response import response


class Formula(StatisticsNetwork):
    """A network that knows by heart which of two classes belong together, and is off by a constant."""

    def forward(self, fixed: Tensor, warped: Tensor) -> Tensor:
        together = (fixed.mean(dim=1) > 0.5) == (warped.mean(dim=1) > 0.5)
        return torch.where(together, 3.0 + math.log(2), -20.0)


def network(inputs: int) -> Formula:
    return Formula(inputs, 2, torch.Generator().manual_seed(0))


def classes(channels: int, n: int = 4000) -> Tensor:
    """Half dark, half bright, in turn."""
    return (torch.arange(n) % 2).float()[:, None].expand(n, channels).clone()


def test_pairs_that_belong_together_are_above_nought_by_their_log_ratio() -> None:
    """Two equal classes: met together twice as often as by chance, whatever constant the score is off by."""
    x = classes(1)
    fixed, moving, nats, counts, _ = response(network(2), x, x, size=9)
    assert nats.shape == (9, 9)
    assert torch.allclose(fixed, torch.linspace(0, 1, 9)) and torch.equal(fixed, moving)
    assert float(nats[0, 0]) == pytest.approx(math.log(2), abs=1e-2)
    assert float(nats[8, 8]) == pytest.approx(math.log(2), abs=1e-2)
    assert float(nats[0, 8]) < -10 > float(nats[8, 0])
    assert counts.tolist() == [2000, *[0] * 7, 2000]


def test_rows_are_of_the_fixed_image() -> None:
    class Slope(Formula):
        def forward(self, fixed: Tensor, warped: Tensor) -> Tensor:
            return 5 * fixed[:, 0] + 0 * warped[:, 0]

    _, _, nats, _, _ = response(Slope(2, 2, torch.Generator()), classes(1), classes(1), size=5)
    assert bool((nats[1:] > nats[:-1]).all()) and torch.allclose(nats[:, 0], nats[:, -1])


def test_intensities_come_back_in_the_images_own_units() -> None:
    fixed, moving, _, _, _ = response(
        network(2), classes(1), classes(1), size=3, fixed_scale=(100.0, 800.0), moving_scale=(-5.0, 2.0)
    )
    assert fixed.tolist() == [100.0, 500.0, 900.0]
    assert moving.tolist() == [-5.0, -4.0, -3.0]


def test_colours_are_places_on_the_first_component_about_its_mean() -> None:
    x = classes(3)
    colour, grey, nats, counts, grey_counts = response(
        network(4), x, classes(1), size=5, fixed_scale=(10.0, 255.0)
    )
    half = 255 * math.sqrt(3) / 2
    assert colour.tolist() == pytest.approx([-half, -half / 2, 0, half / 2, half], abs=1e-2)
    assert grey.tolist() == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert int(counts.sum()) == int(grey_counts.sum()) == 4000
    # Bright stays bright.
    assert float(nats[-1, -1]) > 0 > float(nats[-1, 0])


def test_a_side_without_contrast_is_no_trouble() -> None:
    for channels in (1, 2):
        flat = torch.full((50, channels), 0.25)
        places, _, nats, counts, _ = response(network(channels + 1), flat, classes(1, 50), size=4)
        assert bool(torch.isfinite(nats).all()) and bool(torch.isfinite(places).all())
        assert int(counts.sum()) == 50
