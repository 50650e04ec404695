"""The demo by the command line: what `make demo` does, and what it prints."""

import json
import re
from importlib.util import find_spec
from math import acos, degrees
from pathlib import Path

import pytest
import torch

from inforeg.cli.main import main
from inforeg.errors import ReadError
from inforeg.io import read_transform
from inforeg.space import Grid
from inforeg.transforms import Linear

needs_nilearn = pytest.mark.skipif(
    find_spec("nilearn") is None, reason="the demo's maps are nilearn's, which is not installed"
)
LINE = r"mean TRE of (\d+) landmarks: ([\d.]+) mm before, ([\d.]+) mm after"


@needs_nilearn
def test_the_demo_is_right_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A T2 made from tissue maps, turned by 25 degrees and shifted by 20 mm: within 0.3 mm of where it was put."""
    import inforeg.demo as demo

    make_pair, pairs = demo.make_pair, []
    monkeypatch.setattr(demo, "make_pair", lambda seed: pairs.append(make_pair(seed)) or pairs[-1])
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out)]) == 0
    said = capsys.readouterr().out
    match = re.search(LINE, said)
    assert match is not None, said
    count, before, after = int(match[1]), float(match[2]), float(match[3])
    assert count == 100
    assert before > 20
    assert after <= 0.3
    assert f"report: {out / 'report.html'}" in said
    assert re.search(r"registered in \d+\.\d s; quality: good", said)
    assert (out / "report.html").stat().st_size > 10_000
    record = json.loads((out / "result.json").read_text())
    assert (record["status"], record["quality"]["verdict"]) == ("converged", "good")
    # What was printed is what the file holds, measured here by what the demo is said to be.
    (pair,) = pairs
    transform = read_transform(out / "transform.h5")
    assert isinstance(transform, Linear)
    errors = transform(pair.landmarks_mm) - pair.truth(pair.landmarks_mm)
    assert float(errors.norm(dim=1).mean()) == pytest.approx(after, abs=1e-3)
    assert torch.equal(pair.truth.matrix, demo.known_transform(pair.fixed.grid).matrix)
    assert not pair.moving.grid.same_as(pair.fixed.grid)
    # It is not written over.
    assert main(["demo", "-o", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_the_known_answer_is_what_the_demo_says_it_is() -> None:
    from inforeg.demo import known_transform

    grid = Grid.from_spacing((90, 110, 100), 2.0)
    truth = known_transform(grid)
    linear = truth.matrix[:3, :3]
    assert torch.allclose(linear @ linear.T, torch.eye(3, dtype=torch.float64), atol=1e-12)
    assert degrees(acos((float(linear.trace()) - 1) / 2)) == pytest.approx(25.0, abs=1e-6)
    moved = truth(grid.centre_mm[None])[0] - grid.centre_mm
    assert float(moved.norm()) == pytest.approx(20.0, abs=1e-9)
    # The axis is an oblique one: no coordinate axis is left nearly where it was.
    assert float(linear.diagonal().max()) < 0.95


def test_without_the_maps_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from inforeg.io import mni

    monkeypatch.setattr(mni, "find_spec", lambda _name: None)
    with pytest.raises(ReadError, match="pip install"):
        mni.mni_map("t1")
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 1
    assert "nilearn, which is not installed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
