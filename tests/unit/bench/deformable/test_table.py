from inforeg.bench.deformable.results import Row
from inforeg.bench.deformable.table import best_peer, markdown, paired_p, summary


def row(method, case, error=1.0, seconds=10.0, memory=100.0, **more):
    values = {
        "set": "known",
        "case": f"known-{case:03d}",
        "group": "T1-T2" if case % 2 == 0 else "T1-FLAIR",
        "method": method,
        "seed": 0,
        "spacing_mm": 1.0,
        "before_mm": 3.0,
        "before_dice": None,
        "error_mm": error,
        "median_mm": error,
        "p95_mm": 2 * error,
        "dice": None,
        "folds": 0,
        "share_folded": 0.0,
        "smallest_jacobian": 0.5,
        "sd_log_jacobian": 0.1,
        "inverse_mean_mm": 0.01,
        "inverse_max_mm": 0.1,
        "seconds": seconds,
        "call_seconds": seconds - 1,
        "cpu_seconds": 2 * seconds,
        "peak_mb": memory,
        "threads": 2,
        "version": method.split("-")[0],
    }
    return Row(**{**values, **more})


def six(method, scale=1.0, **more):
    return [row(method, n, error=scale * (1 + n / 10), **more) for n in range(6)]


def cells(table, method):
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {method} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_line_a_method():
    rows = six("svf", 0.8) + six("greedy-nmi", seconds=40.0, memory=50.0)
    table = summary(rows)
    head = [cell.strip() for cell in table.splitlines()[0].strip("|").split("|")]
    ours, theirs = (dict(zip(head, cells(table, name), strict=True)) for name in ("svf", "greedy-nmi"))
    assert (ours["cases"], ours["before mm"], ours["median mm"], ours["95 % mm"]) == (
        "6",
        "3.000",
        "1.000",
        "2.000",
    )
    assert (theirs["median mm"], theirs["mean mm"], theirs["s"], theirs["CPU s"]) == (
        "1.250",
        "1.250",
        "40.0",
        "80.0",
    )
    assert (theirs["s of svf's"], theirs["MB of svf's"], ours["s of svf's"]) == ("4.00", "0.50", "1.00")
    assert ours["p against svf"] == "–" and theirs["p against svf"] == "0.031"
    assert (theirs["folds %"], theirs["inverse mm"], theirs["worst inverse mm"]) == ("0", "0.010", "0.100")


def test_folds_failures_and_inverses_that_are_not_there():
    rows = [row("elastix-bspline", 0, folds=7, share_folded=0.02, inverse_mean_mm=None, inverse_max_mm=None)]
    rows += [row("elastix-bspline", 1, failure="ended with code -11: ")]
    table = cells(summary(rows), "elastix-bspline")
    assert table[1] == "2 (1 failed)" and "1" in table and "7" in table
    text = markdown(rows)
    assert "- elastix-bspline: ended with code -11" in text and "Failed runs count" in text


def test_the_best_peer_is_beside_ours():
    rows = six("svf", 0.8, seconds=8.0) + six("greedy-nmi", seconds=40.0) + six("syn-mi", 1.2, seconds=80.0)
    assert best_peer(rows) == "greedy-nmi" and best_peer(six("svf")) is None
    text = markdown(rows)
    assert (
        "Against greedy-nmi, the best peer (6 cases): 0.80 of its median error; Wilcoxon p 0.031;"
        " 0.20 of greedy-nmi's time (the fastest); 0.10 of syn-mi's time." in text
    )
    assert "| median, mm (cases) | T1-FLAIR | T1-T2 |" in text and "| svf | 1.040 (3) | 0.960 (3) |" in text
    assert "Conditions: seed 0, threads 2" in text
    assert paired_p(rows, "svf", "svf", lambda r: r.error_mm) is None


def test_overlap_is_better_when_it_is_more():
    def dice(method, value):
        more = {"error_mm": None, "median_mm": None, "p95_mm": None, "before_mm": None, "before_dice": 0.4}
        return [row(method, n, dice=value + n / 100, set="oasis", group="T1-T1", **more) for n in range(4)]

    rows = dice("svf", 0.6) + dice("syn-mi", 0.58) + dice("greedy-nmi", 0.5)
    assert best_peer(rows) == "syn-mi"
    text = markdown(rows)
    assert "the best peer (4 cases): 0.6150 to 0.5950; Wilcoxon p 0.12" in text and "before Dice" in text


def test_metrics_of_ours_and_growth_have_tables_of_their_own():
    rows = six("svf") + six("svf-lncc", 1.5) + six("syn-mi", 2.0)
    assert "### known: metrics of ours" in markdown(rows) and "Growth" not in markdown(rows)
    coarse = [row("svf", n, seconds=2.0, memory=50.0, spacing_mm=2.0) for n in range(3)]
    text = markdown(rows + coarse)
    assert text.index("known at 1 mm") < text.index("known at 2 mm") < text.index("Growth")
    assert "| svf | 3 | 2.0 | 10.0 | 50 | 100 | 5.0 | 2.0 |" in text


def test_nothing_yet():
    assert markdown([]) == "there are no results yet\n"
