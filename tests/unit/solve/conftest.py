import pytest


@pytest.fixture(autouse=True)
def one_thread(one_thread: None) -> None:
    """Small sums lose more than they gain by being shared out."""
