from pathlib import Path
from typing import get_args

import pytest

from inforeg.cli import names
from inforeg.errors import UsageError
from inforeg.io.points import PointSpace
from inforeg.io.transform_formats import FORMATS
from inforeg.methods.catalogue import METHODS
from inforeg.metrics import METRICS
from inforeg.transforms.groups import GROUPS


def test_the_names_are_those_of_the_library() -> None:
    assert set(names.TRANSFORMS) - {"auto", "svf", "tps"} <= set(GROUPS)
    # The linear method looks at samples; a metric on grids has nothing to look at there.
    assert set(names.METRICS) == {name for name, metric in METRICS.items() if not metric.on_grids}


@pytest.mark.parametrize("value", ["auto", "rigid", "rigid+affine", "translation+rigid+similarity"])
def test_chains(value: str) -> None:
    assert names.transform_chain(value) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rigdi", "did you mean rigid"),
        ("rigid+afine", "did you mean affine"),
        ("Rigid", "did you mean rigid"),
        ("", "expected translation, rigid"),
        ("rigid+", "expected translation, rigid"),
        ("xyz", "expected translation, rigid"),
        ("auto+rigid", "cannot be a part"),
    ],
)
def test_wrong_chains_name_the_near_ones(value: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        names.transform_chain(value)


def test_starts(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("x")
    assert names.start("moments") == "moments"
    assert names.start(str(tmp_path / "a.h5")) == str(tmp_path / "a.h5")
    with pytest.raises(UsageError, match=r"b\.h5 is not there"):
        names.start(str(tmp_path / "b.h5"))
    with pytest.raises(UsageError, match="did you mean centre"):
        names.start("center")


@pytest.mark.parametrize("value", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices(value: str) -> None:
    assert names.device(value) == value


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_wrong_devices(value: str) -> None:
    with pytest.raises(UsageError, match="--device"):
        names.device(value)


def test_spaces_are_those_of_points() -> None:
    assert get_args(PointSpace) == names.SPACES


def test_methods_are_those_of_the_catalogue() -> None:
    assert tuple(METHODS) == names.METHODS


def test_formats_are_those_of_the_table() -> None:
    assert sorted(names.FORMATS) == sorted({form.name for form in FORMATS})
