import csv

from inforeg.bench.vm_mine import networks as planned
from inforeg.bench.vm_mine.networks import KINDS, Network, Schedule, done, networks, recipe_of
from inforeg.bench.vm_mine.sets import HELD_BACK, LEARNT, VALIDATION, write_table
from inforeg.train.listing import read_scans
from inforeg.train.objective import metric_of


def test_nobody_is_learnt_from_and_tried_on():
    assert not set(HELD_BACK) & set(LEARNT) and not set(HELD_BACK) & set(VALIDATION)
    assert not set(LEARNT) & set(VALIDATION) and len(LEARNT + VALIDATION + HELD_BACK) == 17


def test_the_table_says_so_too(all_heads, tmp_path):
    write_table(all_heads, tmp_path / "images.csv")
    scans = read_scans(tmp_path / "images.csv")
    assert {s.subject for s in scans if s.split == "test"} == set(HELD_BACK)
    assert {s.subject for s in scans if s.split == "train"} == set(LEARNT)
    assert sorted(s.subject for s in scans if s.image and s.split == "train") == ["oasis1000", "oasis1004"]
    assert all(s.labels is not None for s in scans)
    with (tmp_path / "images.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 17


def test_what_is_trained_and_in_which_order():
    found = [n.name for n in networks(list(KINDS), None, [0.5, 5.0])]
    assert found[: len(KINDS)] == [f"{kind}-s0" for kind in KINDS]
    assert "vm-mine-local-a0.5-s0" in found and "vm-mine-local-a5-s0" not in found
    assert found[-4:] == ["vm-mine-global-s1", "vm-mine-local-s1", "vm-mine-global-s2", "vm-mine-local-s2"]
    assert [n.name for n in networks(["vm-mine-local"], 1, [])] == ["vm-mine-local-s0"]


def test_recipes_differ_in_what_is_compared_alone(all_heads, tmp_path):
    made = {kind: recipe_of(Network(kind), tmp_path / "t.csv", all_heads, Schedule()) for kind in KINDS}
    first = made["vm-cc"].to_dict()
    for kind, recipe in made.items():
        metric_of(recipe)
        other = {k for k, v in recipe.to_dict().items() if v != first[k]}
        assert other <= {"metric", "alpha", "metric_settings"} or kind == "brain"
    heavier = recipe_of(Network("vm-mine-local", 2, 0.5), tmp_path / "t.csv", all_heads, Schedule(steps=7))
    assert (heavier.alpha, heavier.seed, heavier.steps) == (0.5, 2, 7)


def test_the_one_of_any_contrast_learns_longer_and_of_the_same_heads(all_heads, tmp_path):
    recipe = recipe_of(Network("brain"), tmp_path / "t.csv", all_heads, Schedule(steps=100))
    other = recipe_of(Network("vm-nmi"), tmp_path / "t.csv", all_heads, Schedule(steps=100))
    assert recipe.steps == 300 and (recipe.images, recipe.net) == (other.images, other.net)
    assert recipe.label_weight > 0 and recipe.fixed == recipe.moving == ("T1", "T2", "FLAIR", "PD")


def test_published_settings_of_the_mine_rows(all_heads, tmp_path):
    for kind in ("vm-mine-global", "vm-mine-local"):
        metric = metric_of(recipe_of(Network(kind), tmp_path / "t.csv", all_heads, Schedule()))
        assert metric.network.sizes == (2, 30, 1)


def test_a_run_is_done_when_its_last_step_was_validated(tmp_path):
    assert not done(tmp_path, 10)
    (tmp_path / planned.MODEL).touch()
    log = tmp_path / "log.jsonl"
    log.write_text('{"step": 5, "validation": {}}\n', encoding="utf-8")
    assert not done(tmp_path, 10) and done(tmp_path, 5)
    log.write_text('{"step": 10, "cost": 1.0}\n', encoding="utf-8")
    assert not done(tmp_path, 10)
