import pytest

from inforeg.bench.deformable import contestants
from inforeg.bench.deformable.results import read_rows
from inforeg.cli.main import main


def test_help(capsys):
    assert main(["bench", "deformable", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--spacing" in said and "--keep" in said


@pytest.mark.slow
def test_tissues_from_end_to_end(data, tmp_path, capsys, monkeypatch):
    # An affine method in place of the deformable one: the two heads differ by a shift.
    monkeypatch.setitem(contestants.CONTESTANTS, "svf", contestants.Ours(transform="affine"))
    folder = tmp_path / "out"
    command = ["bench", "deformable", "-o", str(folder), "--data", str(data), "--sets", "tissue"]
    command += ["--methods", "svf", "--cases", "1", "-j", "1"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "[0 left]" in text and "| svf | 1 |" in text
    (row,) = read_rows(folder / "results.jsonl")
    assert row.dice > row.before_dice + 0.05 and row.group == "T1-T2" and not row.failure
    # Tables need neither images nor tools.
    assert main(["bench", "deformable", "-o", str(folder), "--table-only"]) == 0
    assert capsys.readouterr().out.strip() == (folder / "tables.md").read_text(encoding="utf-8").strip()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "expected images to register, found none: left out: known needs --data"),
        (["--sets", "heads"], "--sets: unknown name 'heads'"),
        (["--sets", "oasis"], "--sets: oasis needs --data, the folder of images"),
        (["--data", "nowhere"], "--data: expected a folder, and nowhere is none"),
        (["-o", __file__], "is a file"),
        (["--methods", "antz", "--table-only"], "--methods: unknown name 'antz'"),
    ],
)
def test_wrong_usage_is_one_line(more, said, tmp_path, capsys):
    assert main(["bench", "deformable", "-o", str(tmp_path), *more]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
