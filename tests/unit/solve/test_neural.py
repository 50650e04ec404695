"""Information by a network that learns on the way: its slopes and curvature, and what lies outside."""

import pytest
import torch
from phantoms import RADIUS_MM, field_of_view, phantom, pose

from inforeg.image import Image
from inforeg.image.pyramid import pyramid
from inforeg.solve.neural import Learning, NeuralInformation
from inforeg.solve.sampler import Stratified
from inforeg.solve.sight import Sight, sights
from inforeg.space import Grid
from inforeg.transforms import Linear, group

CENTRE = torch.tensor([4.0, -3.0], dtype=torch.float64)
QUICK = Learning(hidden=32, rate=1e-2, batch=512, warm_up=40, between=5)


def colours(contrasts: str, transform: Linear | None = None) -> Image:
    """One channel for each contrast, with voxels of 3 mm."""
    grid = field_of_view(2, 3.0)
    channels = [phantom(grid, name, transform, seed=k).data for k, name in enumerate(contrasts.split())]
    return Image(torch.cat(channels, dim=1), grid)


def shown(image: Image) -> list[Sight]:
    return sights([level.image for level in pyramid(image, [3.0 * 2**k for k in range(4)])])


def cells(half_mm: float = 45.0) -> Stratified:
    """Positions in a square about the head's centre, well inside every image here."""
    n = round(half_mm / 4.0)
    axis = torch.arange(-n, n + 1, dtype=torch.float64)
    return Stratified(
        Grid((1, 1), torch.diag(torch.tensor([4.0, 4.0, 1.0], dtype=torch.float64))),
        torch.cartesian_prod(axis, axis),
    )


def information(
    fixed: Image,
    moving: Image,
    mask: Image | None = None,
    learning: Learning = QUICK,
    seed: int = 0,
    where: Stratified | None = None,
) -> NeuralInformation:
    return NeuralInformation(
        shown(fixed),
        shown(moving),
        CENTRE,
        RADIUS_MM,
        where or cells(),
        learning,
        torch.Generator().manual_seed(seed),
        mask,
    )


def trained(about: NeuralInformation, there: Linear, levels: tuple[int, ...], rounds: int = 60) -> None:
    """Rounds of learning at one place, after which the network stays as it is."""
    for _ in range(rounds):
        about.learn(about.see(there, levels, 4000), 5, 512)
    for settings in about.optimiser.param_groups:
        settings["lr"] = 0.0


def value(about: NeuralInformation, there: Linear, level: int, count: int, state: torch.Tensor) -> float:
    """The network's own bound at a place, on the samples and partners that a generator's state stands for."""
    about.generator.set_state(state)
    (seen,) = about.see(there, (level,), count)
    return seen.overlap * about.information(seen)


@pytest.fixture(scope="module")
def learnt() -> tuple[NeuralInformation, Linear]:
    """A network that has learnt a pair some 3 mm off, and goes no further."""
    there = pose("rigid", 2, 0.06, seed=2)
    about = information(colours("t1 pd"), colours("t2 t1"))
    trained(about, there, (0,))
    return about, there


def test_the_gradient_is_that_of_the_networks_own_value(learnt: tuple[NeuralInformation, Linear]) -> None:
    """Within a twentieth, of the bound by finite differences along every parameter, its logarithm of a mean included.

    That term is left out of the gradient, because it stays as it is where the network is trained.
    """
    (about, there), which = learnt, group("projective", 2)
    state = about.generator.get_state()
    found = about(there, which, (0,), 20_000, 512).gradient
    step, expected = 2e-3, torch.zeros(which.size, dtype=torch.float64)
    for k in range(which.size):
        along = step * torch.eye(which.size, dtype=torch.float64)[k]
        ends = (
            value(
                about, Linear(there.matrix @ which.exp(s * along, CENTRE, RADIUS_MM).matrix), 0, 20_000, state
            )
            for s in (1, -1)
        )
        expected[k] = (next(ends) - next(ends)) / (2 * step)
    assert float(expected.norm()) > 2
    assert float((found - expected).norm()) < 0.05 * float(expected.norm())


