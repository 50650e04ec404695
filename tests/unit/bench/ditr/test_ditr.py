import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_heads import data, threads_and_caches_as_found  # noqa: F401  (fixtures)

from inforeg.bench.ditr import contestants, dense, pairs, response, stains, training
from inforeg.bench.ditr import run as runs
from inforeg.bench.ditr.cases import SETS, partial, shadows
from inforeg.bench.ditr.contestants import CONTESTANTS, USUAL, Contestant, Outcome, metrics_of
from inforeg.bench.ditr.figures import Box, Curve, box_plot, curves
from inforeg.bench.ditr.run import Row, rows_of
from inforeg.bench.ditr.table import box_plots, markdown
from inforeg.cli.main import main
from inforeg.errors import InforegError
from inforeg.image import Image
from inforeg.io import read_image
from inforeg.nets.files import read_model
from inforeg.space import Grid
from inforeg.transforms import Linear


@pytest.fixture(autouse=True)
def fresh():
    yield
    pairs._patient.cache_clear()


@pytest.mark.parametrize("kind", ["rigid", "affine"])
def test_misalignments_are_of_the_published_ranges(kind):
    centre = torch.tensor([5.0, -3.0, 8.0]).double()
    shifts, turns, sizes = [], [], []
    for seed in range(60):
        found = pairs.misaligned(kind, centre, torch.Generator().manual_seed(seed))
        shifts.append(found(centre) - centre)
        turns.append(torch.tensor(found.rotation_angle_deg()).deg2rad())
        sizes.append(torch.linalg.svdvals(found.matrix[:3, :3]))
    shift = torch.stack(shifts)
    assert float(shift.abs().min()) >= 1 and 20 < float(shift.abs().max()) <= 25
    assert float((shift > 0).double().mean()) == pytest.approx(0.5, abs=0.15)
    assert float(min(turns)) > 0.01 and 0.15 < float(max(turns)) < 0.15 * 3**0.5
    spread = float((torch.stack(sizes) - 1).abs().max())
    assert spread < 1e-9 if kind == "rigid" else 0.04 < spread < 0.08


def test_nothing_that_is_tested_on_is_learnt_from(data, tmp_path):  # noqa: F811
    assert not set(pairs.LEARNT) & set(pairs.TESTED)
    for kind in ("contrasts", "edges", "shifted", "smoothed"):
        table = pairs.write_pairs(data, tmp_path / kind, kind)
        rows = list(csv.DictReader(table.read_text().splitlines()))
        tested = {Path(name).name for name in pairs.TESTED}
        assert not tested & {row["subject"] for row in rows} and {row["split"] for row in rows} == {"train"}
        fixed = "edges" if kind == "edges" else "T1"
        moving = ("T2", "FLAIR") if kind == "contrasts" else ("T2",)
        assert {row["contrast"] for row in rows} == {fixed, *moving}
        assert pairs.write_pairs(data, tmp_path / kind, kind) == table
        if kind == "edges":
            values = read_image(tmp_path / kind / "ms07_edges.nii").data.unique().tolist()
            assert values == [0.0, 1.0]
        if kind == "shifted":
            one, other = (
                read_image(path).grid
                for path in (tmp_path / kind / "ms07_shifted_T2_0.nii", data / "ms" / "ms07_T2.nii.gz")
            )
            assert torch.allclose(one.centre_mm - other.centre_mm, torch.tensor([10.0, 0, 0]).double())


def test_the_halves_of_the_section_share_nothing(tmp_path):
    rows = list(csv.DictReader(stains.write_stains(tmp_path).read_text().splitlines()))
    assert len(rows) == 1 + 12
    left = read_image(tmp_path / rows[0]["image"])
    right = stains._half(stains._picture()[0], left=False)
    ends = [
        image.grid.to_world(torch.tensor([[0.0, 0], [n - 1.0, 0]]).double())[:, 0]
        for image in (left, right)
        for n in image.grid.shape[:1]
    ]
    assert float(ends[0].min()) > float(ends[1].max()) or float(ends[0].max()) < float(ends[1].min())
    fixed, moving, truth, landmarks = stains.stains_case(3)
    assert fixed.grid.shape == (160, 160) and moving.grid.shape == (224, 224)
    assert float((truth(landmarks) - landmarks).norm(dim=1).mean()) > 1
    again = stains.stains_case(3)
    assert torch.equal(again[0].data, fixed.data) and torch.equal(again[2].matrix, truth.matrix)


@pytest.mark.parametrize("name", [name for name, about in SETS.items() if about.patients])
def test_the_truth_of_every_set_lays_both_images_on_one_another(data, name):  # noqa: F811
    case = SETS[name].make(1, data)
    assert case.landmarks_mm.shape == (100, 3)
    seen = case.moving.grid.to_voxel(case.truth(case.landmarks_mm))
    size = torch.tensor(case.moving.grid.shape)
    assert bool(((seen > -0.5) & (seen < size - 0.5)).all())
    again = SETS[name].make(1, data)
    assert torch.equal(again.fixed.data, case.fixed.data) and torch.equal(
        again.truth.matrix, case.truth.matrix
    )
    if name == "edges":
        assert case.fixed.data.unique().tolist() == [0.0, 1.0]
    if name == "edges-soft":
        assert len(case.fixed.data.unique()) > 10


def test_parts_and_shadows_take_something_away():
    grid = Grid.from_spacing((60, 60, 60), 1.0)
    ones = Image(torch.ones((1, 1, 60, 60, 60)), grid)
    left = float(partial(ones, torch.Generator().manual_seed(0)).data.mean())
    assert 0.2 < left < 0.6
    seen = shadows(ones, torch.Generator().manual_seed(0)).data
    assert 0.02 < float((seen < 0.1).float().mean()) < 0.8 and float(seen.std()) > 0.2


