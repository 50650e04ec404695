"""Many pairs are scored in blocks: the same scores, the same gradients, and memory that does not grow."""

import os
import subprocess
import sys

import pytest
import torch

from inforeg.metrics import statistics_network
from inforeg.metrics.statistics_network import StatisticsNetwork


def scores_and_slopes(network, x, y, upstream, wanted):
    inputs = [t.clone().requires_grad_(yes) for t, yes in zip((x, y), wanted, strict=True)]
    scores = network(*inputs)
    asked = [t for t in (*inputs, *network.parameters()) if t.requires_grad]
    return scores, *torch.autograd.grad(scores, asked, upstream)


@pytest.mark.parametrize(
    ("wanted", "frozen"),
    [((True, True), False), ((False, True), False), ((False, False), False), ((False, True), True)],
)
@pytest.mark.parametrize(("layers", "activation"), [(2, "relu"), (1, "leaky_relu")])
def test_blocks_score_as_the_whole_does(monkeypatch, wanted, frozen, layers, activation):
    generator = torch.Generator().manual_seed(0)
    network = StatisticsNetwork(3, 20, generator, layers, activation).requires_grad_(not frozen)
    assert len(network.weights) == layers + 1
    x, y = (torch.randn(1000, k, generator=generator) for k in (2, 1))
    upstream = torch.randn(1000, generator=generator)
    whole = scores_and_slopes(network, x, y, upstream, wanted)
    monkeypatch.setattr(statistics_network, "_FEW", 10)
    monkeypatch.setattr(statistics_network, "_CPU_BLOCK", 64)
    blocks = scores_and_slopes(network, x, y, upstream, wanted)
    for a, b in zip(blocks, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(network(x, y), whole[0])


MEASURE = """
import re, torch
torch.set_num_threads(1)
from inforeg.metrics.statistics_network import StatisticsNetwork
network = StatisticsNetwork(2, 100, torch.Generator().manual_seed(0))
def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
def score(count):
    x = torch.ones(count, 1)
    network(x, x.clone().requires_grad_()).sum().backward()
score(70_000)
before = most()
score(200_000)
print(most() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in another way")
def test_what_the_hidden_layers_make_of_many_pairs_is_not_kept():
    run = subprocess.run(
        [sys.executable, "-c", MEASURE],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "1000000"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    # Two layers of 100 units each, kept for the gradient, would be 320 MB; pairs, scores and slopes are a dozen.
    assert int(run.stdout) < 40e6
