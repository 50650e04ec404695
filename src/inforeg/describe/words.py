"""Numbers as people read them."""

from collections.abc import Iterable


def numbers(values: Iterable[float], between: str = ", ") -> str:
    """Numbers of up to five digits; what rounds to zero is zero, without a sign."""
    return between.join(f"{round(float(v), 6) + 0.0:.5g}" for v in values)