def row(**changes):
    return replace(Row("rigid", 0, "a", "ditr", 1.5, 20.0, 0.5), **changes)


def test_the_tables_say_errors_who_is_right_and_p():
    rows = [row(number=n, fre_mm=0.5 + 0.01 * n) for n in range(4)]
    rows += [row(number=n, method="mi-powell", fre_mm=1.0 + n, seconds=9.0) for n in range(4)]
    rows += [row(number=0, method="ants", fre_mm=None, seconds=float("nan"), problem="no")]
    text = markdown(rows)
    assert "| ditr | 4 | 0.52 | 0.51 to 0.52 | 0.53 | 100 | 1.5 |  |" in text
    assert "| mi-powell | 4 | 2.50 | 2.00 to 3.00 | 4.00 | 25 | 9.0 | 0.0" in text
    assert "| ants | 1 | failed |" in text
    assert markdown([]) == "there are no results yet\n"
    pictures = box_plots(rows)
    assert list(pictures) == ["rigid"] and pictures["rigid"].count("<rect") == 3


def test_pictures_hold_what_they_are_given():
    boxes = box_plot(
        [Box("one", [0.001, 0.5, 1, 2, 100]), Box("none", [])], title="A & B", name="mm", line=2.0
    )
    assert "A &amp; B" in boxes and boxes.count("<circle") == 1 and ">none<" in boxes
    drawn = curves([Curve("a", [0, 1, 2], [0.0, 1.0, 0.5])], title="t", x_name="x", y_name="y", mark=1.0)
    assert drawn.count("<polyline") == 1 and "nan" not in drawn + boxes


def test_peaks_that_stand_out_are_counted_and_placed_between_steps():
    shifts = [float(n) for n in range(-30, 31)]
    one = response.Response("a", shifts, [-((x - 3.3) ** 2) for x in shifts])
    assert one.peak_mm == pytest.approx(3.3) and one.peaks == 1
    waves = [max(5 - abs(x - 10), 4 - abs(x + 10), 0.02 * (x % 2)) for x in shifts]
    two = response.Response("b", shifts, waves)
    assert two.peak_mm == pytest.approx(10.0) and two.peaks == 2 and two.width_mm == 8
    assert "| b | 10.00 | 2 |" in response.table([two])


def test_every_set_has_a_metric_and_methods():
    assert set(USUAL) == set(SETS) and all(about.metric in training.METRICS for about in SETS.values())
    assert all(method in CONTESTANTS for methods in USUAL.values() for method in methods)
    assert metrics_of({"rigid": ["ditr", "ditr-plain", "linear"], "edges": ["ditr"]}) == [
        "dithered",
        "plain",
        "edges",
    ]
    # The first cases of every kind of warp are of the patients that are tested on.
    assert len(dense.cases()) >= 4


@pytest.mark.slow
def test_from_images_to_tables(data, tmp_path, monkeypatch, capsys):  # noqa: F811
    """Metrics are trained for two steps, two cases are run by it and by one that fails, and nothing twice."""

    def refuses(_set, _case, _setting):
        raise InforegError("it gave up")

    calls = []

    def knows(set, case, setting):
        calls.append(set)
        return Outcome(Linear(case.truth.matrix), 1.25, "good")

    told = {"start": CONTESTANTS["start"], "mi-powell-scales": CONTESTANTS["mi-powell-scales"]}
    told |= {"ditr": Contestant("", knows), "ditr-plain": Contestant("", refuses, metric="plain")}
    for module in (contestants, runs):
        monkeypatch.setattr(module, "CONTESTANTS", told)
    taught = replace(training.METRICS["dithered"], stages=((2, 16.0),), more={"widths": (4, 4, 4, 4)})
    monkeypatch.setitem(training.METRICS, "dithered", taught)
    monkeypatch.setitem(training.METRICS, "plain", taught)
    output = tmp_path / "out"
    command = ["bench", "ditr", "-o", str(output), "--data", str(data), "--sets", "rigid", "--cases", "2"]
    command += ["--steps", "2", "--methods", "start,ditr,ditr-plain,mi-powell-scales", "--threads", "2"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "dithered: training" in said and "it gave up" in said
    rows = {(r.number, r.method): r for r in rows_of(output / "results.jsonl")}
    assert len(rows) == 8 and rows[0, "ditr"].fre_mm == pytest.approx(0, abs=1e-9)
    assert rows[0, "start"].fre_mm == rows[0, "start"].before_mm > 1
    assert rows[1, "ditr-plain"].problem == "it gave up"
    assert (output / "rigid.svg").is_file() and "| ditr | 2 | 0.00 |" in (output / "tables.md").read_text()
    assert len(read_model(output / "metrics/dithered/model.safetensors").net.nets) == 1
    assert main(command) == 0 and len(calls) == 2
    assert main(["bench", "ditr", "-o", str(output), "--table-only"]) == 0
    assert "| ditr | 2 | 0.00 |" in capsys.readouterr().out


@pytest.mark.slow
def test_responses_are_drawn(data, tmp_path, monkeypatch):  # noqa: F811
    small = {"widths": (4, 4, 4, 4)}
    for name, about in training.METRICS.items():
        monkeypatch.setitem(training.METRICS, name, replace(about, stages=((1, 0.0),), more=small))
    monkeypatch.setattr(response, "STEP_MM", 15.0)
    monkeypatch.setattr(response, "CONTRASTS", ("T2",))

    def made(name):
        return training.trained(name, data, tmp_path, 1, 2, lambda _line: None)

    text = response.drawn(made, data, tmp_path)
    assert "| smoothed |" in text and "| IML(1, 0) |" in text
    assert all((tmp_path / f"{name}.svg").is_file() for name in ("stages-T2", "shift"))
