import pytest

from inforeg.bench.drmime.results import read_rows
from inforeg.cli.main import main

HELP = ["bench", "drmime", "--help"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bench", "--help"], "drmime"),
        (["bench", "-h"], "Usage: inforeg bench"),
        (HELP, "--table-only"),
        (["--help"], " bench "),
    ],
)
def test_help(arguments, expected, capsys):
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert expected in text and "Exit codes" in text


def test_slices_from_end_to_end(data, tmp_path, capsys):
    folder = tmp_path / "out"
    command = ["bench", "drmime", "-o", str(folder), "--data", str(data), "--sets", "slices"]
    command += ["--methods", "start,linear-auto", "--cases", "2", "--size", "72", "-j", "1"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "[0 left]" in text and "| linear-auto | 2 | 0.0" in text
    assert (folder / "tables.md").read_text(encoding="utf-8").strip() in text
    rows = read_rows(folder / "results.jsonl")
    assert len(rows) == 4
    found = [row for row in rows if row.method == "linear-auto"]
    assert max(row.distance for row in found) < 0.5
    assert min(row.distance for row in rows if row.method == "start") > 5
    assert found[0].settings["stages"] == ["rigid"] and found[0].verdict == "good"
    # Once more: nothing is run, and the table is the same.
    written = (folder / "results.jsonl").read_bytes()
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == (folder / "tables.md").read_text(encoding="utf-8").strip()
    assert main([*command, "--methods", "start", "--curves", "1"]) == 0
    text = capsys.readouterr().out
    assert "left]" not in text and "| linear-auto | 2 |" in text
    assert (folder / "results.jsonl").read_bytes() == written
    assert (folder / "curves-slices.svg").exists() and (folder / "curves-slices.csv").exists()
    # Tables need neither images nor tools.
    assert (
        main(["bench", "drmime", "-o", str(folder), "--size", "72", "--table-only", "--methods", "start"])
        == 0
    )
    text = capsys.readouterr().out
    assert "| start | 2 |" in text and "linear-auto" not in text


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--sets", "kidney"], "--sets: kidney needs --data, the folder of images"),
        (["--sets", "kidneys"], "--sets: unknown name 'kidneys'"),
        (["--methods", "mi"], "--methods: unknown name 'mi'"),
        (["--data", "nowhere"], "--data: expected a folder, and nowhere is none"),
        (["-o", __file__], "is a file"),
    ],
)
def test_wrong_usage_is_one_line(more, said, tmp_path, capsys):
    assert main(["bench", "drmime", "-o", str(tmp_path), *more]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1
    assert captured.out == ""


def test_nothing_done_yet_is_said(tmp_path, capsys):
    assert main(["bench", "drmime", "-o", str(tmp_path / "new"), "--table-only"]) == 0
    assert capsys.readouterr().out == "there are no results yet\n"
    assert not (tmp_path / "new").exists()
