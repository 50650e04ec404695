import math
from dataclasses import replace

import pytest
import torch
from small_heads import data, threads_and_caches_as_found  # noqa: F401  (fixtures)

from inforeg.bench.keymorph import contestants, whole
from inforeg.bench.keymorph import run as runs
from inforeg.bench.keymorph.contestants import CONTESTANTS, USUAL, Contestant, Outcome
from inforeg.bench.keymorph.run import Row, rows_of
from inforeg.bench.keymorph.sets import ANGLES_DEG, SETS, across, pose_about
from inforeg.bench.keymorph.table import markdown
from inforeg.bench.keymorph.training import ANCHORED, HEADS, recipe_of, train_model
from inforeg.cli.main import main
from inforeg.errors import InforegError
from inforeg.image import Labels
from inforeg.io import write_labels
from inforeg.nets import KeypointNetSettings
from inforeg.nets.files import read_model
from inforeg.space import Grid
from inforeg.transforms import Linear


def test_poses_turn_by_what_they_say_about_the_centre():
    centre = torch.tensor([10.0, -20.0, 30.0]).double()
    for angle in ANGLES_DEG:
        pose = pose_about(centre, angle, 15.0, torch.Generator().manual_seed(1), stretch=False)
        assert pose.rotation_angle_deg() == pytest.approx(angle, abs=1e-5)
        assert float((pose(centre) - centre).abs().max()) <= 15
    axes = [
        pose_about(centre, 90.0, 0.0, torch.Generator().manual_seed(n), stretch=True).matrix for n in (1, 2)
    ]
    assert float((axes[0] - axes[1]).abs().max()) > 0.3
    sizes = torch.linalg.svdvals(axes[0][:3, :3])
    assert 0.6 < float(sizes.min()) < float(sizes.max()) < 1.5 and float(sizes.max() - sizes.min()) > 0.01


def test_every_patient_and_pair_of_contrasts_has_its_turn():
    assert len(set(across())) == 4 * 12
    assert all(method in CONTESTANTS for methods in USUAL.values() for method in methods)
    assert set(USUAL) == set(SETS)


def row(**changes):
    base = Row("rigid", 0, "a", 45.0, "T1", "T2", "keymorph", 1.5, tre_mm=2.0, before_mm=80.0, points_mm=1.25)
    return replace(base, **changes)


def test_the_tables_say_who_is_right_at_which_angle():
    rows = [
        row(),
        row(number=1, angle_deg=180.0, tre_mm=50.0),
        row(number=2, angle_deg=180.0, tre_mm=4.0, fixed="T2", moving="T1", points_mm=3.25),
        row(method="ants", tre_mm=0.5, points_mm=None, seconds=9.0),
        row(
            method="ants",
            number=1,
            angle_deg=180.0,
            tre_mm=80.0,
            points_mm=None,
            seconds=math.nan,
            problem="no",
        ),
        row(set="upright", method="svf", tre_mm=None, dice=0.5, points_mm=None, angle_deg=0.0),
    ]
    text = markdown(rows)
    assert "| keymorph | 3 | 100 | 50 | 4.00 | 50.00 | 1.5 |  |" in text
    assert "| ants | 2 | 100 | 0 | 40.25 | 80.00 | 9.0 |  |" in text
    assert "| svf | 1 | 50.0 | 50.0 | 1.5 |" in text
    assert "| T1 and T2 | 3 | 1.25 |  |" in text


