"""Every step of the linear method keeps its transform."""

from typing import Any

import pytest
import torch
from phantoms import field_of_view, phantom, turn

from inforeg.methods import linear_method, stages
from inforeg.solve.minimise import minimise


@pytest.mark.parametrize("metric", ["mi", "mse"])
def test_one_transform_for_every_value(metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "minimise", lambda *a, **k: minimise(*a, **{**k, "steps": 3}))
    fixed = phantom(field_of_view(2, 3.0))
    start = turn(3.0, 2)
    result = linear_method("rigid+affine", metric=metric, samples=4000)(fixed, fixed, start)
    for stage in result.stages:
        assert len(stage.path) == len(stage.metric) == len(stage.spacing_mm) >= 3
    assert torch.equal(result.stages[0].path[0].matrix, start.matrix)


def test_a_step_that_was_no_number_is_in_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    def once(unknowns: Any, objective: Any, **_: Any) -> tuple[list[float], str]:
        return [float(objective(unknowns()).detach()) for _ in range(2)][:1], "diverged"

    monkeypatch.setattr(stages, "minimise", once)
    fixed = phantom(field_of_view(2, 6.0))
    result = linear_method("rigid", metric="mse", samples=4000)(fixed, fixed, turn(3.0, 2))
    assert len(result.stages[0].path) == len(result.stages[0].metric)
