"""A level of which several channels are compared: it pulls as they do together."""

import pytest
import torch
from strategies import rotation
from torch import Tensor

from inforeg.image import Image
from inforeg.solve.dense.lattice import Lattice
from inforeg.solve.dense.level import Look
from inforeg.solve.dense.told import Told
from inforeg.space import Grid
from inforeg.transforms import Linear


class Towards:
    """Pulls warped intensities to fixed ones, so much, and promises so much curvature, in each channel."""

    def __init__(self, fixed: Tensor, pull: list[float], curvature: list[float]) -> None:
        self.fixed, self.pull, self.curvature = fixed, pull, curvature

    def __call__(self, warped: Tensor, inside: Tensor) -> Told:
        pull, curvature = (
            torch.tensor(values).reshape(-1, *[1] * inside.ndim) for values in (self.pull, self.curvature)
        )
        if warped.ndim == inside.ndim:
            pull, curvature = pull[0], curvature[0]
        away = (self.fixed - warped) * inside
        return Told(pull * away, curvature * torch.ones_like(away) * inside, 1.0)

    def chance(self, samples: float) -> float:
        return 0.0


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("shape", "mm"), [((24, 20), (2.0, 3.0)), ((12, 10, 9), (2.0, 2.0, 4.0))])
@pytest.mark.parametrize("masked", [False, True])
def test_channels_pull_together(shape: tuple[int, ...], mm: tuple[float, ...], masked: bool) -> None:
    """Forces and weights are the sums of those of each alone; the mask of the moving image comes last."""
    d = len(shape)
    grid = Grid.from_spacing(shape, mm)
    box = (slice(1, shape[0]), *[slice(0, n) for n in shape[1:]])
    inside = tuple(part.stop - part.start for part in box)
    fixed, data = random(3, *inside), random(1, 3, *shape, seed=1)
    mask = (random(1, 1, *shape, seed=2) > 0.2).float()
    turn = rotation([0.3] if d == 2 else [0.3, -0.2, 0.1])
    still = torch.zeros(d, dtype=torch.float64)
    linear = Linear.about(turn, still, still)
    lattice = Lattice.over(grid, 8.0)
    nodes = 2 * torch.randn(d, *lattice.grid.shape, generator=torch.Generator().manual_seed(3))

    def look(channels: Tensor, compared: Tensor, pull: list[float]) -> Look:
        seen = torch.cat((channels, mask), 1) if masked else channels
        likeness = Towards(compared, pull, [2 * p for p in pull])
        inner = torch.ones(inside)
        return Look(grid, box, Image(seen, grid), likeness, linear, lattice, inner, channels.shape[1])

    whole = look(data, fixed, [1.0, 2.0, 3.0])
    looks = [look(data[:, c : c + 1], fixed[c], [c + 1.0]) for c in range(3)]
    found, alone = whole.evidence(nodes, 1.0, 8.0), [one.evidence(nodes, 1.0, 8.0) for one in looks]
    force = torch.stack([one.force for one in alone]).sum(0)
    weights = torch.stack([one.weights for one in alone]).sum(0)
    assert torch.allclose(found.force, force, atol=1e-4 * float(force.abs().max()))
    assert torch.allclose(found.weights, weights, atol=1e-4 * float(weights.abs().max()))
    assert whole.told(nodes)[0].shape == (3, *inside)
    assert looks[0].told(nodes)[0].shape == inside


def test_channels_that_say_the_same_are_worth_less() -> None:
    """Three times the same channel is one witness and not three: what voxels are worth is a third of it."""
    shape = (60, 60)
    grid = Grid.from_spacing(shape, 2.0)
    fixed, moving = random(*shape), random(1, 1, *shape, seed=1)
    lattice = Lattice.over(grid, 8.0)
    worth = []
    for times in (1, 3):
        data = moving.expand(1, times, *shape).contiguous()
        # Pulls as strong as promised, and more, so that nothing is capped at one.
        likeness = Towards(fixed if times == 1 else fixed.expand(times, *shape), [3.0] * times, [0.1] * times)
        box, inner = tuple(slice(0, n) for n in shape), torch.ones(shape)
        seen = Look(grid, box, Image(data, grid), likeness, Linear.identity(2), lattice, inner, times)
        worth.append(seen.evidence(torch.zeros(2, *lattice.grid.shape), None, 16.0).independence)
    assert 0 < worth[1] < worth[0] < 1
    assert worth[1] == pytest.approx(worth[0] / 3, rel=1e-3)
