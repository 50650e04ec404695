"""Climbing an information that is only seen through noise: where it ends, when, and how far each step goes."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from phantoms import RADIUS_MM, error_mm, pose

from inforeg.solve.ascend import ascend
from inforeg.solve.information import Evaluation
from inforeg.solve.newton import Climb
from inforeg.transforms import Linear, group

CENTRE = torch.tensor([4.0, -3.0, 2.0], dtype=torch.float64)


class NoisyBowl:
    """Information that falls with the square of where points are taken, seen through fresh noise every time.

    `noise_mm` is how far the noise of one look would lead a Newton step astray, about; `stiffer` is how much too high
    the curvature is said to be.
    """

    def __init__(
        self, name: str, truth: Linear, noise_mm: float = 0.0, stiffer: float = 1.0, seed: int = 0
    ) -> None:
        d = truth.ndim
        self.group, self.truth, self.stiffer = group(name, d), truth, stiffer
        self.noise = noise_mm / RADIUS_MM / self.group.size**0.5
        self.generator = torch.Generator().manual_seed(seed)
        self.unit = torch.cartesian_prod(*[torch.linspace(-1, 1, 4, dtype=torch.float64)] * d)
        self.points = CENTRE[:d] + RADIUS_MM * self.unit
        self.seen: list[Linear] = []

    def __call__(self, transform: Linear) -> Evaluation:
        self.seen.append(transform)
        d = transform.ndim
        off = (transform(self.points) - self.truth(self.points)) / RADIUS_MM
        slope = torch.einsum("ij,njk->nik", transform.matrix[:d, :d], self.group.velocities(self.unit))
        gradient = -torch.einsum("ni,nik->k", off, slope) / len(off)
        curvature = torch.einsum("nik,nil->kl", slope, slope) / len(off)
        astray = self.noise * torch.randn(len(gradient), generator=self.generator, dtype=torch.float64)
        value = 1 - 0.5 * float(off.square().sum(1).mean())
        return Evaluation(value, gradient + curvature @ astray, self.stiffer * curvature, 1.0)


def run(look: Callable[[Linear], Evaluation], start: Linear, name: str = "rigid", **options: float) -> Climb:
    chosen = {"steps": 60, "tolerance_mm": 0.05, "longest_mm": 20.0, **options}
    d = start.ndim
    return ascend(look, start, group(name, d), CENTRE[:d], RADIUS_MM, **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["translation", "rigid", "similarity", "affine"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_the_top_is_found_and_said_to_be(ndim: int, name: str) -> None:
    bowl = NoisyBowl(name, pose(name, ndim, 0.2, seed=2))
    start = Linear.identity(ndim)
    found = run(bowl, start, name, tolerance_mm=1e-3)
    assert error_mm(start, bowl.truth) > 10
    assert found.status == "converged"
    assert error_mm(found.transform, bowl.truth) < 0.01
    assert len(found.trace) == len(found.path) == len(bowl.seen) < 30
    assert all(a is b for a, b in zip(found.path, bowl.seen, strict=True))
    assert found.path[0] is start
    assert found.evaluation.information == found.trace[-1] > found.trace[0]


@pytest.mark.parametrize("name", ["rigid", "affine"])
def test_the_top_is_found_through_noise(name: str) -> None:
    """To within three times what one look is led astray by."""
    bowl = NoisyBowl(name, pose(name, 2, 0.2, seed=2), noise_mm=0.3)
    found = run(bowl, Linear.identity(2), name)
    assert error_mm(found.transform, bowl.truth) < 0.9


def test_steps_in_one_direction_are_lengthened_and_no_longer_where_they_turn() -> None:
    """A curvature nine times too high makes steps a ninth as long as they should be."""
    truth = pose("rigid", 2, 0.3, seed=2)
    stiff = NoisyBowl("rigid", truth, stiffer=9.0)
    found = run(stiff, Linear.identity(2), longest_mm=1000.0)
    assert found.status == "converged"
    assert error_mm(found.transform, truth) < 1.0
    left = [error_mm(step, truth) for step in found.path]
    kept = [b / a for a, b in pairwise(left)]
    # A ninth at first, more than a third of the way later.
    assert kept[0] > 0.85
    assert min(kept[1:12]) < 0.7
    plain = left[0] * (1 - 1 / 9) ** len(left)
    assert len(left) < 40 and plain > left[-1]
    # It never overshoots to the other side by more than it had come from.
    assert max(kept[:8]) < 1.0


def test_no_step_is_longer_than_it_may_be() -> None:
    truth = Linear.translation(torch.tensor([60.0, 0.0, 0.0], dtype=torch.float64))
    found = run(NoisyBowl("translation", truth), Linear.identity(3), "translation", longest_mm=4.0)
    moved = [float((b.matrix - a.matrix)[:3, 3].norm()) for a, b in pairwise(found.path)]
    assert max(moved) < 4.0 + 1e-6
    assert sum(m > 3.99 for m in moved) >= 12
    assert found.status == "converged"


@pytest.mark.parametrize("seed", range(4))
def test_a_climb_that_only_wanders_ends(seed: int) -> None:
    """Noise of 2 mm never lets two steps be short, so it is the steps' cancelling that ends it."""
    truth = Linear.identity(2)
    found = run(NoisyBowl("affine", truth, noise_mm=2.0, seed=seed), truth, "affine", steps=60)
    assert found.status == "converged"
    assert 6 <= len(found.trace) < 40
    assert error_mm(found.transform, truth) < 8


