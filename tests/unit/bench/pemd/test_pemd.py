"""The benchmark of carrying displacements to another contrast, on small heads."""

import csv

import pytest
from small_heads import data, threads_and_caches_as_found  # noqa: F401  (fixtures)

from inforeg.bench.deformable.measure import before, measured
from inforeg.bench.ditr import pairs
from inforeg.bench.ditr.pairs import TESTED
from inforeg.bench.pemd import dense
from inforeg.bench.pemd import run as runs
from inforeg.bench.pemd.run import SETS, WAYS, Row, recipe_of, rows_of, steps_for
from inforeg.bench.pemd.slices import write_slices, write_volumes
from inforeg.bench.pemd.table import markdown, pictures
from inforeg.cli.main import main
from inforeg.io import read_image
from inforeg.nets import DisplacementNetSettings


@pytest.fixture(autouse=True)
def fresh():
    yield
    pairs._patient.cache_clear()


def test_subjects_are_in_one_split_each_and_contrasts_lie_on_one_another(data, tmp_path):  # noqa: F811
    table = write_slices(data, tmp_path / "slices")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    splits = {}
    for row in rows:
        splits.setdefault(row["subject"].partition("-")[0], set()).add(row["split"])
    assert all(len(split) == 1 for split in splits.values())
    assert {name for name, split in splits.items() if split == {"test"}} == {n.split("/")[1] for n in TESTED}
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    first = [read_image(table.parent / row["image"]) for row in rows[:2]]
    assert first[0].grid.ndim == 2 and first[0].grid.shape == first[1].grid.shape
    assert write_slices(data, tmp_path / "slices") == table
    with write_volumes(data, tmp_path / "volumes").open(newline="") as file:
        whole = list(csv.DictReader(file))
    assert {row["subject"] for row in whole} == set(splits)
    volume = read_image(tmp_path / "volumes" / whole[0]["image"])
    assert volume.grid.ndim == 3 and volume.grid.spacing_mm.tolist() == pytest.approx([3.0] * 3)


@pytest.mark.parametrize("name", SETS)
def test_every_way_is_taught_as_often(name, tmp_path):
    for way in WAYS:
        recipe = recipe_of(name, way, tmp_path / "slices.csv", 0)
        steps = steps_for(recipe, 100)
        assert sum(recipe.phase_of(step) in (0, 3) for step in range(steps)) == 100
        assert recipe.phase_of(steps) in (0, 3)


def test_the_tables_have_means_deviations_and_p():
    rows = [
        Row(
            "outline",
            way,
            seed,
            rounds,
            30.0,
            0.9,
            target + 0.01 * (seed % 3) * (way == "none") * (rounds == 20),
            0.25,
        )
        for way, target in (("none", 0.3), ("swd", 0.33), ("pemd-16+swd", 0.44))
        for seed in range(5)
        for rounds in (10, 20)
    ]
    rows = [row for row in rows if not (row.way == "swd" and row.seed > 1)]
    text = markdown(rows)
    assert "| none | 5 | 20 | 30.8 | 0.8 | 90.0 | 25.0 |  |" in text
    assert "| pemd-16+swd | 5 | 20 | 44.0 |" in text and "p, none" in text
    assert list(pictures(rows)) == ["outline.svg"]
    assert markdown([]) == "there are no results yet\n"


def test_a_slice_is_bent_by_a_warp_that_is_known(data):  # noqa: F811
    one = dense.case(data, TESTED[0], 1)
    at_rest, answered = before(one), measured(one, one.truth, None)
    assert at_rest.error_mm > 2 and answered.error_mm < 1e-3
    assert answered.dice > 0.85 > at_rest.dice


@pytest.mark.slow
def test_from_images_to_the_tables(data, tmp_path, monkeypatch, capsys):  # noqa: F811
    small = DisplacementNetSettings(patch=12, reach=4.0, labels=3, widths=(4,), strides=(2,), classifier=(4,))
    title, changes = SETS["within-inverted"]
    monkeypatch.setitem(SETS, "within-inverted", (title, {**changes, "net": small}))
    monkeypatch.setattr(runs, "_ASKED", 2)
    monkeypatch.setattr(dense, "SLICES", 2)
    monkeypatch.setattr(dense, "ASKED", {k: v for k, v in dense.ASKED.items() if "20" not in k})
    output = tmp_path / "out"
    command = ["bench", "p-emd", "-o", str(output), "--data", str(data), "--ways", "none,pemd-16+swd"]
    command += ["--sets", "within-inverted", "--seeds", "1", "--taught", "4", "--rounds", "4", "--parts", "2"]
    command += ["--dense", "--threads", "1"]
    assert main(command) == 0
    rows = rows_of(output / "accuracy.jsonl")
    assert [(row.way, row.rounds) for row in rows] == [
        ("taught", 0),
        *[(way, rounds) for way in ("none", "pemd-16+swd") for rounds in (2, 4)],
    ]
    said = capsys.readouterr().out
    assert "| pemd-16+swd | 1 | 4 |" in said and (output / "within-inverted.svg").is_file()
    assert (
        "| mind_ssc | 4 |" in said
        and "| not adapted | 4 |" in said
        and "windows" not in said.split("before")[1]
    )
    assert main([*command[:-2], "--table-only"]) == 0
    assert "| mind_ssc | 4 |" in capsys.readouterr().out
    for flag in ("--ways", "--sets"):
        assert main(["bench", "p-emd", "-o", str(output), flag, "nobody"]) == 2
        assert f"{flag}: unknown name 'nobody'" in capsys.readouterr().err
