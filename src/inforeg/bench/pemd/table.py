"""Tables of accuracies, and their curves."""

from collections.abc import Sequence
from statistics import fmean, stdev

from inforeg.bench.ditr.figures import Curve, curves
from inforeg.bench.pemd.run import SETS, TAUGHT, WAYS, Row
from inforeg.bench.rows import paired_p

BESIDE = ("none", "swd")


def markdown(rows: Sequence[Row]) -> str:
    """A table for each set, a line for each way after all of its rounds."""
    if not rows:
        return "there are no results yet\n"
    lines = [
        "Displacements told rightly, in %, of pairs of two contrasts (target) and of one (source), of subjects of no"
        " part in the training; chance is 4 (of 25). Means and standard deviations over seeds, after all rounds. Agreed"
        " and wrong: target pairs for which both classifiers name the same displacement, and a wrong one. p is of"
        f" two-sided paired t-tests against {' and '.join(BESIDE)}, seed by seed.\n"
    ]
    for name in _sets(rows):
        own = [row for row in rows if row.of == name]
        lines += [f"{SETS[name][0]}:\n", *_table(own), ""]
    return "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    lines = [
        "| way | seeds | rounds | target | sd | source | agreed and wrong | "
        + " | ".join(f"p, {b}" for b in BESIDE)
        + " | min |",
        "|---|" + "---:|" * (7 + len(BESIDE)),
    ]
    for way in (way for way in (TAUGHT, *WAYS) if any(row.way == way for row in rows)):
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
            f"{fmean(100 * row.agreed_wrong for row in last.values()):.1f}",
            *(_p(last, _last(rows, beside)) for beside in BESIDE),
            f"{minutes:.1f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def pictures(rows: Sequence[Row]) -> dict[str, str]:
    """For each set the mean accuracy on the target against rounds, in SVG, by file name."""
    found = {}
    for name in _sets(rows):
        drawn = []
        begun = [row for row in rows if (row.of, row.way) == (name, TAUGHT)]
        for way in _ways([row for row in rows if row.of == name]):
            own = begun + [row for row in rows if (row.of, row.way) == (name, way)]
            rounds = sorted({row.rounds for row in own})
            means = [100 * fmean(r.target for r in own if r.rounds == n) for n in rounds]
            drawn.append(Curve(way, [float(n) for n in rounds], means))
        found[f"{name}.svg"] = curves(
            drawn,
            title=SETS[name][0],
            x_name="rounds of teaching after the start",
            y_name="told rightly, %",
            from_zero=False,
        )
    return found


def _sets(rows: Sequence[Row]) -> list[str]:
    return [name for name in SETS if any(row.of == name for row in rows)]


def _ways(rows: Sequence[Row]) -> list[str]:
    return [way for way in WAYS if any(row.way == way for row in rows)]


def _last(rows: Sequence[Row], way: str) -> dict[int, Row]:
    """The row of each seed after most rounds."""
    found: dict[int, Row] = {}
    for row in sorted((row for row in rows if row.way == way), key=lambda row: row.rounds):
        found[row.seed] = row
    return found


def _p(own: dict[int, Row], other: dict[int, Row]) -> str:
    return paired_p(*({seed: row.target for seed, row in each.items()} for each in (own, other)))
