"""The benchmark of carrying displacements to another contrast, on small heads."""

import csv

import pytest
from small_heads import data, threads_and_caches_as_found  # noqa: F401  (fixtures)

from inforeg.bench.ditr import pairs
from inforeg.bench.ditr.pairs import TESTED
from inforeg.bench.pemd import run as runs
from inforeg.bench.pemd.run import WAYS, Row, recipe_of, rows_of, steps_for
from inforeg.bench.pemd.slices import write_slices
from inforeg.bench.pemd.table import markdown
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


def test_every_way_is_taught_as_often(tmp_path):
    for way in WAYS:
        recipe = recipe_of(way, tmp_path / "slices.csv", 0)
        steps = steps_for(recipe, 1000)
        assert sum(recipe.phase_of(step) == 0 for step in range(steps)) == 1000
        assert recipe.phase_of(steps) == 0


def test_the_table_has_means_deviations_and_p():
    rows = [
        Row(way, seed, rounds, 30.0, 0.9, target + 0.01 * (seed % 3) * (way == "none") * (rounds == 20), 0.5)
        for way, target in (("none", 0.3), ("swd", 0.33), ("pemd-16+swd", 0.44))
        for seed in range(5)
        for rounds in (10, 20)
    ]
    rows = [row for row in rows if not (row.way == "swd" and row.seed > 1)]
    text = markdown(rows)
    assert "| none | 5 | 20 | 30.8 | 0.8 | 90.0 |  |" in text
    assert "| pemd-16+swd | 5 | 20 | 44.0 |" in text and "p, none" in text
    assert markdown([]) == "there are no results yet\n"


@pytest.mark.slow
def test_from_images_to_the_table(data, tmp_path, monkeypatch, capsys):  # noqa: F811
    small = DisplacementNetSettings(patch=12, reach=4.0, labels=3, widths=(4,), strides=(2,), classifier=(4,))
    monkeypatch.setattr(runs, "_NET", small)
    monkeypatch.setattr(runs, "_ASKED", 2)
    output = tmp_path / "out"
    command = ["bench", "p-emd", "-o", str(output), "--data", str(data), "--ways", "none,pemd-16+swd"]
    command += ["--seeds", "1", "--rounds", "4", "--parts", "2", "--threads", "1"]
    assert main(command) == 0
    rows = rows_of(output / "accuracy.jsonl")
    assert [(row.way, row.rounds) for row in rows] == [
        (w, n) for w in ("none", "pemd-16+swd") for n in (2, 4)
    ]
    assert "| pemd-16+swd | 1 | 4 |" in capsys.readouterr().out and (output / "accuracy.svg").is_file()
    assert main([*command[:-2], "--table-only"]) == 0
    assert main(["bench", "p-emd", "-o", str(output), "--ways", "nobody"]) == 2
    assert "unknown name 'nobody'" in capsys.readouterr().err
