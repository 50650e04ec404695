import pytest
import torch
from phantoms import RADIUS_MM, error_mm, field_of_view, moved_view, phantom, turn

from inforeg.image import Image, find_foreground
from inforeg.metrics import MSE, NCC, MutualInformation
from inforeg.models import LinearUnknowns
from inforeg.solve.objective import SampledObjective
from inforeg.solve.sampler import Stratified
from inforeg.transforms import Linear, group

TRUTH = turn(8.0, 2, (6.0, -4.0))


def pair(contrast: str = "t1") -> tuple[Image, Image, Stratified]:
    grid = field_of_view(2)
    fixed, moving = phantom(grid), phantom(moved_view(grid, TRUTH), contrast, TRUTH, seed=5)
    return fixed, moving, Stratified.around(find_foreground(fixed), fixed)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_costs_least_where_the_images_agree() -> None:
    for metric, contrast in ((MSE(), "t1"), (NCC(), "t1"), (MutualInformation(), "t2")):
        fixed, moving, sampler = pair(contrast)
        objective = SampledObjective(metric, fixed, moving, sampler, 8000, generator())
        costs = [
            float(objective(Linear(TRUTH.matrix @ turn(a, 2, (a, 0.0)).matrix))) for a in (0.0, 2.0, 5.0)
        ]
        assert costs == sorted(costs)


def test_positions_are_drawn_anew_and_the_same_from_the_same_seed() -> None:
    fixed, moving, sampler = pair()
    a, b = (SampledObjective(MSE(), fixed, moving, sampler, 3000, generator(4)) for _ in range(2))
    first, second = (float(a(TRUTH)) for _ in range(2))
    assert first != second
    assert [float(b(TRUTH)) for _ in range(2)] == [first, second]


def test_windows_say_what_counts_as_zero_and_one() -> None:
    fixed, moving, sampler = pair()
    plain = float(SampledObjective(MSE(), fixed, moving, sampler, 3000, generator())(TRUTH))
    scaled = SampledObjective(
        MSE(),
        Image(30 * fixed.data + 5, fixed.grid),
        Image(900 * moving.data - 40, moving.grid),
        sampler,
        3000,
        generator(),
        fixed_window=(5.0, 35.0),
        moving_window=(-40.0, 860.0),
    )
    assert float(scaled(TRUTH)) == pytest.approx(plain, rel=1e-3)


def test_outside_the_moving_image_or_its_mask_the_neutral_price_is_paid() -> None:
    """So what is left out costs: neither pushing the images apart nor a mask makes a poor match cheaper."""
    fixed, moving, sampler = pair("t2")
    metric = MutualInformation()

    def cost(transform: Linear, mask: Image | None = None) -> float:
        drawn = SampledObjective(metric, fixed, moving, sampler, 8000, generator(), moving_mask=mask)
        return float(drawn(transform))

    half = (moving.grid.points_mm()[:, 0] > float(moving.grid.centre_mm[0])).float()
    mask = Image(half.reshape(1, 1, *moving.grid.shape), moving.grid)
    nothing = Image(torch.zeros_like(mask.data), moving.grid)
    far = Linear.translation(torch.tensor([900.0, 0.0], dtype=torch.float64))
    # Mutual information outside is none: its neutral price is zero.
    assert cost(far) == cost(TRUTH, nothing) == pytest.approx(0.0, abs=1e-6)
    assert cost(TRUTH) < 0.7 * cost(TRUTH) < cost(TRUTH, mask) < 0.3 * cost(TRUTH) < 0
    assert cost(TRUTH, Image(torch.ones_like(mask.data), moving.grid)) == cost(TRUTH)


def test_its_gradient_reaches_the_unknowns_and_points_the_right_way() -> None:
    fixed, moving, sampler = pair()
    unknowns = LinearUnknowns(group("rigid", 2), Linear.identity(2), torch.zeros(2).double(), RADIUS_MM)
    SampledObjective(MSE(), fixed, moving, sampler, 20_000, generator())(unknowns()).backward()
    (parameter,) = unknowns.parameters()
    assert parameter.grad is not None
    step = -0.03 * parameter.grad / parameter.grad.norm()
    assert error_mm(unknowns.at(step.detach()), TRUTH) < error_mm(Linear.identity(2), TRUTH) - 1
