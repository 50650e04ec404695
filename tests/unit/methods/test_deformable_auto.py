"""`auto`: a deformation only where it explains clearly more of what it was not fitted to."""

import pytest
import torch
from phantoms import field_of_view, phantom, turn
from unit.methods.deformations import SPACING_MM, pair, smooth

from inforeg.image import Image
from inforeg.methods import Result
from inforeg.methods.deformable import Deformable
from inforeg.register import register
from inforeg.transforms import Composite, Linear


def names(result: Result) -> list[str]:
    return [stage.name for stage in result.stages]


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_moved_by_a_rigid_transform_is_not_deformed(ndim: int) -> None:
    grid = field_of_view(ndim, SPACING_MM[ndim])
    result = register(phantom(grid), phantom(grid, "t2", turn(4.0, ndim), seed=5), init="header")
    assert "svf" not in names(result) and isinstance(result.transform, Linear)
    (note,) = [note for note in result.notes if note.startswith("svf explains")]
    assert "was dropped (needed: 10 %)" in note
    # Its settings are enough to run it again.
    assert result.method == "svf" and result.settings["choose"] is True


@pytest.mark.parametrize("ndim", [2, 3])
def test_what_is_deformed_is_deformed(ndim: int) -> None:
    result = register(*pair(ndim, smooth(ndim, 5.0, 1)), init="header")
    assert names(result)[-1] == "svf" and isinstance(result.transform, Composite)
    (note,) = [note for note in result.notes if note.startswith("svf explains")]
    assert "was kept" in note


def test_what_the_linear_stages_failed_at_is_left_alone() -> None:
    grid = field_of_view(2, SPACING_MM[2])
    noise = Image(torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(3)), grid)
    found = Deformable(stages=("rigid",), choose=True, init="header")(phantom(grid), noise)
    assert found.quality.verdict == "failed" and names(found) == ["rigid"]
    assert not any("svf" in note for note in found.notes)


def test_a_metric_and_the_linear_method_keep_auto_linear() -> None:
    grid = field_of_view(2, SPACING_MM[2])
    images = phantom(grid), phantom(grid, "t2", seed=5)
    assert register(*images, method="linear", init="header").method == "linear"
    assert register(*images, metric="mi", init="header").method == "linear"
