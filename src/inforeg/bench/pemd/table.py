"""A table of accuracies, and their curves."""

from collections.abc import Sequence
from statistics import fmean, stdev

from inforeg.bench.ditr.figures import Curve, curves
from inforeg.bench.pemd.run import WAYS, Row

OURS, BESIDE = "pemd-16+swd", ("none", "swd")


def markdown(rows: Sequence[Row]) -> str:
    """A line for each way, after all of its rounds."""
    if not rows:
        return "there are no results yet\n"
    lines = [
        "Displacements of T2 to T1 (target) and T1 to T1 (source) told rightly, in %, of subjects of no part in the"
        " training: means and standard deviations over seeds, of the model that each run chose without labels of the"
        f" target. p is of two-sided paired t-tests against {' and '.join(f'`{b}`' for b in BESIDE)}, seed by seed.\n",
        "| way | seeds | rounds | target | sd | source | "
        + " | ".join(f"p, {b}" for b in BESIDE)
        + " | min |",
        "|---|" + "---:|" * (6 + len(BESIDE)),
    ]
    for way in (way for way in WAYS if any(row.way == way for row in rows)):
        last = _last(rows, way)
        target = [100 * row.target for row in last.values()]
        sd = f"{stdev(target):.1f}" if len(target) > 1 else ""
        minutes = fmean(
            sum(row.seconds for row in rows if (row.way, row.seed) == (way, seed)) / 60 for seed in last
        )
        cells = [
            way,
            str(len(last)),
            str(max(row.rounds for row in last.values())),
            f"{fmean(target):.1f}",
            sd,
            f"{fmean(100 * row.source for row in last.values()):.1f}",
            *(_p(last, _last(rows, beside)) if way != beside else "" for beside in BESIDE),
            f"{minutes:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Row]) -> str:
    """Mean accuracy on the target against rounds, in SVG."""
    drawn = []
    for way in (way for way in WAYS if any(row.way == way for row in rows)):
        own = [row for row in rows if row.way == way]
        rounds = sorted({row.rounds for row in own})
        drawn.append(
            Curve(way, rounds, [100 * fmean(r.target for r in own if r.rounds == n) for n in rounds])
        )
    return curves(
        drawn,
        title="Displacements of T2 to T1 told rightly, subjects not trained on",
        x_name="rounds of teaching",
        y_name="%",
    )


def _last(rows: Sequence[Row], way: str) -> dict[int, Row]:
    """The row of each seed after most rounds."""
    found: dict[int, Row] = {}
    for row in sorted((row for row in rows if row.way == way), key=lambda row: row.rounds):
        found[row.seed] = row
    return found


def _p(own: dict[int, Row], other: dict[int, Row]) -> str:
    from scipy.stats import ttest_rel

    common = sorted(own.keys() & other.keys())
    if len(common) < 3:
        return ""
    p = float(ttest_rel(*([each[seed].target for seed in common] for each in (own, other))).pvalue)
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
