from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from inforeg.bench.drmime import contestants
from inforeg.bench.drmime.contestants import (
    ABLATIONS,
    CONTESTANTS,
    HISTOGRAMS,
    ONLY_FOR,
    Conditions,
    Ours,
    Tool,
    chosen_contestants,
    takes_part,
)
from inforeg.bench.drmime.sets import SETS
from inforeg.errors import UsageError
from inforeg.methods.catalogue import entry
from inforeg.transforms import Linear


def test_names_in_the_tables_are_there():
    assert set(HISTOGRAMS) | set(ABLATIONS) | set(ONLY_FOR) <= set(CONTESTANTS)
    assert {name for sets in ONLY_FOR.values() for name in sets} <= set(SETS)
    assert takes_part("ants", "kidney") and not takes_part("ants", "fundus")
    assert takes_part("direct", "fundus") and not takes_part("direct", "brain")
    assert takes_part("mmi", "kidney") and takes_part("mmi", "brain")


@pytest.mark.parametrize("name", [name for name, one in CONTESTANTS.items() if isinstance(one, Ours)])
def test_the_settings_of_ours_are_settings_of_its_method(name):
    contestant = CONTESTANTS[name]
    if contestant.missing():
        pytest.skip(contestant.missing())
    known = set(entry(contestant.method).kind.model_fields)
    given = {"seed", "init", *dict(contestant.settings)} | ({"iterations"} if contestant.published else set())
    assert given <= known
    for settings in contestants.PUBLISHED_ON.values():
        assert not contestant.published or set(settings) <= known


def test_the_published_form_is_told_its_steps_and_the_edges_of_the_set(monkeypatch):
    asked = []

    def named(method, transform, **settings):
        asked.append((method, transform, settings))
        quality = SimpleNamespace(verdict="good")
        stages = [SimpleNamespace(path=[Linear.identity(2)]), SimpleNamespace(path=[Linear.identity(2)])]
        result = SimpleNamespace(
            transform=Linear.identity(2), quality=quality, status="steps", stages=stages, settings={"a": 1}
        )
        return lambda fixed, moving: result

    monkeypatch.setattr(contestants, "named", named)
    conditions = Conditions(threads=1, seed=5, iterations=70, work=Path())
    answer = CONTESTANTS["single"].answer(SETS["fundus"].case(0, 0, None, 32), conditions)
    assert len(answer.path) == 2 and answer.settings == {"a": 1}
    stains = SETS["stains"].case(0, 0, None, 32)
    CONTESTANTS["drmime-paper"].answer(stains, conditions)
    CONTESTANTS["linear-auto"].answer(stains, conditions)
    common = {"seed": 5, "init": "centre", "iterations": 70}
    assert asked == [
        ("drmime-paper", "affine", common | {"levels": 1, "edge_high": 10.0}),
        ("drmime-paper", "affine", common),
        ("linear", "affine", {"seed": 5, "init": "auto"}),
    ]


def test_a_tool_is_called_as_it_wants_to_be(monkeypatch):
    asked = []

    def compete(name, fixed, moving, transform, **more):
        asked.append((name, transform, more))
        return SimpleNamespace(transform=Linear.identity(2), seconds=1.25)

    monkeypatch.setattr(contestants, "compete", compete)
    case = SETS["stains"].case(0, 0, None, 32)
    conditions = Conditions(threads=2, seed=3, iterations=70, work=Path("here"))
    assert Tool("mmi").answer(case, conditions).seconds == 1.25
    Tool("mmi").after(30, case, conditions)
    common = {"work": Path("here"), "threads": 2, "seed": 3}
    assert asked == [
        ("mmi", "affine", common | {"iterations": None}),
        ("mmi", "affine", common | {"iterations": 30}),
    ]


def test_landmarks_fitted_and_nothing_done(data):
    case = SETS["kidney"].case(0, 0, data, 100)
    conditions = Conditions(1, 0, 1, Path())
    fitted = case.errors(CONTESTANTS["fit"].answer(case, conditions).transform)
    # The made-up sections differ by an affine transform.
    assert fitted.naed < 1e-6
    start = CONTESTANTS["start"].answer(case, conditions).transform
    assert torch.allclose(start(case.fixed.grid.centre_mm[None])[0], case.moving.grid.centre_mm)


def test_contestants_that_cannot_be_run_are_left_out_or_refused(monkeypatch):
    monkeypatch.setattr(contestants, "available", lambda name: name != "nmi")
    monkeypatch.delitem(contestants.METHODS, "drmime-paper")
    names, notes = chosen_contestants([])
    assert not set(names) & {"nmi", "drmime-paper", *ABLATIONS}
    assert {"start", "linear", "mmi"} <= set(names)
    assert any(note.startswith("left out: nmi: ") for note in notes)
    with pytest.raises(UsageError, match="--methods: nmi: its program is not installed"):
        chosen_contestants(["mmi", "nmi"])
    with pytest.raises(UsageError, match="--methods: single: there is no method drmime-paper"):
        chosen_contestants(["single"])
    with pytest.raises(UsageError, match="unknown name 'mi'; expected start, "):
        chosen_contestants(["mi"])
    assert chosen_contestants(["nmi"], needed=False) == (["nmi"], [])
    assert chosen_contestants([], needed=False) == (list(CONTESTANTS), [])
