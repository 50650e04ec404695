import os
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from inforeg.errors import ReadError, UsageError, WriteError
from inforeg.settings import Settings


class Stop(Settings):
    window: int = Field(20, gt=1)
    tolerance: float | None = None


class Stage(Settings):
    group: Literal["rigid", "affine"]
    spacings_mm: tuple[float, ...] = (8.0, 4.0)
    stop: Stop = Stop()


class Plan(Settings):
    name: str = ""
    quick: bool = False
    limit: int | None = 5
    stages: tuple[Stage, ...] = ()
    weights: dict[str, float] = Field(default_factory=dict)
    stop: Stop = Stop()


numbers = st.floats(allow_nan=False, allow_infinity=False)
stops = st.builds(Stop, window=st.integers(2, 10**6), tolerance=st.none() | numbers)
stages = st.builds(
    Stage,
    group=st.sampled_from(["rigid", "affine"]),
    spacings_mm=st.lists(numbers, max_size=3).map(tuple),
    stop=stops,
)
plans = st.builds(
    Plan,
    name=st.text(),
    quick=st.booleans(),
    limit=st.integers(-(2**62), 2**62),
    stages=st.lists(stages, max_size=3).map(tuple),
    weights=st.dictionaries(st.text(), numbers, max_size=3),
    stop=stops,
)


@given(plans)
def test_settings_come_back_the_same_from_json_and_toml(plan):
    assert Plan.from_json(plan.to_json()) == plan
    assert Plan.from_toml(plan.to_toml()) == plan
    assert Plan.from_dict(plan.to_dict()) == plan


@pytest.mark.parametrize("suffix", [".json", ".toml"])
def test_settings_come_back_the_same_from_a_file(tmp_path, suffix):
    plan = Plan(name='a "b"\n\x7fé🙂', stages=(Stage(group="affine"),), weights={"a b": 1e-5})
    path = tmp_path / f"plan{suffix}"
    path.write_text(plan.to_json() if suffix == ".json" else plan.to_toml(), encoding="utf-8")
    assert Plan.load(path) == plan


def test_a_result_carries_the_settings_of_its_run(tmp_path):
    path = tmp_path / "result.json"
    path.write_text('{"status": "converged", "settings": ' + Stop(window=7).to_json() + "}")
    assert Stop.load(path) == Stop(window=7)


def test_json_holds_a_none_that_toml_cannot():
    plan = Plan(limit=None)
    assert Plan.from_json(plan.to_json()) == plan
    with pytest.raises(WriteError, match="JSON"):
        plan.to_toml()


def test_an_unknown_key_names_the_near_ones():
    with pytest.raises(UsageError, match=r"^Stop: unknown setting 'tolernce'; did you mean 'tolerance'\?$"):
        Stop(tolernce=1.0)


def test_an_unknown_key_far_from_all_names_all():
    with pytest.raises(
        UsageError, match=r"^Stop: unknown setting 'zzz'; the settings here are window, tolerance$"
    ):
        Stop(zzz=1.0)


def test_a_fault_inside_says_where():
    values = {"stages": [{"group": "rigid"}, {"group": "rigid", "stop": {"windw": 3}}]}
    with pytest.raises(
        UsageError, match=r"^Plan: stages\.1\.stop: unknown setting 'windw'; did you mean 'window'\?$"
    ):
        Plan.from_dict(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 1}, "window: Input should be greater than 1, got 1"),
        ({"window": "many"}, "window: .*integer.*, got 'many'"),
        ({"tolerance": float("nan")}, "tolerance: .*finite"),
        ({"tolerance": float("inf")}, "tolerance: .*finite"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line_with_the_value(values, message):
    with pytest.raises(UsageError, match=message) as caught:
        Stop(**values)
    assert "\n" not in str(caught.value)


def test_a_missing_value_is_named():
    with pytest.raises(UsageError, match=r"^Stage: group: Field required$"):
        Stage()


def test_settings_are_frozen_and_replaced_with_checks():
    stop = Stop()
    with pytest.raises(Exception, match="frozen"):
        stop.window = 3
    assert stop.replace(window=3) == Stop(window=3)
    with pytest.raises(UsageError, match="greater than 1"):
        stop.replace(window=0)
    assert hash(stop) == hash(Stop())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "", r"expected settings in a \.json or \.toml file"),
        ("a.json", "{", "a.json: expected settings in JSON"),
        ("a.json", "[1]", "expected settings as a JSON object, got list"),
        ("a.toml", "= 1", "a.toml: expected settings in TOML"),
        ("none.toml", None, r"cannot read the settings in .*none\.toml"),
    ],
)
def test_a_file_that_holds_no_settings(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ReadError, match=message):
        Stop.load(tmp_path / name)


def test_a_wrong_value_in_a_file_names_the_file(tmp_path):
    (tmp_path / "a.toml").write_text("window = 0")
    with pytest.raises(UsageError, match=r"a\.toml: Stop: window: "):
        Stop.load(tmp_path / "a.toml")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(ReadError, match="expected a file of settings"):
        Settings.load(tmp_path / "pipe.json")
