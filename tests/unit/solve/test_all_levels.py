"""The loop of DRMIME, piece by piece: what one step looks at, and what it costs."""

from typing import Any, Literal

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from inforeg.image import Image
from inforeg.image.sample import sample
from inforeg.metrics import MINE
from inforeg.metrics.statistics_network import StatisticsNetwork
from inforeg.solve.all_levels import AllLevels, DirectEntries, Look, descend, on_voxels
from inforeg.solve.octaves import normalised_frame, octaves
from inforeg.solve.positions import Choice, Positions
from inforeg.space import Grid
from inforeg.transforms import Linear, group

EVERYWHERE = Choice(kind="random", share=1.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def image(shape: tuple[int, ...] = (40, 32), channels: int = 2, seed: int = 0) -> Image:
    values = torch.rand(1, channels, *shape, generator=seeded(seed))
    d = len(shape)
    matrix = torch.eye(d + 1, dtype=torch.float64)
    matrix[:d, :d] = torch.diag(torch.linspace(1.5, 0.8, d)).double()
    matrix[0, 1] = 0.2
    matrix[:d, d] = torch.linspace(-30, 12, d)
    return Image(values, Grid(shape, matrix))


def looks(
    fixed: Image,
    moving: Image,
    start: Linear | None = None,
    levels: int = 2,
    choice: Choice = EVERYWHERE,
    **settings: Any,
) -> list[Look]:
    start = start or Linear.identity(fixed.grid.ndim)
    made = []
    for number, (f, m) in enumerate(zip(octaves(fixed, levels), octaves(moving, levels), strict=True)):
        frame = normalised_frame(f.image.grid, isotropic=False)
        made.append(
            Look(
                Positions(f.image, choice, None, seeded()),
                on_voxels(m.image, rim=1),
                frame @ f.image.grid.voxel_to_world,
                m.image.grid.world_to_voxel @ start.matrix @ torch.linalg.inv(frame),
                finest=number == 0,
                **settings,
            )
        )
    return made


def objective(these: list[Look], ndim: int = 2, hidden: int = 16, **settings: Any) -> AllLevels:
    network = StatisticsNetwork(4, hidden, seeded(1))
    return AllLevels(these, group("affine", ndim), network, seeded(2), **settings)


def bent(ndim: int, size: float = 0.05) -> Tensor:
    """A matrix in the frame of the parameters, projective too."""
    which = group("projective", ndim)
    v = size * (2 * torch.rand(which.size, generator=seeded(4), dtype=torch.float64) - 1)
    return which.matrix(v)


@pytest.mark.parametrize("shape", [(40, 32), (24, 20, 16)])
def test_every_level_reads_where_the_transform_in_the_world_leads(shape: tuple[int, ...]) -> None:
    """One matrix means the same in the world at all levels, and so do the samples: those of the plain way."""
    fixed, moving = image(shape), image(shape, seed=1)
    start = Linear.translation(torch.linspace(1, 2, len(shape), dtype=torch.float64))
    frame = normalised_frame(fixed.grid, isotropic=False)
    matrix = bent(len(shape))
    world = Linear(start.matrix @ torch.linalg.inv(frame) @ matrix @ frame)
    both = zip(looks(fixed, moving, start), octaves(fixed, 2), octaves(moving, 2), strict=True)
    for look, f, m in both:
        here, there = look.samples(matrix, seeded(3))
        voxels, values = look.positions.draw(seeded(3))
        moved = world(f.image.grid.to_world(voxels.double()))
        expected, _ = sample(m.image, moved[None].float())
        well_inside = (m.image.grid.to_voxel(moved) > 0.1).all(dim=1)
        well_inside &= (m.image.grid.to_voxel(moved) < torch.tensor(m.image.grid.shape) - 1.1).all(dim=1)
        assert torch.equal(here, values)
        assert 0.3 < float(well_inside.float().mean()) < 1
        assert torch.allclose(there[well_inside], expected[0].T[well_inside], atol=1e-4)


def test_beyond_the_moving_image_are_zeros_as_pytorch_pads_with_them() -> None:
    fixed, moving = image(), image(seed=1)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[0, 2], matrix[1, 0] = 0.4, 0.2
    look = looks(fixed, moving, levels=1)[0]
    _, there = look.samples(matrix, seeded(3))
    voxels, _ = look.positions.draw(seeded(3))
    size = torch.tensor(fixed.grid.shape)
    u = (2 * voxels + 1) / size - 1
    u = u @ matrix[:2, :2].T.float() + matrix[:2, 2].float()
    level = octaves(moving, 1)[0].image.data
    expected = functional.grid_sample(
        level, u.flip(-1)[None, None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    assert torch.allclose(there.T, expected[0, :, 0], atol=1e-5)
    assert 0.1 < float((there == 0).all(dim=1).float().mean()) < 0.5


def test_what_is_behind_infinity_is_in_no_image() -> None:
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[2, 0] = 2.0
    look = looks(image(), image(seed=1), levels=1)[0]
    voxels, _ = look.positions.draw(seeded(3))
    _, there = look.samples(matrix, seeded(3))
    behind = voxels[:, 0] < 9
    assert bool((there[behind] == 0).all()) and bool(torch.isfinite(there).all())
    assert bool((there[~behind] > 0).any())


def test_samples_beyond_are_left_out_if_asked() -> None:
    fixed, moving = image(), image(seed=1)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[0, 2] = 0.5
    look = looks(fixed, moving, levels=1, drop=True)[0]
    look = Look(look.positions, on_voxels(octaves(moving, 1)[0].image), look.before, look.after, drop=True)
    here, there = look.samples(matrix, seeded(3))
    # A quarter of the width lies beyond.
    assert len(here) == len(there) == 30 * 32


def test_samples_outside_the_moving_mask_are_left_out() -> None:
    fixed, moving = image(), image(seed=1)
    # A mask on a grid of its own: the left half, as the world has it.
    inside = torch.zeros(1, 1, 20, 16)
    inside[:, :, :10] = 1
    scaled = moving.grid.voxel_to_world.clone()
    scaled[:2, :2] *= 2
    scaled[:2, 2] = moving.grid.to_world(torch.tensor([0.5, 0.5], dtype=torch.float64))
    mask = Image(inside, Grid((20, 16), scaled))
    look = looks(fixed, moving, levels=1, mask=on_voxels(mask, moving.grid))[0]
    here, there = look.samples(torch.eye(3, dtype=torch.float64), seeded(3))
    assert len(here) == len(there) == 20 * 32
    # The world is the same for both images: what is left is the left half of the fixed one.
    half = octaves(fixed, 1)[0].image.data[0][:, :20]
    assert torch.equal(here, half.permute(2, 1, 0).reshape(-1, 2))


@pytest.mark.parametrize("correction", ["none", "ema"])
def test_the_cost_of_a_level_is_what_mine_says(correction: Literal["none", "ema"]) -> None:
    """Value and gradient, over several steps of one level."""
    made = objective(looks(image(), image(seed=1), levels=1), bias_correction=correction, rate=0.3)
    mine = MINE(channels=(2, 2), hidden=16, bias_correction=correction, rate=0.3)
    mine.generator = seeded(2)
    mine.network.load_state_dict(made.network.state_dict())
    for shift in (0.0, 0.05, 0.1):
        with torch.no_grad():
            made.shared[0] = shift
        cost, matrix = made()
        (slope,) = torch.autograd.grad(cost, made.network.weights[0])
        fixed, moving = made.looks[0].samples(matrix, seeded(3))
        expected = mine(fixed.T[None], moving.T[None])
        (wanted,) = torch.autograd.grad(expected, mine.network.weights[0])
        assert float(cost.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
        torch.testing.assert_close(slope, wanted, rtol=1e-4, atol=1e-6)


def test_levels_count_alike_whatever_their_size() -> None:
    """The mean of the levels' own values, drawn one after the other from the same stream."""
    these = looks(image(), image(seed=1))
    together, _ = objective(these)()
    generator, costs = seeded(2), []
    for look in these:
        one = objective([look])
        one.generator = generator
        costs.append(one()[0])
    assert float(together.detach()) == pytest.approx(float(torch.stack(costs).mean().detach()), abs=1e-6)


def test_running_means_are_one_a_level() -> None:
    made = objective(looks(image(), image(seed=1)), bias_correction="ema")
    made()
    assert sorted(made._running) == [0, 1]


@pytest.mark.parametrize("finest_vector", [True, False])
def test_the_finest_levels_own_parameters_get_their_slope_from_it_alone(finest_vector: bool) -> None:
    these = looks(image(), image(seed=1), levels=2)
    both = objective(these, finest_vector=finest_vector)
    both()[0].backward()
    assert both.shared.grad is not None
    alone, coarse = objective(these[:1]), objective(these[1:])
    alone()[0].backward()
    coarse()[0].backward()
    assert coarse.finest.grad is None or float(coarse.finest.grad.abs().max()) == 0
    assert alone.finest.grad is not None and alone.shared.grad is not None
    assert torch.equal(alone.finest.grad, alone.shared.grad)
    if not finest_vector:
        assert both.finest.grad is None
        return
    # Half of what it is alone, as there are two levels; the shuffles of the first level are the same.
    assert both.finest.grad is not None
    assert torch.allclose(both.finest.grad, 0.5 * alone.finest.grad, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(both.shared.grad, both.finest.grad, rtol=1e-2)


def test_backwards_it_asks_the_inverse() -> None:
    """From the moving image's voxels to the fixed ones, by minus the parameters; the fixed side stays first."""
    fixed, moving = image(), image(seed=1)
    forward = looks(fixed, moving, levels=1)[0]
    level = octaves(fixed, 1)[0].image
    backward = Look(
        Positions(octaves(moving, 1)[0].image, EVERYWHERE, None, seeded()),
        on_voxels(level, rim=1),
        torch.linalg.inv(forward.after),
        torch.linalg.inv(forward.before),
        from_moving=True,
        finest=True,
    )
    made = objective([forward, backward])
    with torch.no_grad():
        made.shared += 0.03
        made.finest += 0.01
    matrices = made.matrices()
    assert len(matrices) == 4
    product = matrices[1] @ matrices[3]
    assert torch.allclose(product, torch.eye(3).double(), atol=1e-12)
    here, there = backward.samples(matrices[3], seeded(3))
    voxels, values = backward.positions.draw(seeded(3))
    assert torch.equal(there, values)
    way = backward.after @ torch.linalg.inv(matrices[1]) @ backward.before
    expected, _ = sample(on_voxels(level, rim=1), Linear(way)(voxels.double())[None].float())
    assert torch.allclose(here, expected[0].T, atol=1e-4)


def test_blocks_change_nothing() -> None:
    """More samples than the network is shown at a time."""
    made = objective(looks(image((90, 80)), image((90, 80), seed=1), levels=1))
    x, z = torch.rand(2, 9001, 2, generator=seeded())
    torch.testing.assert_close(made._scores(x, z), made.network(x, z))


@pytest.mark.parametrize(
    ("ndim", "projective", "size"), [(2, False, 6), (2, True, 8), (3, False, 12), (3, True, 15)]
)
def test_entries_of_the_matrix_may_be_the_parameters(ndim: int, projective: bool, size: int) -> None:
    entries = DirectEntries(ndim, projective)
    assert entries.size == size
    eye = torch.eye(ndim + 1, dtype=torch.float64)
    assert torch.equal(entries.matrix(torch.zeros(size, dtype=torch.float64)), eye)
    v = torch.arange(1.0, 2 * size + 1, dtype=torch.float64).reshape(2, size)
    added = (entries.matrix(v) - eye).reshape(2, -1)
    assert torch.equal(added[:, :size], v) and bool((added[:, size:] == 0).all())


def rates(**changes: float) -> dict[str, float]:
    return {"network_rate": 1e-3, "rate": 5e-3, "finest_rate": 1e-4, **changes}


def test_a_first_step_is_as_long_as_each_rate() -> None:
    """Adam's first step is the rate, whatever the slope: three groups, three rates."""
    made = objective(looks(image(), image(seed=1)))
    before = made.network.weights[1].detach().clone()
    ended = descend(made, steps=1, **rates())
    assert made.shared.detach().abs().tolist() == pytest.approx([5e-3] * 6, rel=1e-3)
    assert made.finest.detach().abs().tolist() == pytest.approx([1e-4] * 6, rel=1e-3)
    moved = (made.network.weights[1].detach() - before).abs()
    assert float(moved.max()) == pytest.approx(1e-3, rel=1e-2)
    # What is reported is where the cost was asked for; what is kept, where the step led.
    assert torch.equal(ended.matrices[0], torch.eye(3).double())
    assert torch.equal(ended.matrix, made.matrices()[1].detach())
    assert (len(ended.costs), ended.status) == (1, "steps")


def test_shares_of_the_way_are_told() -> None:
    told: list[float] = []
    descend(objective(looks(image(), image(seed=1))), steps=25, report=told.append, **rates())
    assert told == pytest.approx([0.0, 0.4, 0.8])


def test_nothing_in_view_is_said_and_the_start_is_kept() -> None:
    far = Linear.translation(torch.tensor([5000.0, 0.0], dtype=torch.float64))
    these = looks(image(), image(seed=1), far, drop=True)
    ended = descend(objective(these), steps=5, **rates())
    assert (ended.status, ended.costs) == ("no_overlap", [])
    assert torch.equal(ended.matrix, torch.eye(3).double())


def test_a_run_that_leaves_all_numbers_is_said_and_ends_with_numbers() -> None:
    made = objective(looks(image(), image(seed=1)))
    ended = descend(made, steps=20, **rates(rate=1e4))
    assert ended.status == "diverged"
    assert bool(torch.isfinite(ended.matrix).all())
    assert len(ended.costs) == len(ended.matrices) < 20
