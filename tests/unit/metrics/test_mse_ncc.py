import numpy as np
import pytest
import torch

from inforeg.errors import UsageError
from inforeg.metrics import LNCC, MSE, NCC


def drawn(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    fixed, noise = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    weight = torch.rand(shape[0], *shape[2:], generator=generator, dtype=torch.float64)
    return fixed, 0.5 * fixed + noise, weight


def test_mse_is_numpys():
    fixed, warped, weight = drawn(3, 2, 50)
    expected = [
        np.mean([np.average((fixed[b, c] - warped[b, c]).numpy() ** 2, weights=weight[b]) for c in range(2)])
        for b in range(3)
    ]
    np.testing.assert_allclose(MSE().per_pair(fixed, warped, weight).numpy(), expected, rtol=1e-12)
    assert float(MSE()(fixed, warped, weight)) == pytest.approx(np.mean(expected), rel=1e-12)


def test_mse_is_neutral_at_the_variance_of_the_fixed_image():
    fixed, _, weight = drawn(1, 2, 50)
    assert float(MSE().neutral(fixed)) == pytest.approx(fixed[0].numpy().var(axis=1).mean(), rel=1e-12)
    mean = torch.stack([torch.full((50,), np.average(c.numpy(), weights=weight[0])) for c in fixed[0]])[None]
    torch.testing.assert_close(MSE().neutral(fixed, weight), MSE().per_pair(fixed, mean.double(), weight))


@pytest.mark.parametrize("squared", [False, True])
def test_ncc_is_numpys(squared):
    fixed, warped, weight = drawn(3, 2, 50)
    expected = []
    for b in range(3):
        covariances = [np.cov(fixed[b, c], warped[b, c], aweights=weight[b]) for c in range(2)]
        correlations = np.array([v[0, 1] / np.sqrt(v[0, 0] * v[1, 1]) for v in covariances])
        expected.append(-np.mean(correlations**2 if squared else correlations))
    np.testing.assert_allclose(
        NCC(squared=squared).per_pair(fixed, warped, weight).numpy(), expected, rtol=1e-12
    )


def test_ncc_of_inverted_images():
    fixed, _, _ = drawn(1, 1, 50)
    assert float(NCC()(fixed, 3 - 2 * fixed)) == pytest.approx(1)
    assert float(NCC(squared=True)(fixed, 3 - 2 * fixed)) == pytest.approx(-1)


def test_ncc_holds_where_intensities_are_far_from_zero():
    fixed, warped, _ = drawn(1, 1, 1000)
    expected = float(NCC()(fixed, warped))
    assert float(NCC()((fixed + 1000).float(), (5 * warped - 3000).float())) == pytest.approx(
        expected, abs=1e-4
    )


@pytest.mark.parametrize("metric", [MSE(), NCC(), LNCC()])
def test_channels_must_pair_up(metric):
    fixed = torch.zeros(1, 2, 10, 10)
    with pytest.raises(UsageError, match="got 2 and 3"):
        metric(fixed, torch.zeros(1, 3, 10, 10))
