import pytest
import torch
from phantoms import RADIUS_MM, pose
from torch import nn

from inforeg.models import LinearUnknowns
from inforeg.transforms import Linear, group

NAMES = ["translation", "rigid", "similarity", "affine", "projective"]


def unknowns(name: str, ndim: int) -> LinearUnknowns:
    start = pose(name, ndim, 0.2, seed=3)
    return LinearUnknowns(group(name, ndim), start, torch.full((ndim,), 5.0, dtype=torch.float64), RADIUS_MM)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_at_rest_it_is_the_start_and_its_slope_is_finite(name: str, ndim: int) -> None:
    model = unknowns(name, ndim)
    assert torch.allclose(model().matrix, model.start.matrix, atol=1e-12)
    points = torch.rand(20, ndim, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 50
    model()(points).square().sum().backward()
    (parameter,) = model.parameters()
    assert parameter.shape == (group(name, ndim).size,)
    assert parameter.grad is not None
    assert bool(torch.isfinite(parameter.grad).all()) and bool((parameter.grad != 0).any())


@pytest.mark.parametrize("name", NAMES)
def test_the_slope_is_that_of_finite_differences(name: str) -> None:
    model = unknowns(name, 3)
    points = torch.rand(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 50
    with torch.no_grad():
        model.parameters_.copy_(0.03 * torch.arange(1, group(name, 3).size + 1, dtype=torch.float64) / 10)
    assert torch.autograd.gradcheck(lambda p: model.at(p)(points), (model.parameters_,), atol=1e-5)


def test_the_group_comes_before_the_start() -> None:
    model = unknowns("rigid", 3)
    values = torch.tensor([0.1, -0.2, 0.05, 0.3, 0.1, -0.2], dtype=torch.float64)
    step = group("rigid", 3).exp(values, model.centre_mm, RADIUS_MM)
    expected = Linear(model.start.matrix @ step.matrix)
    assert torch.allclose(model.at(values).matrix, expected.matrix)
    assert isinstance(model, nn.Module)
