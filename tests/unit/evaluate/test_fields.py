import numpy as np
import pytest
import torch
from strategies import points

from inforeg.errors import UsageError
from inforeg.evaluate import dense_error_mm, field_errors, inverse_error_mm, slabs
from inforeg.space import Grid
from inforeg.transforms import Composite, Displacement, Linear, approximate_inverse

GRID = Grid.from_spacing((12, 10, 8), (1.0, 1.5, 2.0))


def shift(*by_mm: float) -> Linear:
    return Linear.translation(torch.tensor(by_mm, dtype=torch.float64))


def wave(size_mm: float, grid: Grid = GRID) -> Displacement:
    vectors = size_mm * torch.sin(grid.points_mm()[:, [1, 2, 0]] / 4)
    return Displacement(vectors.T.reshape(3, *grid.shape).contiguous(), grid)


def test_errors_against_the_truth_are_in_the_moving_world() -> None:
    double = Linear(torch.diag(torch.tensor([2.0, 2.0, 2.0, 1.0], dtype=torch.float64)))
    truth = double @ wave(2.0)
    assert dense_error_mm(truth, truth, GRID).max() == 0
    assert dense_error_mm(double @ shift(3, 4, 0), double, GRID).tolist() == pytest.approx([10.0] * 960)
    # Without a transform: how far everything has to go.
    found = dense_error_mm(None, wave(2.0), GRID)
    assert found.reshape(GRID.shape).allclose(wave(2.0).vectors.norm(dim=0))


def test_a_mask_chooses_voxels_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    where = torch.rand(GRID.shape, generator=torch.Generator().manual_seed(3)) > 0.7
    where[4:6] = False
    whole = dense_error_mm(None, wave(2.0), GRID)
    back = inverse_error_mm(wave(2.0), wave(-2.0), GRID)
    for size in (1, 200, 1 << 18):
        monkeypatch.setattr(slabs, "SLAB_VOXELS", size)
        assert dense_error_mm(None, wave(2.0), GRID, where).equal(whole[where.reshape(-1)])
        assert inverse_error_mm(wave(2.0), wave(-2.0), GRID, where).equal(back[where.reshape(-1)])


def test_an_inverse_is_held_against_where_points_began() -> None:
    """In the fixed world, however far the chain carries them."""
    far = Linear(torch.diag(torch.tensor([3.0, 3.0, 3.0, 1.0], dtype=torch.float64))) @ shift(900, 0, 0)
    assert inverse_error_mm(far, far.inverse(), GRID).max() < 1e-12
    assert inverse_error_mm(far, far.inverse() @ shift(0, 6, 0), GRID).tolist() == pytest.approx([2.0] * 960)
    chain = far @ wave(1.0)
    solved = approximate_inverse(chain).transform
    inner = torch.zeros(GRID.shape, dtype=torch.bool)
    inner[3:-3, 3:-3, 3:-3] = True
    good, crude = (
        field_errors(inverse_error_mm(chain, inverse, GRID, inner))
        for inverse in (solved, Composite((wave(-1.0), far.inverse())))
    )
    # What interpolation costs: an eighth of curvature by spacing squared. The crude one's is of the second order too,
    # displacement times slope: at most sqrt(3) mm by 1/4.
    assert good.max_mm < 0.04 < 0.1 < crude.max_mm < 0.44
    assert (good.voxels, crude.voxels) == (int(inner.sum()),) * 2


def test_a_point_that_leaves_the_inverse_is_not_brought_back() -> None:
    field = Displacement(torch.full((3, *GRID.shape), 3.0, dtype=torch.float64), GRID)
    inverse = Displacement(-field.vectors, GRID)
    found = inverse_error_mm(field, inverse, GRID).reshape(GRID.shape)
    assert found[:9, :8, :6].max() < 1e-12
    assert found[9:].min() == pytest.approx(27**0.5)


def test_the_summary() -> None:
    errors = points(3).norm(dim=1)
    found = field_errors(errors)
    assert found.voxels == len(errors)
    assert found.mean_mm == pytest.approx(float(errors.mean()))
    assert (found.median_mm, found.p95_mm) == pytest.approx(tuple(np.percentile(errors.numpy(), (50, 95))))
    assert found.max_mm == float(errors.max())
    # More than torch's own quantile takes.
    many = field_errors(torch.arange(2**24 + 1, dtype=torch.float32))
    assert many.median_mm == 2**23
    with pytest.raises(UsageError, match="is the mask empty"):
        field_errors(torch.zeros(0))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a mask of the grid's shape \(12, 10, 8\), got \(8, 10, 12\)"):
        dense_error_mm(None, shift(1, 2, 3), GRID, torch.ones(8, 10, 12, dtype=torch.bool))
    with pytest.raises(UsageError, match="expected a 3-D transform for this grid, got a 2-D one"):
        inverse_error_mm(shift(1, 2, 3), shift(1, 2), GRID)
    with pytest.raises(UsageError, match="expected a 3-D transform for this grid, got a 2-D one"):
        dense_error_mm(shift(1, 2), shift(1, 2, 3), GRID)
