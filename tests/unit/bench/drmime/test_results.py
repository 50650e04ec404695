import json

import pytest
from unit.bench.drmime.rows import row

from inforeg.bench.drmime.results import append_row, read_rows
from inforeg.errors import ReadError


def test_rows_come_back_as_they_were_the_latest_of_repeated_ones(tmp_path):
    path = tmp_path / "made" / "results.jsonl"
    assert read_rows(path) == []
    first = row(
        "mmi", 0, 0.3, settings={"levels": 6}, versions={"torch": "2"}, matrix=[[1.0, 0.0], [0.0, 1.0]]
    )
    other = row("mmi", 0, 0.3, size=64)
    for one in (first, other, row("mmi", 1, 0.2), row("mmi", 0, 0.1)):
        append_row(path, one)
    found = read_rows(path)
    assert [r.naed for r in found] == [0.1, 0.3, 0.2]
    assert found[1] == other
    append_row(path, first)
    assert first in read_rows(path)


def test_half_a_line_of_a_killed_run_is_left_out_and_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "results.jsonl"
    append_row(path, row("mmi", 0, 0.3))
    with path.open("a") as file:
        file.write('{"set": "stains", "case": "sta')
    assert len(read_rows(path)) == 1
    append_row(path, row("mmi", 1, 0.2))
    assert [r.case for r in read_rows(path)] == ["stains-00", "stains-01"]


@pytest.mark.parametrize("line", [json.dumps({"case": "a"}), "[1, 2]", json.dumps({"set": 1, "colour": 2})])
def test_a_line_of_something_else_is_said_with_its_number(line, tmp_path):
    path = tmp_path / "results.jsonl"
    append_row(path, row("mmi", 0, 0.3))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(ReadError, match=r"line 2 of .*results.jsonl.*move the file away"):
        read_rows(path)