@pytest.mark.parametrize("name", ["rigid", "projective"])
def test_curvature_is_positive_and_the_step_it_gives_gains(
    learnt: tuple[NeuralInformation, Linear], name: str
) -> None:
    (about, there), which = learnt, group(name, 2)
    found = about(there, which, (0,), 4000, 512)
    assert torch.equal(found.curvature, found.curvature.T)
    assert float(torch.linalg.eigvalsh(found.curvature)[0]) > 0
    step = torch.linalg.solve(found.curvature, found.gradient)
    state = about.generator.get_state()
    moved = Linear(there.matrix @ which.exp(step, CENTRE, RADIUS_MM).matrix)
    gained = value(about, moved, 0, 4000, state) - value(about, there, 0, 4000, state)
    assert gained > 0.02


def test_all_levels_stand_in_one_mean() -> None:
    about, there, which = (
        information(colours("t1"), colours("t2")),
        pose("rigid", 2, 0.06),
        group("affine", 2),
    )
    trained(about, there, (0, 1), rounds=10)
    state = about.generator.get_state()
    found = []
    for levels in ((0, 1), (0,), (1,)):
        about.generator.set_state(state)
        found.append(about(there, which, levels, 4000, 512))
    both, fine, coarse = found
    assert torch.allclose(both.gradient, (fine.gradient + coarse.gradient) / 2, rtol=1e-4, atol=1e-5)
    assert torch.allclose(both.curvature, (fine.curvature + coarse.curvature) / 2, rtol=1e-4, atol=1e-5)
    assert float(fine.gradient.norm()) > 0.05 and float(coarse.gradient.norm()) > 0.05


def test_the_same_places_are_seen_on_all_levels() -> None:
    about = information(colours("t1"), colours("t2"))
    fine, coarse = about.see(Linear.identity(2), (0, 1), 3000)
    assert torch.equal(fine.points, coarse.points)
    assert fine.fixed.shape == coarse.fixed.shape == (len(fine.points), 2)
    assert fine.slopes.shape == (len(fine.points), 2, 2)
    again = about.see(Linear.identity(2), (0,), 3000)[0]
    assert not torch.equal(fine.points[:100], again.points[:100])
    world = CENTRE + RADIUS_MM * fine.points.double()
    assert 40 < float(world.abs().max()) < 48


