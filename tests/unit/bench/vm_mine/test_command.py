import pytest
import SimpleITK

from inforeg.bench.deformable.results import read_rows
from inforeg.bench.vm_mine import networks, run  # noqa: F401  (types are looked up when it is first imported)
from inforeg.bench.vm_mine.sets import HELD_BACK, SETS
from inforeg.cli.main import main


@pytest.mark.slow
def test_from_images_to_tables(all_heads, tmp_path, monkeypatch, capsys):
    """A network of hardly any steps, at two weights, on small heads, tried on a pair that was held back."""
    out = tmp_path / "out"
    small = {"shape": (16, 16, 16), "spacing_mm": 2.5, "steps": 3}
    little = {
        "start": "header",
        "head_start": 3,
        "net": {"encoder": (4, 8), "decoder": (8, 4), "extra": (4,)},
        "validation_pairs": 1,
    }
    real = networks.Schedule
    monkeypatch.setattr(networks, "Schedule", lambda steps: real(**{**small, "steps": steps}, more=little))
    command = [
        "bench",
        "vm-mine",
        "-o",
        str(out),
        "--data",
        str(all_heads),
        "--sets",
        "multi",
        "--cases",
        "1",
        "-j",
        "2",
    ]
    command += [
        "--networks",
        "vm-mine-local",
        "--peers",
        "svf",
        "--alphas",
        "0.5",
        "--seeds",
        "1",
        "--steps",
        "3",
    ]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert (
        "training vm-mine-local-s0 [1 left]" in text and "| VM-MINE local, refined by 20 steps | 1 |" in text
    )
    rows = read_rows(out / "results.jsonl")
    tried = ("svf", *("vm-mine-local-s0" + more for more in ("", "+svf")), "vm-mine-local-a0.5-s0")
    assert {r.method for r in rows} == set(tried)
    assert not any(r.failure for r in rows) and all(r.folds == 0 for r in rows)
    assert SimpleITK.ReadImage(str(out / "responses.png")).GetSize() == (200, 200)
    # Neither is anything trained again nor tried again.
    before = (out / "results.jsonl").read_bytes()
    assert main(command) == 0
    assert "training" not in capsys.readouterr().out and (out / "results.jsonl").read_bytes() == before
    assert main(["bench", "vm-mine", "-o", str(out), "--table-only"]) == 0
    assert capsys.readouterr().out.strip() == (out / "tables.md").read_text(encoding="utf-8").strip()


def test_the_pairs_are_of_heads_held_back(all_heads, tmp_path):
    from inforeg.bench.deformable.sets import Source

    assert SETS["multi"].count == 6 and set(SETS) == {"multi", "mono", "flair"}
    source = Source(all_heads, 0, 1.0, tmp_path / "affines")
    case = SETS["multi"].make(0, source)
    assert (case.set, case.group) == ("multi", "T1-FLAIR") and HELD_BACK[0] in case.fixed.name
    assert SETS["mono"].make(0, source).group == "T1-T1"
    patient = SETS["flair"].make(0, source)
    assert patient.group == "T1-FLAIR" and set(patient.fixed_labels.data.unique().tolist()) <= {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected --data"),
        (["--data", "gone"], "--data: expected a folder"),
        (["--data", "{data}", "--networks", "vm-min"], "--networks: unknown name 'vm-min'"),
        (["--data", "{data}", "--sets", "mulit"], "--sets: unknown name 'mulit'"),
        (["--data", "{data}", "--alphas", "1,x"], "--alphas: expected numbers"),
    ],
)
def test_what_cannot_be_run_is_said_in_a_line(arguments, said, data, tmp_path, capsys):
    command = [argument.format(data=data) for argument in arguments]
    assert main(["bench", "vm-mine", "-o", str(tmp_path / "out"), *command, "--peers", "svf"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "out").exists()
