"""Two label maps that are to be compared have to lie on one grid."""

from inforeg.errors import UsageError
from inforeg.image import Labels


def check_one_grid(fixed: Labels, warped: Labels) -> None:
    """Raise `UsageError` for label maps on different grids."""
    if fixed.data.shape != warped.data.shape or not fixed.grid.same_as(warped.grid, tolerance_mm=1e-2):
        raise UsageError(
            f"expected label maps on one grid, got {fixed.grid} and {warped.grid};"
            " resample one first (inforeg apply -n label)"
        )
