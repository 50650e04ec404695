import json
import os
from pathlib import Path

import pytest

from inforeg.bench import competitors
from inforeg.bench.deformable import contestants
from inforeg.bench.deformable.contestants import (
    CONTESTANTS,
    OURS,
    PEERS,
    VARIANTS,
    Job,
    NoAnswer,
    Ours,
    chosen_methods,
)
from inforeg.bench.deformable.measure import before, measured
from inforeg.bench.deformable.process import Taken
from inforeg.bench.deformable.sets import SETS, Source, known_pairs
from inforeg.cli import names
from inforeg.errors import UsageError
from inforeg.io import write_image


def case_of(data: Path, tmp_path: Path):
    """One contrast, 2 mm: what every tool can do."""
    wanted = [p.fixed == p.moving and p.amplitude_mm == 2.0 for p in known_pairs()]
    return SETS["known"].make(wanted.index(True), Source(data, 0, 1.0, tmp_path / "affines"))


def job_of(case, tmp_path: Path, limit_s: float = 300.0) -> Job:
    folder = tmp_path / "run"
    folder.mkdir()
    files = tmp_path / "fixed.nii.gz", tmp_path / "moving.nii.gz"
    write_image(case.fixed, files[0])
    write_image(case.moving, files[1])
    return Job(*files, folder, 1, 0, limit_s)


def test_our_command_is_run_as_a_whole_process(data, tmp_path):
    case = case_of(data, tmp_path)
    answer = Ours(("--metric", "nmi"), transform="affine").answer(job_of(case, tmp_path))
    found = measured(case, answer.transform, answer.inverse)
    # The best affine transform takes some of a warp away, and its inverse is exact.
    assert found.error_mm < before(case).error_mm and found.folds == 0
    assert found.inverse_max_mm < 1e-6
    assert answer.taken.seconds > answer.call_seconds > 0 and answer.taken.peak_mb > 100
    assert answer.settings["metric"] == "nmi" and answer.version.startswith("inforeg ")


def test_what_is_asked_of_our_command(data, tmp_path, monkeypatch):
    seen = []

    def fake(command, folder, threads, limit_s, environment=None):
        seen.append(command)
        return Taken(2, 0.1, 0.1, 10.0, False, "inforeg: error: no")

    monkeypatch.setattr(contestants, "run_measured", fake)
    job = Job(Path("f.nii"), Path("m.nii"), tmp_path, 2, 5, 10.0)
    with pytest.raises(NoAnswer, match="ended with code 2: inforeg: error: no") as failure:
        Ours(("--metric", "mine_local")).answer(job)
    assert failure.value.taken.code == 2
    with pytest.raises(NoAnswer):
        Ours(settings={"neighbourhood_mm": 8.0}).answer(job)
    by_words, by_file = (" ".join(command) for command in seen)
    both = "register -f f.nii -m m.nii -o", "-j 2"
    assert all(words in by_words for words in (*both, "-t svf --init header --seed 5", "--metric mine_local"))
    # Settings say it all, and nothing stands beside them.
    assert all(words in by_file for words in both)
    assert not any(flag in by_file for flag in ("-t ", "--init", "--seed"))
    assert json.loads(Path(seen[1][-1]).read_text(encoding="utf-8")) == {
        "method": "svf",
        "stages": [],
        "init": "header",
        "seed": 5,
        "neighbourhood_mm": 8.0,
    }


def test_what_takes_too_long_is_no_answer(data, tmp_path):
    with pytest.raises(NoAnswer, match=r"not done after 0\.05 s") as failure:
        Ours().answer(job_of(case_of(data, tmp_path), tmp_path, limit_s=0.05))
    assert failure.value.taken.timed_out


def test_every_script_of_a_peer_is_there_and_tried_below():
    tried = {PEERS[name].script for name in ("syn-mi", "greedy-ncc", "elastix-bspline")}
    assert tried == {peer.script for peer in PEERS.values()}
    scripts = Path(competitors.__file__).parent / "peers"
    for peer in PEERS.values():
        assert (scripts / peer.script).is_file() and (not peer.then or (scripts / peer.then).is_file())


def test_the_usual_contestants(monkeypatch):
    monkeypatch.setattr(competitors, "_has", lambda _python, package: package != "picsl_greedy")
    names, notes = chosen_methods([])
    assert names[0] == OURS and "syn-cc" in names and "syn-mi-full" not in names
    assert [note.split(":")[1].strip() for note in notes] == ["greedy-nmi", "greedy-ncc"]
    assert chosen_methods(["syn-mi-full"]) == (["syn-mi-full"], [])
    with pytest.raises(
        UsageError, match="--methods: greedy-wncc: picsl_greedy is not installed; make bench-peers"
    ):
        chosen_methods(["greedy-wncc"])
    with pytest.raises(UsageError, match="--methods: unknown name 'syn'; expected svf, "):
        chosen_methods(["syn"])
    assert chosen_methods([], needed=False)[0] == list(CONTESTANTS)
    assert not set(VARIANTS) & set(PEERS)


def test_every_metric_of_a_deformation_is_a_variant():
    asked = {tuple(ours.arguments) for ours in VARIANTS.values()}
    # The first of them is what it does without being asked.
    assert asked == {(), *(("--metric", name) for name in names.DEFORMABLE_METRICS[1:])}


# One of each script. To load elastix takes more than ten seconds.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["syn-mi", "greedy-ncc", "elastix-bspline"])
def test_peers_undo_a_known_warp(name, data, tmp_path):
    if PEERS[name].missing():
        if PEERS[name].package == "antspyx" and os.environ.get("INFOREG_REQUIRE_PEERS"):
            pytest.fail("ANTs is not there: make peers, or set INFOREG_PEERS_PYTHON")
        pytest.skip(PEERS[name].missing())
    case = case_of(data, tmp_path)
    answer = PEERS[name].answer(job_of(case, tmp_path))
    found = measured(case, answer.transform, answer.inverse)
    # A field turned about, or in another frame, would double the error.
    assert found.error_mm < 0.6 * before(case).error_mm
    assert (answer.inverse is None) == name.startswith("elastix")
    assert answer.inverse is None or found.inverse_mean_mm < 0.1
    assert answer.version.split()[0] == PEERS[name].package
