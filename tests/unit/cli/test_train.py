import json

import pytest
from made_up import made_up, recipe  # noqa: F401  (a fixture)

from inforeg.cli.main import main
from inforeg.nets.files import read_said


@pytest.fixture
def written(made_up, tmp_path):  # noqa: F811
    """A recipe in a file, and what to call it with."""

    def write(**changes):
        (tmp_path / "recipe.toml").write_text(recipe(made_up, **changes).to_toml(), encoding="utf-8")
        return ["train", str(tmp_path / "recipe.toml"), "-o", str(tmp_path / "run"), "--device", "cpu"]

    return write


def test_a_recipe_becomes_a_model_that_the_other_commands_know(written, tmp_path, capsys):
    assert main([*written(), "-j", "2"]) == 0
    said = capsys.readouterr().out
    assert "s01_T1 is on the canonical grid" in said and "on pairs held back" in said
    model = str(tmp_path / "run" / "model.safetensors")
    assert f"written: {model}" in said
    assert main(["models", "list", str(tmp_path)]) == 0
    assert f"{model}: 2-D, T1 and T2, mine, 4 mm" in capsys.readouterr().out
    assert main(["models", "info", model]) == 0
    said = capsys.readouterr().out
    assert "spacing_mm: 4.0" in said and "subjects: 3" in said and "metric: mine" in said
    assert main(["models", "info", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == read_said(tmp_path / "run" / "model.safetensors")
    assert main(["models", "verify", model, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert main(["models", "list", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_a_run_that_is_there_is_kept(written, tmp_path, capsys):
    command = written(steps=1)
    assert main([*command, "-q"]) == 0
    before = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "go on with it (--resume)" in error and error.count("\n") == 1
    assert main([*command, "--resume", "-q"]) == 0
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == before


def test_one_pair_is_learnt_by_heart_or_not(written, tmp_path, capsys):
    assert main([*written(metric="nmi", alpha=10.0, steps=60), "--overfit-pair"]) == 0
    assert "0 folds: it learns" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["prepared"]
    assert main([*written(metric="nmi", alpha=0.0, steps=5), "--overfit-pair"]) == 3
    assert "it does not learn" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train"], 2, "expected a recipe and a folder"),
        (["train", "gone.toml", "-o", "run"], 1, "gone.toml"),
        (["train", "a.toml", "-o", "run", "--ranks", "0"], 2, "--ranks"),
        (["train", "a.toml", "-o", "run", "--device", "gpu"], 2, "--device"),
        (["models", "info", "gone.safetensors"], 1, "is not there"),
        (["models", "verify", "nosuch"], 2, "unknown model 'nosuch'"),
        (["models", "list", "gone"], 1, "expected a folder"),
        (["register", "-f", "a", "-m", "b", "-o", "c", "--method", "gone.safetensors"], 2, "is not there"),
        (["register", "-f", "a", "-m", "b", "-o", "c", "--method", "netwrok"], 2, "did you mean network"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(arguments, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == code
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_is_not_overwritten(written, tmp_path, capsys):
    written()
    assert main(["train", str(tmp_path / "recipe.toml"), "-o", str(tmp_path)]) == 2
    assert "lies inside the output folder" in capsys.readouterr().err


def test_the_example_is_printed(capsys):
    assert main(["train", "--example", "--network", "keypoints"]) == 0
    assert 'network = "keypoints"' in capsys.readouterr().out
    assert main(["train", "--example"]) == 0
    assert 'images = "images.csv"' in capsys.readouterr().out
