from dataclasses import dataclass
from xml.etree import ElementTree

import pytest
import torch

from inforeg.bench.drmime import contestants
from inforeg.bench.drmime.contestants import CONTESTANTS, Answer
from inforeg.bench.drmime.curves import read_curves
from inforeg.bench.drmime.run import Plan
from inforeg.bench.drmime.trace import BUDGETS, trace
from inforeg.errors import PairError
from inforeg.transforms import Linear


def aside(case, mm: float) -> Linear:
    return Linear.translation(torch.tensor([mm, 0.0], dtype=torch.float64)) @ case.truth


@dataclass
class Walks:
    """Comes nearer by halves, in so many seconds."""

    seconds: float
    steps: int
    calls: int = 0

    def answer(self, case, conditions) -> Answer:
        self.calls += 1
        path = [aside(case, 8.0 / 2**n) for n in range(self.steps)]
        return Answer(aside(case, 8.0 / 2**self.steps), self.seconds, path=path)


@pytest.fixture
def plan(data, tmp_path) -> Plan:
    return Plan(tmp_path, ["slices"], [], data=data, size=40)


def test_curves_are_made_once_drawn_and_compared(plan, monkeypatch):
    ours, theirs = Walks(1.0, 4), Walks(20.0, 4)
    monkeypatch.setitem(CONTESTANTS, "drmime", ours)
    monkeypatch.setitem(CONTESTANTS, "drmime-paper", theirs)
    said = trace(plan, "slices", ["drmime", "drmime-paper"], 2)
    assert "in 2 of 2 cases, in 0.050 of the time" in said
    curves = read_curves(plan.output / "curves-slices.csv")
    assert [(c.case, c.method) for c in curves] == [
        (case, method) for case in ("slices-00", "slices-01") for method in ("drmime", "drmime-paper")
    ]
    # Four steps and where the last one led.
    assert len(curves[0].seconds) == 5 and curves[0].seconds[-1] == 1.0
    assert curves[0].naed[0] / curves[0].naed[-1] == pytest.approx(16, rel=1e-4)
    picture = ElementTree.fromstring((plan.output / "curves-slices.svg").read_text(encoding="utf-8"))
    assert "median of 2 cases" in "".join(picture.itertext())
    assert trace(plan, "slices", ["drmime"], 2) == said
    assert (ours.calls, theirs.calls) == (2, 2)
    # With no cases to add it draws what is there.
    assert trace(plan, "slices", ["drmime"], 0) == said


def test_a_tool_is_run_anew_for_every_number_of_steps(plan, monkeypatch):
    asked = []

    def compete(name, fixed, moving, transform, *, iterations, **_more):
        asked.append(iterations)
        # It comes to rest after 300 steps, and then takes a little less time.
        seconds = min(iterations, 300) / 100 - (0.01 if iterations > 300 else 0)
        return Answer(Linear.identity(2), seconds)

    monkeypatch.setattr(contestants, "compete", compete)
    trace(plan, "slices", ["mmi"], 1)
    (found,) = read_curves(plan.output / "curves-slices.csv")
    assert asked == list(BUDGETS)
    assert found.seconds == sorted(found.seconds) and len(found.seconds) == len(BUDGETS)


def test_a_failure_is_said_and_leaves_no_curve(plan, monkeypatch):
    class Fails:
        def answer(self, case, conditions):
            raise PairError("expected a pair")

    monkeypatch.setitem(CONTESTANTS, "drmime", Fails())
    said: list[str] = []
    assert trace(plan, "slices", ["drmime"], 1, said.append) == ""
    assert said == ["slices-00 drmime: expected a pair"]
    assert "nothing to draw" in (plan.output / "curves-slices.svg").read_text(encoding="utf-8")
