"""Smooth fields from beliefs about displacements."""

import pytest
import torch

from inforeg.solve.mean_field import mean_field

LINE = torch.linspace(-8, 8, 5, dtype=torch.float64)


def told(field, sigma, ndim):
    """Log-probabilities of a normal distribution about a field."""
    displacements = torch.cartesian_prod(*[LINE] * ndim)
    far = (displacements.reshape(-1, ndim, *[1] * ndim) - field).square().sum(1)
    return torch.log_softmax(-far / (2 * sigma**2), 0), displacements


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_smooth_field_between_displacements_is_found(ndim):
    lines = torch.meshgrid(*[torch.linspace(0, 3.14, 12, dtype=torch.float64)] * ndim, indexing="ij")
    field = torch.stack([5 * torch.sin(lines[axis]) * torch.cos(0.5 * lines[0]) for axis in range(ndim)])
    logs, displacements = told(field, 2.0, ndim)
    found = mean_field(logs, displacements)
    assert found.shape == field.shape
    assert float((found - field).norm(dim=0).mean()) < 0.15 * float(field.norm(dim=0).mean())


def test_neighbours_speak_for_nodes_that_know_nothing_or_little_and_wrong():
    field = torch.full((2, 15, 15), 3.0, dtype=torch.float64)
    logs, displacements = told(field, 2.0, 2)
    generator = torch.Generator().manual_seed(0)
    silent, wrong = (torch.rand(15, 15, generator=generator) < share for share in (0.4, 0.15))
    logs[:, silent] = -torch.log(torch.tensor(25.0, dtype=torch.float64))
    other, _ = told(-2 * field, 5.0, 2)
    logs[:, wrong] = other[:, wrong]
    alone = torch.tensordot(displacements.T, logs.exp(), dims=1)
    found = mean_field(logs, displacements)
    error, before = ((x - field).norm(dim=0).mean() for x in (found, alone))
    assert float(error) < 0.4 * float(before)


def test_nothing_told_is_no_displacement():
    logs = torch.zeros(25, 6, 6, dtype=torch.float64)
    assert float(mean_field(logs, torch.cartesian_prod(LINE, LINE)).abs().max()) < 1e-9