@pytest.mark.slow
def test_from_images_to_tables(data, tmp_path, monkeypatch, capsys):  # noqa: F811
    """Two small heads, one turned, by one method that is told nothing and one that fails; nothing is done twice."""
    calls = []

    def nothing(case, setting):
        calls.append(case)
        return Outcome(Linear.identity(3), 0.5, "good")

    def fails(case, setting):
        raise InforegError("no luck")

    known = {"nothing": Contestant("nothing", nothing), "fails": Contestant("fails", fails)}
    for where in (contestants, runs):
        monkeypatch.setattr(where, "CONTESTANTS", known)
    monkeypatch.setattr("inforeg.bench.keymorph.table.CONTESTANTS", known)
    out = tmp_path / "out"
    command = ["bench", "keymorph", "-o", str(out), "--data", str(data), "--sets", "heads,upright"]
    command += [
        "--methods",
        "nothing,fails",
        "--model",
        "t1-flair",
        "--spacing",
        "1",
        "--cases",
        "2",
        "-j",
        "2",
    ]
    assert main(command) == 0
    rows = {(r.set, r.number, r.method): r for r in rows_of(out / "results.jsonl")}
    assert len(rows) == 8 and len(calls) == 4
    assert rows["heads", 0, "fails"].problem == "no luck"
    as_they_lie, turned = rows["upright", 0, "nothing"].dice, rows["heads", 1, "nothing"].dice
    assert as_they_lie > turned + 0.1  # their labels took the pose
    assert "## upright: T1 of two people as they lie" in capsys.readouterr().out
    assert main(command) == 0 and len(calls) == 4
    assert main(["bench", "keymorph", "-o", str(out), "--table-only", "-q"]) == 0
    assert main([*command[:4], "--data", str(tmp_path), "--sets", "rigid"]) == 2
    assert "rigid needs ms/ms07_T1.nii.gz" in capsys.readouterr().err


def test_the_model_that_ships_is_trained_by_one_command(tmp_path, capsys):
    """On small heads of labels, for hardly any steps; where a map is missing, a line says so."""
    maps = tmp_path / "data" / "synthseg"
    maps.mkdir(parents=True)
    grid = Grid.from_spacing((32, 32, 32), 6.0)
    apart = (grid.points_mm() - grid.centre_mm).norm(dim=1).reshape(grid.shape)
    x = grid.points_mm()[:, 0].reshape(grid.shape) - grid.centre_mm[0]
    ids = torch.zeros(grid.shape, dtype=torch.int64)
    ids[apart < 85] = 507
    ids[apart < 75] = 24
    ids[(apart < 65) & (x < 0)], ids[(apart < 65) & (x >= 0)] = 3, 42
    ids[(apart < 45) & (x < 0)], ids[(apart < 45) & (x >= 0)] = 2, 41
    for number in HEADS:
        write_labels(Labels(ids[None, None], grid), maps / f"training_seg_{number:02d}.nii.gz")
    little = {"start": "header", "shape": (16, 16, 16), "spacing_mm": 12.0, "validation_pairs": 1}
    little["net"] = KeypointNetSettings(keypoints=6, widths=(4, 4, 4), packed=2)
    path = train_model(tmp_path / "data", tmp_path / "out", 4, 2, lambda _line: None, **little)
    model = read_model(path)
    assert model.card["licence"] == "Apache-2.0" and model.card["data"]["subjects"] == 16
    assert recipe_of(path).anchored == ANCHORED and recipe_of(path, 150).anchored == 95
    (maps / "training_seg_07.nii.gz").unlink()
    command = ["bench", "keymorph", "-o", str(tmp_path / "out"), "--data", str(tmp_path / "data"), "--train"]
    assert main([*command, "--sets", "upright"]) == 2


@pytest.mark.slow
def test_whole_processes_are_measured(data, monkeypatch):  # noqa: F811
    """On one small pair, by the search alone; a run that fails is said and not counted."""
    monkeypatch.setattr(whole, "COMMANDS", {"linear": ["--method", "linear"]})
    seconds = whole.whole_processes(data, "t1-flair", 1, 1.0, 2)
    assert len(seconds["linear"]) == 1 and 0.3 < seconds["linear"][0] < 120
    assert "| linear | 1 |" in whole.markdown(seconds) and "| 1.00 |" in whole.markdown(seconds)
    monkeypatch.setattr(whole, "COMMANDS", {"linear": ["--method", "nothing"]})
    with pytest.raises(InforegError, match="linear ended with 2"):
        whole.whole_processes(data, "t1-flair", 1, 1.0, 2)
