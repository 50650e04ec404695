import math

import pytest
import torch
from strategies import points

from inforeg.errors import UsageError
from inforeg.evaluate import point_errors, tre_mm
from inforeg.transforms import Linear


def test_errors_are_measured_where_the_points_land() -> None:
    shift = Linear.translation(torch.tensor([3.0, 4.0, 0.0], dtype=torch.float64))
    fixed = points(3)
    assert torch.allclose(tre_mm(shift, fixed, fixed), torch.full((40,), 5.0, dtype=torch.float64))
    assert float(tre_mm(shift, fixed, shift(fixed)).max()) < 1e-12
    assert float(tre_mm(None, fixed, fixed).max()) == 0.0
    assert tre_mm(None, fixed.float(), fixed).dtype == torch.float64


def test_points_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(UsageError, match="as many"):
        tre_mm(None, points(3), points(3, 7))
    with pytest.raises(UsageError, match="3 coordinates"):
        tre_mm(Linear.identity(3), points(2), points(2))


def test_the_summary() -> None:
    summary = point_errors(torch.tensor([3.0, 4.0, 0.0, 1.0, 2.0]))
    assert (summary.count, summary.mean_mm, summary.median_mm, summary.max_mm) == (5, 2.0, 2.0, 4.0)
    assert summary.rms_mm == pytest.approx(math.sqrt(6))
    assert summary.p90_mm == pytest.approx(3.6)
    with pytest.raises(UsageError, match="at least one"):
        point_errors(torch.tensor([]))
