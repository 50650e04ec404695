"""What holds for every test: two threads, and property tests that are the same on every CI run."""

import logging
import os
from collections.abc import Iterator

# Threads that wait for work sleep instead of spinning: ten times faster where cores are shared.
# Read when torch is loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import HealthCheck, settings

settings.register_profile("local", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, database=None)
# For the round trips of every format: an hour or more (`make round-trips`).
settings.register_profile("thorough", settings.get_profile("ci"), max_examples=10_000)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def two_threads() -> None:
    torch.set_num_threads(2)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For work so small that threads would wait for one another longer than it takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _fresh_log() -> None:
    logger = logging.getLogger("inforeg")
    logger.handlers, logger.propagate, logger.disabled = [], True, False
    logger.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def log_as_found() -> Iterator[None]:
    """The command line sends the package's log to the error stream; every test finds it as Python sets it up."""
    _fresh_log()
    yield
    _fresh_log()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