def half_of(image: Image) -> Image:
    """A mask of the half with x above zero."""
    data = torch.zeros(1, 1, *image.grid.shape)
    data[:, :, image.grid.shape[0] // 2 :] = 1
    return Image(data, image.grid)


@pytest.mark.parametrize("how", ["mask", "cut"])
def test_what_lies_outside_tells_nothing_and_weighs_nothing(how: str) -> None:
    """Half of the samples outside, by a mask or by the image's end: half the overlap, half the gradient."""
    fixed, moving, which = colours("t1"), colours("t2"), group("rigid", 2)
    there = pose("rigid", 2, 0.06, seed=2)
    mask = half_of(moving)
    if how == "mask":
        cut = information(fixed, moving, mask)
    else:
        n = moving.grid.shape[0] // 2
        matrix = moving.grid.voxel_to_world.clone()
        matrix[0, 2] += n * 3.0
        cut = information(fixed, Image(moving.data[:, :, n:].clone(), Grid((n, 2 * n), matrix)))
    (part,) = cut.see(there, (0,), 6000)
    moved = there(CENTRE + RADIUS_MM * part.points.double())
    assert float(moved[:, 0].min()) > -0.01
    assert 0.4 < part.overlap < 0.6
    assert len(part.fixed) == len(part.moving) == len(part.slopes) == len(part.points)
    trained(cut, there, (0,), rounds=10)
    state = cut.generator.get_state()
    found = cut(there, which, (0,), 6000, 512)
    assert found.overlap == pytest.approx(0.5, abs=0.1)
    # What is inside alone, sample by sample, and how many there are of them.
    cut.generator.set_state(state)
    (part,) = cut.see(there, (0,), 6000)
    assert found.information < 0.6 * cut.information(part)
    alone = information(fixed, moving, mask if how == "mask" else None, where=only(there, cells()))
    alone.metric.load_state_dict(cut.metric.state_dict())
    trained(alone, there, (0,), rounds=0)
    if how == "mask":
        inside = alone(there, which, (0,), 6000, 512)
        assert inside.overlap == 1.0
        share = float(found.gradient @ inside.gradient) / float(inside.gradient.norm()) ** 2
        assert share == pytest.approx(found.overlap, rel=0.25)


def only(there: Linear, among: Stratified) -> Stratified:
    """The cells that are taken well into the half with x above zero."""
    kept = there(among.grid.to_world(among.cells))[:, 0] > 2.5
    return Stratified(among.grid, among.cells[kept])


def test_no_overlap_is_said_and_nothing_is_learnt() -> None:
    about, which = information(colours("t1"), colours("t2")), group("affine", 2)
    away = Linear.translation(torch.tensor([900.0, 0.0], dtype=torch.float64))
    before = [p.detach().clone() for p in about.metric.parameters()]
    found = about(away, which, (0, 1), 2000, 512)
    assert (found.overlap, found.information) == (0.0, 0.0)
    assert found.gradient.tolist() == [0.0] * which.size
    assert all(torch.equal(a, b) for a, b in zip(before, about.metric.parameters(), strict=True))
    # It can still be asked elsewhere.
    assert about(Linear.identity(2), which, (0, 1), 2000, 512).overlap == 1.0


def test_a_mask_without_any_is_no_overlap() -> None:
    moving = colours("t2")
    nothing = Image(torch.zeros(1, 1, *moving.grid.shape), moving.grid)
    about = information(colours("t1"), moving, nothing)
    assert about(Linear.identity(2), group("rigid", 2), (0,), 2000, 512).overlap == 0.0


def test_it_learns_what_the_images_tell_and_that_others_tell_nothing() -> None:
    """Related: over 0.4 nats on samples it has not seen; noise beside noise: none beyond 0.05."""
    generator = torch.Generator().manual_seed(3)
    grid = field_of_view(2, 3.0)
    noise = [Image(torch.randn(1, 1, *grid.shape, generator=generator), grid) for _ in range(2)]
    told = []
    for fixed, moving in ((colours("t1"), colours("t2")), noise):
        about = information(fixed, moving)
        trained(about, Linear.identity(2), (0,), rounds=15)
        told.append(about.information(about.see(Linear.identity(2), (0,), 8000)[0]))
    assert told[0] > 0.4
    assert abs(told[1]) < 0.05


def test_more_is_learnt_before_the_first_step_than_between_steps() -> None:
    learning = Learning(hidden=8, warm_up=3, between=1)
    about = information(colours("t1"), colours("t2"), learning=learning)
    steps = []
    about.learn = lambda _seen, count, _batch: steps.append(count)  # type: ignore[method-assign]
    for _ in range(3):
        about(Linear.identity(2), group("rigid", 2), (0,), 500, 64)
    assert steps == [3, 1, 1]


def test_the_same_generator_gives_the_same_numbers_and_the_global_stream_is_left_alone() -> None:
    fixed, moving, which = colours("t1 pd"), colours("t2"), group("rigid", 2)
    before = torch.random.get_rng_state()
    runs = []
    for seed in (5, 5, 6):
        about = information(fixed, moving, seed=seed)
        runs.append([about(Linear.identity(2), which, (0, 1), 1000, 256) for _ in range(2)])
    assert torch.equal(torch.random.get_rng_state(), before)
    for one, same, other in zip(*runs, strict=True):
        assert one.information == same.information != other.information
        assert torch.equal(one.gradient, same.gradient) and torch.equal(one.curvature, same.curvature)
        assert not torch.equal(one.gradient, other.gradient)
