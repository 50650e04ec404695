from inforeg.bench.deformable.results import Row
from inforeg.bench.vm_mine.table import markdown


def row(method, case, dice, **more):
    values = {
        "set": "multi",
        "case": f"multi-{case:03d}",
        "group": "T1-FLAIR",
        "method": method,
        "seed": 0,
        "spacing_mm": 1.0,
        "before_mm": None,
        "before_dice": 0.4 + 0.01 * case,
        "error_mm": None,
        "median_mm": None,
        "p95_mm": None,
        "dice": dice,
        "folds": 2,
        "share_folded": 0.0,
        "smallest_jacobian": 0.5,
        "sd_log_jacobian": 0.1,
        "inverse_mean_mm": None,
        "inverse_max_mm": None,
        "seconds": 10.0,
        "call_seconds": 8.0,
        "cpu_seconds": 20.0,
        "peak_mb": 500.0,
        "threads": 2,
        "version": "made up",
    }
    return Row(**{**values, **more})


def lines(table):
    found = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found.setdefault(cells[0], cells[1:])
    return found


def test_seeds_of_a_network_are_one_line_and_its_weights_another_table():
    rows = [row("syn-mi", n, 0.5 + 0.01 * n, seconds=40.0) for n in range(3)]
    for seed, lift in enumerate((0.0, 0.01, 0.03)):
        rows += [row(f"vm-mine-local-s{seed}", n, 0.5 + lift) for n in range(3)]
    rows += [row("vm-mine-local-s0+svf", n, 0.6) for n in range(3)]
    rows += [row("vm-mine-local-a0.5-s0", n, 0.45, smallest_jacobian=0.7) for n in range(3)]
    text = markdown(rows)
    found = lines(text)
    assert found["affine"][:2] == ["3", "41.0 (1.0)"]
    assert found["ANTs SyN (MI)"][:5] == ["3", "51.0 (1.0)", "–", "2.0", "40.0"]
    assert found["VM-MINE local"][:3] == ["9", "51.3 (1.3)", "50.00 to 53.00 (3)"]
    assert found["VM-MINE local, refined by 20 steps"][1] == "60.0 (0.0)"
    assert found["0.5"] == ["45.0 (0.0)", "2.0", "0.70"] and found["5"][0] == "50.0 (0.0)"
    assert "## Weight of the metric" in text and "made up" in text


def test_failures_are_counted_and_nothing_is_said_of_nothing():
    found = lines(markdown([row("vm-cc-s0", 0, 0.4, failure="it broke"), row("vm-cc-s0", 1, 0.5)]))
    assert found["VM-CC (LNCC)"][0] == "2 (1 failed)"
    assert markdown([]) == "there are no results yet\n"
