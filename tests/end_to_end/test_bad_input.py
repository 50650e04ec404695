"""What bad input gets through the command line: one line, an exit code, and nothing left behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from end_to_end.bad_input.case import check
from end_to_end.bad_input.inputs import make_inputs, make_place
from end_to_end.bad_input.page import UNFINISHED, matches, rows
from end_to_end.bad_input.tables import TABLES

from inforeg.cli.main import main

Run = Callable[[list[str]], tuple[int, str, str]]
CASES = [(command, name) for command, cases in TABLES.items() for name in cases]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.fixture
def place(tmp_path: Path, inputs: Path) -> Path:
    return make_place(tmp_path, inputs)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def running(arguments: list[str]) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return running


@pytest.mark.parametrize(("command", "name"), CASES, ids=lambda part: part.replace(" ", "_"))
def test_bad_input_gets_one_line(command: str, name: str, inputs: Path, place: Path, run: Run) -> None:
    case = TABLES[command][name]
    if "/proc/" in case.arguments and not Path("/proc").is_dir():
        pytest.skip("there is no folder here in which nobody can write")
    line = check(command, case, inputs, place, run)
    row = rows()[command, name]
    assert row.code == case.code
    assert matches(row.line, line), f"the page says {row.line!r}, the command {line!r}: make the page again"


def test_the_page_has_every_case_and_no_other() -> None:
    assert sorted(key for key in rows() if key[0] != UNFINISHED) == sorted(CASES)


def test_there_are_as_many_cases_as_promised() -> None:
    assert len(CASES) >= 60
