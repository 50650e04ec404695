"""What holds for every test: types checked, two threads, and property tests that are the same on every CI run."""

import inspect
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, ForwardRef, get_args, get_type_hints

# Threads that wait for work sleep instead of spinning: ten times faster where cores are shared.
# Read when torch is loaded, here and in the processes that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import jaxtyping
import pytest
import torch
from hypothesis import HealthCheck, settings

_with_shapes = jaxtyping.jaxtyped


def _needs_jaxtyping(hint: Any) -> bool:
    """Whether a shape stands somewhere in a type, or a name in a type that contains itself."""
    if isinstance(hint, list):  # the arguments of a callable
        return any(map(_needs_jaxtyping, hint))
    if isinstance(hint, ForwardRef) or (inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)):
        return True
    return any(map(_needs_jaxtyping, get_args(hint)))


def _checked(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What jaxtyping's import hook puts around every function of the package: its own check, or the types' alone.

    Its own keeps a book of the axes that are named in each call, which takes ten times as long as the types, and longer
    than most functions. Where no axis is named there is nothing to be kept.
    """

    def checked(what: Any) -> Any:
        if not inspect.isfunction(what):
            return _with_shapes(what, typechecker=typechecker)
        try:
            hints = list(get_type_hints(what).values())
        except NameError:  # known later, or only to those who check types without running anything
            hints = [ForwardRef("unknown")]
        return _with_shapes(what, typechecker=typechecker) if _needs_jaxtyping(hints) else typechecker(what)

    return checked


# Before anything of the package is imported.
jaxtyping.jaxtyped = _checked

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