def test_a_climb_that_is_on_its_way_does_not_end() -> None:
    truth = Linear.translation(torch.tensor([90.0, 0.0], dtype=torch.float64))
    found = run(NoisyBowl("rigid", truth, noise_mm=0.3), Linear.identity(2), longest_mm=3.0, steps=25)
    assert (found.status, len(found.trace)) == ("steps", 25)
    assert error_mm(found.transform, Linear.identity(2)) > 60


def test_the_mean_of_the_last_is_nearer_than_the_last_is() -> None:
    """By half or more, over twelve runs; it takes all its steps, and every one is kept."""
    truth = pose("affine", 2, 0.02, seed=2)
    last, mean = [], []
    for seed in range(12):
        bowl = NoisyBowl("affine", truth, noise_mm=1.0, seed=seed)
        found = run(bowl, truth, "affine", steps=14, averaged=10)
        assert found.status == "converged"
        assert len(found.trace) == len(found.path) == 14
        mean.append(error_mm(found.transform, truth))
        last.append(error_mm(found.path[-1], truth))
    assert sum(mean) < 0.5 * sum(last)


@pytest.mark.parametrize("averaged", [1, 10])
@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["rigid", "similarity", "affine"])
def test_the_result_is_in_its_group(name: str, ndim: int, averaged: int) -> None:
    bowl = NoisyBowl(name, pose("affine", ndim, 0.2, seed=2), noise_mm=1.0)
    found = run(bowl, Linear.identity(ndim), name, steps=14, averaged=averaged).transform.matrix
    linear, eye = found[:ndim, :ndim], torch.eye(ndim, dtype=torch.float64)
    gram = linear.T @ linear
    of_one_size = torch.allclose(gram, gram[0, 0] * eye, atol=1e-9)
    assert of_one_size == (name != "affine")
    assert (abs(float(gram[0, 0]) - 1) < 1e-9) == (name == "rigid")
    assert torch.allclose(found[ndim], torch.eye(ndim + 1, dtype=torch.float64)[ndim], atol=1e-12)
    assert float((linear - eye).abs().max()) > 0.02


def flat(gradient: float, overlap: float) -> Evaluation:
    return Evaluation(0.5, torch.full((6,), gradient).double(), torch.eye(6).double(), overlap)


@pytest.mark.parametrize("averaged", [1, 10])
def test_images_that_do_not_meet_are_said_not_to(averaged: int) -> None:
    start = pose("rigid", 3)
    found = run(lambda _: flat(0.0, 0.0), start, averaged=averaged)
    assert (found.status, found.path, found.trace) == ("no_overlap", [start], [0.5])
    assert torch.equal(found.transform.matrix, start.matrix)


@pytest.mark.parametrize("averaged", [1, 10])
def test_a_slope_that_is_no_number_ends_the_climb_where_it_was(averaged: int) -> None:
    start = pose("rigid", 3)
    looks = iter([flat(0.01, 1.0), flat(float("nan"), 1.0)])
    found = run(lambda _: next(looks), start, averaged=averaged)
    assert found.status == "diverged"
    assert len(found.path) == 2
    assert torch.equal(found.transform.matrix, found.path[1].matrix)
    assert bool(torch.isfinite(found.transform.matrix).all())


def test_no_slope_at_all_leaves_it_where_it_is() -> None:
    start = pose("rigid", 3)
    found = run(lambda _: flat(0.0, 1.0), start)
    assert (found.status, len(found.trace)) == ("converged", 2)
    assert torch.allclose(found.transform.matrix, start.matrix, atol=1e-12)


def test_without_any_curvature_nothing_is_divided_by() -> None:
    """As where the network has learnt nothing yet."""
    start = pose("rigid", 3)
    nothing = Evaluation(0.0, torch.zeros(6).double(), torch.zeros(6, 6).double(), 1.0)
    found = run(lambda _: nothing, start)
    assert found.status == "converged"
    assert torch.allclose(found.transform.matrix, start.matrix, atol=1e-12)
