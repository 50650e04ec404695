"""What the gate measured: the largest difference of every check, printed by `make gate` and in CI."""

import os
from collections.abc import Callable, Iterator

import pytest

_BEYOND = pytest.StashKey[list[str]]()
_FOUND = pytest.StashKey[dict[str, tuple[float, float, str]]]()

Within = Callable[[str, float, float, str], None]
"""`within(check, value, bound, where)`: note the value, and fail where it is beyond the bound."""


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Threads that wait for one another take ten times as long as the work on grids this small, where cores are shared.

    What needs more asks for it.
    """


@pytest.fixture
def within(request: pytest.FixtureRequest) -> Within:
    found = request.config.stash.setdefault(_FOUND, {})
    beyond = request.node.stash.setdefault(_BEYOND, [])

    def note(check: str, value: float, bound: float, where: str) -> None:
        value = float("inf") if value != value else value
        if value >= found.get(check, (-1.0, 0.0, ""))[0]:
            found[check] = (value, bound, where)
        if not value < bound:
            beyond.append(f"{check}, {where}: {value:.3g}, allowed is less than {bound:.3g}")

    return note


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """A test fails at its end, so that one run names all orientations that are wrong."""
    yield
    if beyond := item.stash.get(_BEYOND, []):
        pytest.fail(f"{len(beyond)} beyond their bound:\n" + "\n".join(beyond[:20]), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found = config.stash.get(_FOUND, {})
    if found and os.environ.get("INFOREG_REQUIRE_PEERS"):
        terminalreporter.section("the largest differences of the geometry gate")
        for check, (value, bound, where) in sorted(found.items()):
            terminalreporter.write_line(f"{check:<58} {value:9.2e}  of {bound:.0e} allowed; {where}")
