import json

import pytest

from inforeg.bench.vm_mine import costs
from inforeg.bench.vm_mine.costs import Cost, markdown, training_costs, write_full_size
from inforeg.bench.vm_mine.networks import Schedule
from inforeg.nets.files import read_sizes


@pytest.mark.slow
def test_a_metric_costs_time_and_memory(all_heads, tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "_STEPS", 4)
    monkeypatch.setattr(costs, "_SKIPPED", 2)
    little = {"start": "header", "net": {"encoder": (4, 8), "decoder": (8, 4), "extra": (4,)}}
    schedule = Schedule(shape=(16, 16, 16), spacing_mm=2.5, more=little)
    (found,) = training_costs(["vm-nmi"], all_heads, tmp_path / "out", schedule, 1)
    assert found.kind == "vm-nmi" and found.samples is None
    assert found.pairs_per_s > 0 and found.peak_mb > 100
    assert json.loads((tmp_path / "out" / "costs.json").read_text(encoding="utf-8"))[0]["kind"] == "vm-nmi"


def test_a_line_a_metric():
    text = markdown([Cost("vm-mine-local", 2.345, 1234.5, 32768), Cost("vm-cc", 3.0, 900.0, None)])
    assert (
        "| VM-MINE local | 32768 | 2.35 | 1234 |" in text or "| VM-MINE local | 32768 | 2.34 | 1234 |" in text
    )
    assert "| VM-CC (LNCC) | all | 3.00 | 900 |" in text


def test_networks_of_the_published_size(tmp_path):
    found = write_full_size(tmp_path)
    for name, half in (("full-size", False), ("full-size-half", True)):
        settings, canonical = read_sizes(found[name])
        assert canonical.shape == (160, 192, 224) and canonical.spacing_mm == 1.0
        assert settings.half == half and settings.encoder == (16, 32, 32, 32)
