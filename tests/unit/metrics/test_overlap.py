from inspect import unwrap

import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import MSE, MutualInformation, overlap_fraction, with_overlap


def related(n=1000):
    generator = torch.Generator().manual_seed(0)
    fixed, noise = torch.randn(2, 1, 1, n, generator=generator, dtype=torch.float64)
    return fixed, fixed + 0.5 * noise


def test_the_fraction_is_of_the_weight():
    inside = torch.tensor([[True, True, False, False], [True, False, False, False], [True, True, True, True]])
    assert overlap_fraction(inside).tolist() == [0.5, 0.25, 1.0]
    weight = torch.tensor([[3.0, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]])
    assert overlap_fraction(inside, weight).tolist() == [0.75, 0.0, 0.0]


def test_information_counts_by_sample_drawn():
    fixed, warped = related()
    inside = torch.arange(1000)[None] < 300
    metric = MutualInformation()
    alone = metric(fixed[..., :300], warped[..., :300])
    torch.testing.assert_close(with_overlap(metric, fixed, warped, inside), 0.3 * alone)


def test_what_is_outside_costs_the_variance_in_squared_differences():
    fixed, warped = related()
    inside = torch.arange(1000)[None] < 300
    expected = 0.3 * MSE()(fixed[..., :300], warped[..., :300]) + 0.7 * fixed.var(correction=0)
    torch.testing.assert_close(with_overlap(MSE(), fixed, warped, inside), expected)


def test_all_inside_is_the_metric_itself():
    fixed, warped = related()
    weight = torch.rand(1, 1000, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    everywhere = torch.ones(1, 1000, dtype=torch.bool)
    for metric in (MSE(), MutualInformation()):
        expected = metric(fixed, warped, weight)
        torch.testing.assert_close(with_overlap(metric, fixed, warped, everywhere, weight), expected)


def test_without_it_two_pieces_of_empty_background_agree_best():
    fixed, warped = related()
    fixed[..., :100], warped[..., :100] = 0, 0
    background = torch.arange(1000)[None] < 100
    everywhere = torch.ones_like(background)
    assert float(MSE()(fixed, warped, background.double())) < float(MSE()(fixed, warped))
    covered = with_overlap(MSE(), fixed, warped, everywhere)
    assert float(with_overlap(MSE(), fixed, warped, background)) > float(covered)


def test_a_soft_edge_pulls_samples_in():
    fixed, warped = related()
    inside = torch.full((1, 1000), 0.5, dtype=torch.float64, requires_grad=True)
    with_overlap(MutualInformation(), fixed, warped, inside).backward()
    assert float(inside.grad.mean()) < 0


def test_whether_a_sample_is_inside_must_be_said_of_each():
    fixed, warped = related()
    with pytest.raises(UsageError, match=r"\(1, 1000\), got \(1, 999\)"):
        unwrap(with_overlap)(MSE(), fixed, warped, torch.ones(1, 999, dtype=torch.bool))
